// Shows several runs at once: a bar each on a terminal, else the lines of each with its name before them.
import { Writable } from 'node:stream'
import { MultiBar, type SingleBar } from 'cli-progress'
import type { FitEvent, StartEvent, StepEvent } from '../../driver/fit/events.js'
import { duration, percent, scoresText } from '../../driver/format/units.js'
import { printable } from '../output.js'
import { barOptions, jsonReporter, type ProgressOutput, type ProgressReporter, textReporter } from './progress.js'

export interface RunsReporter<Key> {
  /** An event without a run belongs to all of them. */
  onEvent(event: FitEvent, run?: Key): void
  /** Takes the bars away; to be called however the runs end. */
  stop(): void
}

/** How runs are told apart. */
export interface RunNames<Key> {
  /** Before its lines, and at its bar. */
  label(run: Key): string
  /** Its run folder. */
  folder(run: Key): string
  /** What its JSON objects say of it. */
  tag(run: Key): Readonly<Record<string, string | number>>
}

/** One object a line; those of a run say whose they are. */
export function runsJsonReporter<Key>(output: ProgressOutput, { label, tag }: RunNames<Key>): RunsReporter<Key> {
  const { onEvent, stop } = jsonReporter(output)
  return {
    onEvent(event, run) {
      if (run === undefined) onEvent(event)
      else if (event.event === 'notice') onEvent({ event: 'notice', message: `${label(run)}: ${event.message}` })
      else {
        const tagged = { ...tag(run), ...event }
        onEvent(tagged)
      }
    },
    stop,
  }
}

/**
 * The lines of each run. Where standard error is a terminal the bars stand for the epochs, and only how runs begin and
 * end is said in lines, above the bars.
 */
export function runsTextReporter<Key>(output: ProgressOutput, { label, folder }: RunNames<Key>): RunsReporter<Key> {
  const { out, err } = output
  const common = textReporter(output)
  let bars = err.isTTY ? new Bars(err) : undefined
  const runs = new Map<string, ProgressReporter>()
  const reporterOf = (run: Key) => {
    const name = label(run)
    const write = (stream: NodeJS.WritableStream) => (line: string) => {
      if (bars) bars.log(`${name}: ${line}`)
      else stream.write(`${name}: ${line}`)
    }
    const own = textReporter({ out: lines(write(out)), err: lines(write(err)), folder: folder(run) })
    runs.set(name, own)
    return own
  }
  return {
    onEvent(event, run) {
      if (run === undefined) return common.onEvent(event)
      common.stop()
      bars?.show(event, label(run))
      if (!bars || event.event !== 'epoch') (runs.get(label(run)) ?? reporterOf(run)).onEvent(event)
    },
    stop() {
      common.stop()
      bars?.stop()
      bars = undefined
    },
  }
}

/** A stream that hands on each line that is written to it. */
const lines = (write: (line: string) => void) =>
  new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      write(line)
      done()
    },
  })

interface RunBar {
  readonly start: StartEvent
  readonly bar: SingleBar
  ms: number
  images: number
  steps: number
}

/** A bar for each run that is going on; what it says of the time left is about that run alone. */
class Bars {
  readonly #stream: NodeJS.WritableStream
  readonly #all: MultiBar
  readonly #runs = new Map<string, RunBar>()

  constructor(stream: NodeJS.WritableStream) {
    const format =
      '{name}  epoch {epoch} [{bar}] {value}/{total}  loss {loss}  {scores}  test {test}  {rate} images/s  {left} left'
    this.#stream = stream
    // A bar that moves up a line has to be drawn there even where it says what it said before.
    this.#all = new MultiBar({ ...barOptions(stream, format), forceRedraw: true })
  }

  show(event: FitEvent, name: string): void {
    if (event.event === 'start') this.#begin(event, name)
    if (event.event === 'step') this.#update(event, name)
    if (event.event === 'epoch')
      this.#runs
        .get(name)
        ?.bar.update({ test: event.testError === undefined ? event.testLoss.toFixed(4) : percent(event.testError) })
    // A run that fails has no end: what is told of it once it has begun is why.
    if (event.event === 'end' || event.event === 'notice') this.#remove(name)
  }

  #begin(start: StartEvent, name: string): void {
    const { epoch, epochs, stepsPerEpoch, step } = start
    const unknown = { loss: '-', scores: '-', test: '-', rate: '-', left: '-' }
    const payload = { name, epoch: `${Math.min(epoch + 1, epochs)}/${epochs}`, ...unknown }
    const bar = this.#all.create(stepsPerEpoch, step - epoch * stepsPerEpoch, payload)
    this.#runs.set(name, { start, bar, ms: 0, images: 0, steps: 0 })
  }

  #update({ step, epoch, ms, images, meanLoss, meanError, meanMetrics }: StepEvent, name: string): void {
    const run = this.#runs.get(name)
    if (!run) return
    const { epochs, stepsPerEpoch, lastStep } = run.start
    run.ms += ms
    run.images += images
    run.steps += 1
    run.bar.update(step - epoch * stepsPerEpoch, {
      epoch: `${epoch + 1}/${epochs}`,
      loss: meanLoss.toFixed(4),
      scores: printable(scoresText(meanError, meanMetrics)),
      rate: Math.round((run.images / run.ms) * 1000),
      left: duration((run.ms / run.steps) * Math.max(0, lastStep - step)),
    })
  }

  #remove(name: string): void {
    const run = this.#runs.get(name)
    if (!run) return
    this.#runs.delete(name)
    this.#all.remove(run.bar)
  }

  /** A line above the bars. */
  log(line: string): void {
    // Without a bar there is nothing to stand above, and nothing yet that an update should keep going.
    if (!this.#all.isActive) {
      this.#stream.write(line)
      return
    }
    this.#all.log(line)
    this.#all.update()
  }

  stop(): void {
    for (const name of [...this.#runs.keys()]) this.#remove(name)
    if (this.#all.isActive) this.#all.stop()
  }
}

// Shows several runs at once: a bar each on a terminal, else the lines of each with its seed before them.
import { Writable } from 'node:stream'
import { MultiBar, type SingleBar } from 'cli-progress'
import type { FitEvent, StartEvent, StepEvent } from './events.js'
import { barOptions, duration, jsonReporter, type ProgressOutput, percent, textReporter } from './progress.js'
import { seedFolder } from './seedsFolder.js'

export interface SeedsReporter {
  /** An event without a seed belongs to all runs. */
  onEvent(event: FitEvent, seed?: number): void
  /** Takes the bars away; to be called however the runs end. */
  stop(): void
}

/** One object a line; those of a run say its `seed`. */
export function seedsJsonReporter(output: ProgressOutput): SeedsReporter {
  const { onEvent, stop } = jsonReporter(output)
  return {
    onEvent(event, seed) {
      if (seed === undefined) onEvent(event)
      else if (event.event === 'notice') onEvent({ event: 'notice', message: `seed ${seed}: ${event.message}` })
      else {
        const tagged = { seed, ...event }
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
export function seedsTextReporter(output: ProgressOutput): SeedsReporter {
  const { out, err, folder } = output
  const common = textReporter(output)
  let bars = err.isTTY ? new Bars(err) : undefined
  const runs = new Map<number, SeedsReporter>()
  const reporterOf = (seed: number) => {
    const write = (stream: NodeJS.WritableStream) => (line: string) => {
      if (bars) bars.log(`seed ${seed}: ${line}`)
      else stream.write(`seed ${seed}: ${line}`)
    }
    const own = textReporter({ out: lines(write(out)), err: lines(write(err)), folder: seedFolder(folder, seed) })
    runs.set(seed, own)
    return own
  }
  return {
    onEvent(event, seed) {
      if (seed === undefined) return common.onEvent(event)
      common.stop()
      bars?.show(event, seed)
      if (!bars || event.event !== 'epoch') (runs.get(seed) ?? reporterOf(seed)).onEvent(event)
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
  readonly #runs = new Map<number, RunBar>()

  constructor(stream: NodeJS.WritableStream) {
    const format =
      'seed {seed}  epoch {epoch} [{bar}] {value}/{total}  loss {loss}  error {error}  test {test}  {rate} images/s  {left} left'
    this.#stream = stream
    // A bar that moves up a line has to be drawn there even where it says what it said before.
    this.#all = new MultiBar({ ...barOptions(stream, format), forceRedraw: true })
  }

  show(event: FitEvent, seed: number): void {
    if (event.event === 'start') this.#begin(event, seed)
    if (event.event === 'step') this.#update(event, seed)
    if (event.event === 'epoch') this.#runs.get(seed)?.bar.update({ test: percent(event.testError) })
    // A run that fails has no end: what is told of it once it has begun is why.
    if (event.event === 'end' || event.event === 'notice') this.#remove(seed)
  }

  #begin(start: StartEvent, seed: number): void {
    const { epoch, epochs, stepsPerEpoch, step } = start
    const unknown = { loss: '-', error: '-', test: '-', rate: '-', left: '-' }
    const payload = { seed, epoch: `${Math.min(epoch + 1, epochs)}/${epochs}`, ...unknown }
    const bar = this.#all.create(stepsPerEpoch, step - epoch * stepsPerEpoch, payload)
    this.#runs.set(seed, { start, bar, ms: 0, images: 0, steps: 0 })
  }

  #update({ step, epoch, ms, images, meanLoss, meanError }: StepEvent, seed: number): void {
    const run = this.#runs.get(seed)
    if (!run) return
    const { epochs, stepsPerEpoch, lastStep } = run.start
    run.ms += ms
    run.images += images
    run.steps += 1
    run.bar.update(step - epoch * stepsPerEpoch, {
      epoch: `${epoch + 1}/${epochs}`,
      loss: meanLoss.toFixed(4),
      error: percent(meanError),
      rate: Math.round((run.images / run.ms) * 1000),
      left: duration((run.ms / run.steps) * Math.max(0, lastStep - step)),
    })
  }

  #remove(seed: number): void {
    const run = this.#runs.get(seed)
    if (!run) return
    this.#runs.delete(seed)
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
    for (const seed of [...this.#runs.keys()]) this.#remove(seed)
    if (this.#all.isActive) this.#all.stop()
  }
}

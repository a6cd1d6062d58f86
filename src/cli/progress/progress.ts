// Shows a training run to a person or a program: a progress bar, a line an epoch, or an object a line.
import { type Options, SingleBar } from 'cli-progress'
import type { EndEvent, EpochEvent, FitEvent, StartEvent, StepEvent, TuningEvent } from '../../driver/fit/events.js'
import { duration, scoresText } from '../../driver/format/units.js'
import { printable } from '../output.js'

export interface ProgressOutput {
  /** Standard output: lines that last. */
  readonly out: NodeJS.WritableStream
  /** Standard error: the bar, and notices. */
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean }
  /** How to call the run folder. */
  readonly folder: string
}

export interface ProgressReporter {
  onEvent(event: FitEvent): void
  /** Takes the bar away; to be called however the run ends. */
  stop(): void
}

/** One object a line for steps, epochs and the end; notices go to standard error. */
export function jsonReporter({ out, err }: ProgressOutput): ProgressReporter {
  return {
    onEvent(event) {
      if (event.event === 'notice') err.write(printable(`${event.message}\n`))
      else if (event.event !== 'start' && event.event !== 'tuning') out.write(printable(`${JSON.stringify(event)}\n`))
    },
    stop() {},
  }
}

/** A line an epoch and, where standard error is a terminal, a bar for the epoch in progress. */
export function textReporter(output: ProgressOutput): ProgressReporter {
  const { out, err, folder } = output
  let start: StartEvent | undefined
  let bar: Bar | undefined
  let tuning: SingleBar | undefined
  const stop = () => {
    bar?.stop()
    bar = undefined
    tuning?.stop()
    tuning = undefined
  }
  return {
    onEvent(event) {
      switch (event.event) {
        case 'start':
          start = event
          if (event.step > 0) out.write(`going on from step ${event.step} of ${event.lastStep}\n`)
          break
        case 'step':
          if (!err.isTTY || !start) break
          bar ??= new Bar(err, start, event)
          bar.update(event)
          break
        case 'epoch':
          stop()
          out.write(printable(`${epochLine(event, start?.epochs ?? event.epoch + 1)}\n`))
          break
        case 'tuning':
          tuning = tunes(err, event, tuning)
          break
        case 'notice':
          stop()
          err.write(printable(`${event.message}\n`))
          break
        case 'end':
          stop()
          out.write(printable(`${endLine(event, folder)}\n`))
      }
    },
    stop,
  }
}

export function epochLine(event: EpochEvent, epochs: number): string {
  const epoch = `${event.epoch + 1}`.padStart(`${epochs}`.length)
  const training = lossText('training', event.loss, scoresText(event.error, event.metrics))
  const test = lossText('test', event.testLoss, scoresText(event.testError, event.testMetrics))
  const { skippedSteps = 0 } = event
  const skipped = skippedSteps > 0 ? `; ${skippedSteps} ${skippedSteps === 1 ? 'step' : 'steps'} skipped so far` : ''
  return `epoch ${epoch}/${epochs}, lr ${event.learningRate}: ${training}; ${test}${skipped}; ${duration(event.ms)}`
}

const lossText = (what: string, loss: number, scores: string): string =>
  `${what} loss ${loss.toFixed(4)}${scores === '' ? '' : `, ${scores}`}`

/** What a run came to: the test error, or what else was measured. */
function resultText({ loss, error, metrics, testLoss, testError, testMetrics }: EndEvent): string {
  if (testError !== null) return `test ${scoresText(testError, testMetrics)}`
  if (testLoss !== null) return lossText('test', testLoss, scoresText(undefined, testMetrics))
  return lossText('training', loss, scoresText(error, metrics))
}

export function endLine(event: EndEvent, folder: string): string {
  const { reason, step } = event
  if (reason === 'interrupted') return `stopped at step ${step}; go on with: rdm-fit --resume --out ${folder}`
  const done = reason === 'finished' ? 'finished' : 'ended as asked'
  return `${done} after ${step} steps: ${resultText(event)}; the trained model is ${folder}/model.onnx`
}

/** Says once that convolutions are timed; on a terminal, how far that is. */
function tunes(err: ProgressOutput['err'], { done, total }: TuningEvent, bar?: SingleBar): SingleBar | undefined {
  if (done === 0) err.write(`timing ${total} convolutions on this machine, once\n`)
  if (!err.isTTY) return undefined
  const running = bar ?? new SingleBar(barOptions(err, 'timing [{bar}] {value}/{total}'))
  if (!bar) running.start(total, done)
  running.setTotal(total)
  running.update(done)
  if (done < total) return running
  running.stop()
  return undefined
}

export const barOptions = (stream: NodeJS.WritableStream, format: string): Options => ({
  stream,
  format,
  barCompleteChar: '=',
  barIncompleteChar: ' ',
  barsize: 24,
  hideCursor: true,
  clearOnComplete: true,
  stopOnComplete: false,
  // Signals are the command's business.
  gracefulExit: false,
})

/** The bar of one epoch; what it says of the time left is about the whole run. */
class Bar {
  readonly #bar: SingleBar
  readonly #start: StartEvent
  readonly #first: number
  #ms = 0
  #images = 0
  #steps = 0

  constructor(stream: NodeJS.WritableStream, start: StartEvent, first: StepEvent) {
    const format = `epoch ${first.epoch + 1}/${start.epochs} [{bar}] {value}/{total}  loss {loss}  {scores}  {rate} images/s  {left} left`
    this.#bar = new SingleBar(barOptions(stream, format))
    this.#start = start
    this.#first = first.epoch * start.stepsPerEpoch
    this.#bar.start(start.stepsPerEpoch, first.step - this.#first - 1, { loss: '', scores: '', rate: '', left: '' })
  }

  update({ step, ms, images, meanLoss, meanError, meanMetrics }: StepEvent): void {
    this.#ms += ms
    this.#images += images
    this.#steps += 1
    this.#bar.update(step - this.#first, {
      loss: meanLoss.toFixed(4),
      scores: printable(scoresText(meanError, meanMetrics)),
      rate: Math.round((this.#images / this.#ms) * 1000),
      left: duration((this.#ms / this.#steps) * Math.max(0, this.#start.lastStep - step)),
    })
  }

  stop(): void {
    this.#bar.stop()
  }
}

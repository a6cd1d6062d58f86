// What a worker tells of its job to whoever watches the queue.

import type { FitEvent, StartEvent, StepEvent } from '../../../driver/fit/events.js'
import type { Report, Standing } from './payload.js'

/** Milliseconds between two steps that are told: others watch with their eyes. */
const PACE = 1000
/** What the last steps weigh in the pace: an hour ago the machine may have been another. */
const KEPT = 0.9

/**
 * Follows a run and sends what it tells, one report at a time and in order. While one is on its way, or the queue is out
 * of reach, steps replace each other.
 */
export class Telling {
  #standing: Standing
  #start: StartEvent | undefined
  #ms = 0
  #images = 0
  #steps = 0
  #waiting: Report[] = []
  #sending: Promise<void> | undefined
  #toldStep = Number.NEGATIVE_INFINITY

  /** @param send does not reject for a report that cannot be sent */
  constructor(
    worker: string,
    private readonly send: (report: Report) => Promise<void>,
  ) {
    this.#standing = { worker, step: 0, epoch: 0, testError: null, imagesPerSecond: null, left: null }
  }

  tell(event: FitEvent): void {
    this.#follow(event)
    const report = { event, standing: this.#standing }
    if (event.event === 'step') {
      this.#waiting = this.#waiting.filter((other) => other.event.event !== 'step')
      const last = this.#start && event.step >= this.#start.lastStep
      if (!last && performance.now() - this.#toldStep < PACE) return
      this.#toldStep = performance.now()
    }
    this.#waiting.push(report)
    this.#sending ??= this.#sendAll()
  }

  /** When all has been sent. */
  async settled(): Promise<void> {
    await this.#sending
  }

  async #sendAll(): Promise<void> {
    for (let report = this.#waiting.shift(); report; report = this.#waiting.shift()) await this.send(report)
    this.#sending = undefined
  }

  #follow(event: FitEvent): void {
    if (event.event === 'start') {
      this.#start = event
      this.#standing = { ...this.#standing, step: event.step, epoch: event.epoch }
    } else if (event.event === 'step') this.#standing = { ...this.#standing, ...this.#afterStep(event) }
    else if (event.event === 'epoch')
      this.#standing = { ...this.#standing, epoch: event.epoch + 1, testError: event.testError ?? null }
    else if (event.event === 'end') this.#standing = { ...this.#standing, left: 0, testError: event.testError }
  }

  #afterStep({ step, ms, images }: StepEvent): Partial<Standing> {
    this.#ms = KEPT * this.#ms + ms
    this.#images = KEPT * this.#images + images
    this.#steps = KEPT * this.#steps + 1
    const left = this.#start ? (this.#ms / this.#steps) * Math.max(0, this.#start.lastStep - step) : null
    return { step, imagesPerSecond: (this.#images / this.#ms) * 1000, left }
  }
}

// What a run has told so far: points of its curves, and its numbers of the moment.

import type { EpochEvent, FitEvent, StartEvent, StepEvent } from '../../driver/fit/events.js'
import type { EpochMetrics } from '../../driver/run/metrics.js'

/** A place in the run, in epochs, and a value. */
export type Point = readonly [epoch: number, value: number]

export interface Numbers {
  readonly step: number
  readonly lastStep: number
  /** In progress, counted from 1. */
  readonly epoch: number
  readonly epochs: number
  /** Over the epoch so far. */
  readonly loss?: number
  readonly error?: number
  readonly testError?: number
  readonly imagesPerSecond?: number
  /** Milliseconds. */
  readonly left?: number
}

/** The part that the newest value has in a running mean. */
const NEWEST = 0.15
const mix = (old: number | undefined, value: number) => (old === undefined ? value : old + NEWEST * (value - old))

/** The loss of each batch jumps: of many, means of neighbours are drawn. */
export function thinned(points: readonly Point[], most: number): readonly Point[] {
  const size = Math.ceil(points.length / most)
  if (size <= 1) return points
  const groups = Array.from({ length: Math.ceil(points.length / size) }, (_, i) =>
    points.slice(i * size, (i + 1) * size),
  )
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
  return groups.map((group) => [mean(group.map(([at]) => at)), mean(group.map(([, value]) => value))])
}

export class Curves {
  readonly batchLoss: Point[] = []
  readonly testLoss: Point[] = []
  readonly trainError: Point[] = []
  readonly testError: Point[] = []
  #start: StartEvent | undefined
  #step: StepEvent | undefined
  /** Milliseconds of a step and images in a second, running means. */
  #ms: number | undefined
  #rate: number | undefined
  /** Of the epoch in progress, in this process. */
  #stepping = 0
  /** Milliseconds that the evaluation after an epoch takes; 0 before there was one. */
  evaluating = 0
  #last: EpochMetrics | undefined
  /** The first steps of a process wait for the runtime. */
  #warm = 0

  /** Epochs that were over before this page was opened. */
  constructor(history: readonly EpochMetrics[] = []) {
    for (const metrics of history) this.#epoch(metrics)
  }

  #epoch(metrics: EpochMetrics): void {
    const at = metrics.epoch + 1
    this.#last = metrics
    this.testLoss.push([at, metrics.testLoss])
    if (metrics.error !== undefined) this.trainError.push([at, metrics.error])
    if (metrics.testError !== undefined) this.testError.push([at, metrics.testError])
  }

  take(event: FitEvent): void {
    if (event.event === 'start') this.#start = event
    else if (event.event === 'step') this.#takeStep(event)
    else if (event.event === 'epoch') this.#takeEpoch(event)
  }

  #takeStep(event: StepEvent): void {
    const { stepsPerEpoch = 1 } = this.#start ?? {}
    this.#step = event
    this.#stepping += event.ms
    this.batchLoss.push([event.step / stepsPerEpoch, event.loss])
    if (this.#warm++ === 0) return
    this.#ms = mix(this.#ms, event.ms)
    this.#rate = mix(this.#rate, (1000 * event.images) / event.ms)
  }

  #takeEpoch(event: EpochEvent): void {
    this.#epoch(event)
    this.evaluating = Math.max(0, event.ms - this.#stepping)
    this.#stepping = 0
  }

  /** Undefined before a run has begun. */
  get numbers(): Numbers | undefined {
    const start = this.#start
    if (!start) return undefined
    const { epochs, lastStep, stepsPerEpoch } = start
    const step = this.#step?.step ?? start.step
    const stepsLeft = Math.max(0, lastStep - step)
    const isInEpoch = this.#step !== undefined && this.#last?.step !== step
    const { meanLoss: loss, meanError: error } = isInEpoch
      ? this.#step!
      : { meanLoss: this.#last?.loss, meanError: this.#last?.error }
    const evaluations = Math.ceil(stepsLeft / stepsPerEpoch)
    return {
      ...{ step, lastStep, epochs },
      epoch: Math.min(epochs, Math.floor(step / stepsPerEpoch) + 1),
      ...(loss === undefined ? {} : { loss }),
      ...(error === undefined ? {} : { error }),
      ...(this.#last?.testError === undefined ? {} : { testError: this.#last.testError }),
      ...(this.#rate === undefined ? {} : { imagesPerSecond: this.#rate }),
      ...(this.#ms === undefined ? {} : { left: stepsLeft * this.#ms + evaluations * this.evaluating }),
    }
  }
}

/** 95000 → 1 min 35 s */
export function timeText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return `${minutes} min ${seconds % 60} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}

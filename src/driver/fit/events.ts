// What a training run tells while it goes on.
import type { EpochMetrics, Scores } from '../run/metrics.js'

/** Once, before the first step of this process. */
export interface StartEvent {
  readonly event: 'start'
  /** Steps done by earlier processes of this run. */
  readonly step: number
  readonly epoch: number
  readonly epochs: number
  readonly stepsPerEpoch: number
  /** The step that this process stops after, unless it is stopped. */
  readonly lastStep: number
  readonly batchSize: number
}

/** After each training step. */
export interface StepEvent {
  readonly event: 'step'
  /** Steps done in all, this one included. */
  readonly step: number
  /** From 0. */
  readonly epoch: number
  /** The loss of the batch, before the step. */
  readonly loss: number
  /** Of a classifier: the fraction of the batch that was classified wrong, before the step. */
  readonly error?: number
  /** Metrics of the batch that are not called error. */
  readonly metrics?: Scores
  /** What the step took; of steps that were taken in one run, their mean. */
  readonly ms: number
  /** Examples in the batch. */
  readonly images: number
  /** Over the epoch so far. */
  readonly meanLoss: number
  readonly meanError?: number
  readonly meanMetrics?: Scores
}

/** After each epoch and its evaluation. `loss`, `error` and `metrics` are over the epoch's batches. */
export interface EpochEvent extends EpochMetrics {
  readonly event: 'epoch'
  /** What training and evaluation took in this process. */
  readonly ms: number
}

/** Why a run ended: all epochs done, the asked-for number of steps done, or stopped from outside. */
export type EndReason = 'finished' | 'steps' | 'interrupted'

/** Once, at the end. `loss` and `error` are of the epoch in progress, or of the last one where none is. */
export interface EndEvent {
  readonly event: 'end'
  readonly step: number
  readonly epoch: number
  readonly loss: number
  readonly error?: number
  readonly metrics?: Scores
  /** After the last complete epoch; null before there is one, and where there is no such metric. */
  readonly testLoss: number | null
  readonly testError: number | null
  readonly testMetrics?: Scores
  /** What this process took. */
  readonly ms: number
  readonly reason: EndReason
}

/** Something worth telling that does not stop the run. */
export interface NoticeEvent {
  readonly event: 'notice'
  readonly message: string
}

/** Before the first step, while the candidates for its convolutions are timed on this machine: once, the results are kept. */
export interface TuningEvent {
  readonly event: 'tuning'
  readonly done: number
  readonly total: number
}

/** What a run tells while it goes on, told apart by `event`; `rdm-fit --json` prints each as a line. */
export type FitEvent = StartEvent | StepEvent | EpochEvent | EndEvent | NoticeEvent | TuningEvent

// What a run computes with. In Node sessions and batches are in threads of their own; a page has others.

import type { BatchOptions } from '../data/batches.js'
import type { BatchSource } from '../data/batchSource.js'
import type { Binding } from '../data/bind.js'
import type { Split } from '../data/dataset.js'
import type { CarriedState } from '../runtime/protocol.js'
import type { Session, StepModels, TrainingSession } from '../runtime/session.js'

export interface StepOptions extends CarriedState {
  readonly models: StepModels
  /** The batch size to begin with. */
  readonly batch: number
  /** The steps a run to begin with. */
  readonly steps: number
  /** Whether a model stays open while one for another batch size is used. */
  readonly keepModels: boolean
  /** Whether the runtime rewrites the graph to make it faster. */
  readonly optimize: boolean
}

export interface Engine {
  /** Opens a model where the run computes. @throws UserError when the runtime refuses it */
  open(model: Uint8Array, options: { readonly optimize: boolean }): Promise<Session>
  /** Opens a small model on the CPU: what another processor would gain nothing by. */
  openSmall(model: Uint8Array): Promise<Session>
  /** Opens a training step. @throws UserError when the runtime refuses it, or the state does not fit */
  openTraining(options: StepOptions): Promise<TrainingSession>
  /** Opens the batches of a split. @throws UserError or RangeError for a split from which no batches are made so */
  openBatches(split: Split, bindings: readonly Binding[], options: BatchOptions): Promise<BatchSource>
  /** Whether a session for predictions is kept between evaluations. */
  readonly keepsPredictor: boolean
}

// What the main thread and the thread that makes batches say to each other.
import type { Tensors } from '../../core/graph/tensor.js'
import type { BatchOptions } from './batches.js'
import type { Binding } from './bind.js'
import type { Split } from './dataset.js'

export type Request =
  | {
      readonly kind: 'open'
      readonly split: Split
      readonly bindings: readonly Binding[]
      readonly options: BatchOptions
    }
  /** A batch, or where `steps` is given so many, stacked. */
  | { readonly kind: 'batch'; readonly epoch: number; readonly step: number; readonly steps?: number | undefined }

/** Answers by kind of request. */
export interface Replies {
  open: undefined
  batch: Tensors
}

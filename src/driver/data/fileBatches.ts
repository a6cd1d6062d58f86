// Batches whose image files are decoded by sharp.

import { type BatchOptions, Batches as PixelBatches } from './batches.js'
import type { Binding } from './bind.js'
import type { Split } from './dataset.js'
import { decodeImages } from './imageFiles.js'

/** The mini-batches of a split: every example at most once an epoch, in an order of its own each epoch. */
export class Batches extends PixelBatches {
  /** @throws RangeError for a batch size that is none, or images that are too small for a transform */
  constructor(split: Split, bindings: readonly Binding[], options: BatchOptions) {
    super(split, bindings, options, decodeImages)
  }
}

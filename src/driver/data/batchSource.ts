// Batches made in a thread of their own.

import type { Tensors } from '../../core/graph/tensor.js'
import { RequestThread } from '../threads/thread.js'
import { Batches, type BatchOptions, type Epochs } from './batches.js'
import type { Replies, Request } from './batchProtocol.js'
import type { Binding } from './bind.js'
import type { Split } from './dataset.js'

export interface BatchSource extends Pick<Epochs, 'stepsPerEpoch' | 'sizeOf' | 'alikeFrom' | 'count'> {
  /** By the names of the inputs. */
  batch(epoch: number, step: number): Promise<Tensors>
  /** So many batches of one size, from `step` on, stacked. */
  stack(epoch: number, step: number, steps: number): Promise<Tensors>
  close(): Promise<void>
}

/**
 * Memory that is not shared between threads is copied to the thread, once.
 * @throws UserError or RangeError for a split from which no batches are made so
 */
export async function openBatches(
  split: Split,
  bindings: readonly Binding[],
  options: BatchOptions,
): Promise<BatchSource> {
  // Checked here, where an error still has its type.
  const epochs: Epochs = new Batches(split, bindings, options)
  const thread = new RequestThread<Request, Replies>(
    new URL('./batchWorker.js', import.meta.url),
    "the data set's thread",
  )
  const used = new Set(bindings.map(({ column }) => column))
  const columns = Object.fromEntries(Object.entries(split.columns).filter(([name]) => used.has(name)))
  await thread.request({ kind: 'open', split: { count: split.count, columns }, bindings, options })
  return {
    count: epochs.count,
    stepsPerEpoch: epochs.stepsPerEpoch,
    sizeOf: (step) => epochs.sizeOf(step),
    alikeFrom: (step) => epochs.alikeFrom(step),
    batch: (epoch, step) => thread.request({ kind: 'batch', epoch, step }),
    stack: (epoch, step, steps) => thread.request({ kind: 'batch', epoch, step, steps }),
    close: () => thread.end(),
  }
}

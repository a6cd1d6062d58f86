// A trainable model whose step adds up the gradients of several batches.

import { type Tensor, zeros } from '../graph/tensor.js'
import { nameOf } from '../graph/value.js'
import { accumulatedStep } from '../training/accumulate.js'
import type { TrainableModel } from './trainable.js'

/** @throws GraphError for a step whose gradients are not marked */
export function accumulating(model: TrainableModel): TrainableModel {
  const { signature, added } = accumulatedStep(model.graph(), model.signature)
  const graphOf = (batch?: number) => accumulatedStep(model.graph(batch), model.signature).graph
  const encode: TrainableModel['encode'] = (lowered, options = {}) => model.encode(lowered, { signature, ...options })
  const sums = added.map((value): [string, Tensor] => [
    nameOf(value),
    zeros(value.dtype, value.shape as readonly number[]),
  ])
  return {
    ...model,
    graph: graphOf,
    encode,
    step: (target, batch) => encode(target.lower(graphOf(batch))),
    state: { ...model.state, ...Object.fromEntries(sums) },
    signature,
    fingerprint: `${model.fingerprint} accumulating`,
  }
}

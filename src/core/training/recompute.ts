// Activation recomputation (Chen et al. 2016, "Training deep nets with sublinear memory cost"): the output of a batch norm
// and of the ReLU behind it is half of what a backward pass keeps, and one cheap pass over the convolution's output, which
// is kept anyway, brings it back.

import { cse } from '../graph/cse.js'
import type { Graph } from '../graph/graph.js'
import { rebuild, rewrite } from '../graph/rewrite.js'
import { apply1, type Node, nodeOf, rootScope, type Value } from '../graph/value.js'
import { BatchNormAgain, BatchNormTraining, Relu, relu } from '../ops/index.js'

/** The output of a batch norm in training, or of a ReLU on one, computed again once `after` is there. */
export function recompute(value: Value, after: Value): Value | undefined {
  if (value.origin.kind !== 'node') return undefined
  const { node, index } = value.origin
  if (node.operator === Relu) {
    const normalized = recompute(node.inputs[0]!, after)
    return normalized && rootScope(`${node.scope}/again`, () => relu(normalized))
  }
  if (node.operator !== BatchNormTraining || index !== 0) return undefined
  const [x, scale, shift] = node.inputs
  const [, , , mean, inverse] = node.outputs
  return rootScope(`${node.scope}/again`, () => apply1(BatchNormAgain, [x, scale, shift, mean, inverse, after]))
}

/** The reverse of `recompute`, for machines with memory to spare: what would be computed again is kept. */
export function keepActivations(source: Graph): Graph {
  const images = new Map<Node, readonly Value[]>()
  const rewritten = rewrite(source, (node, inputs) => {
    if (node.operator === BatchNormTraining) {
      const outputs = rebuild(node, inputs)
      images.set(node, outputs)
      return outputs
    }
    const [, , , mean] = node.inputs
    const norm = node.operator === BatchNormAgain ? nodeOf(mean) : undefined
    return norm && [images.get(norm)![0]!]
  })
  return cse(rewritten)
}

// Activation recomputation (Chen et al. 2016, "Training deep nets with sublinear memory cost"): the output of a batch norm
// and of the ReLU behind it is half of what a backward pass keeps, and one cheap pass over the convolution's output, which
// is kept anyway, brings it back.

import type { Graph } from '../graph/graph.js'
import { again, rewrite } from '../graph/rewrite.js'
import { share } from '../graph/share.js'
import { constantOf, type Node, nodeOf, rootScope, type Value } from '../graph/value.js'
import {
  Add,
  add,
  BatchNormalization,
  BatchNormTraining,
  batchNormalization,
  Mul,
  mul,
  Reciprocal,
  Relu,
  reciprocal,
  reduceSum,
  relu,
  reshape,
  slice,
} from '../ops/index.js'

/**
 * Zero, float32 [1], that depends on a value. Added to an operand it keeps a runtime from computing early what belongs into
 * the backward pass, and from recognising it as the node that the forward pass already has. No scalar: OpenCV computes
 * nothing with a sum of all elements that has no dimensions.
 */
function zeroAfter(value: Value): Value {
  const inner = value.shape.map((_, axis) => axis).slice(1)
  const corner =
    inner.length === 0
      ? value
      : slice(
          value,
          inner,
          inner.map(() => 0),
          inner.map(() => 1),
        )
  return mul(reduceSum(reshape(corner, [-1]), [0]), 0)
}

/** The output of a batch norm in training, or of a ReLU on one, computed again once `after` is there. */
export function recompute(value: Value, after: Value): Value | undefined {
  if (value.origin.kind !== 'node') return undefined
  const { node, index } = value.origin
  if (node.operator.name === Relu.name) {
    const normalized = recompute(node.inputs[0]!, after)
    return normalized && rootScope(`${node.scope}/again`, () => relu(normalized))
  }
  if (node.operator.name !== BatchNormTraining.name || index !== 0) return undefined
  const again = `${node.scope}/again`
  const [x, scale, shift] = node.inputs as readonly [Value, Value, Value]
  const [, , , mean, inverse] = node.outputs as readonly [Value, Value, Value, Value, Value]
  const variance = rootScope(`${again}/variance`, () => reciprocal(mul(inverse, inverse)))
  const zero = rootScope(`${again}/zero`, () => zeroAfter(after))
  const waiting = rootScope(`${again}/scale`, () => add(scale, zero))
  return rootScope(again, () => batchNormalization(x, { scale: waiting, shift, mean, variance }, { epsilon: 0 }))
}

/** The node behind a value, if it is one of this operator. */
const madeBy = (operator: { readonly name: string }, value: Value | undefined): Node | undefined =>
  nodeOf(value)?.operator.name === operator.name ? nodeOf(value) : undefined

/** The training batch norm whose output a node computes again, as `recompute` writes it; undefined for any other node. */
function repeated({ operator, inputs }: Node): Node | undefined {
  if (operator.name !== BatchNormalization.name) return undefined
  const [x, scale, shift, mean, variance] = inputs
  const norm = madeBy(BatchNormTraining, mean)
  const [own, zero] = madeBy(Add, scale)?.inputs ?? []
  const square = madeBy(Mul, madeBy(Reciprocal, variance)?.inputs[0])
  const isZero = constantOf(madeBy(Mul, zero)?.inputs[1])?.every((value) => value === 0)
  const [normX, normScale, normShift] = norm?.inputs ?? []
  const same = x === normX && own === normScale && shift === normShift && mean === norm?.outputs[3]
  return isZero && same && square?.inputs.every((value) => value === norm?.outputs[4]) ? norm : undefined
}

/** The reverse of `recompute`, for machines with memory to spare: what would be computed again is kept. */
export function keepActivations(source: Graph): Graph {
  const images = new Map<Node, readonly Value[]>()
  const rewritten = rewrite(source, (node, inputs) => {
    if (node.operator.name === BatchNormTraining.name) {
      const outputs = again(node, inputs)
      images.set(node, outputs)
      return outputs
    }
    const norm = repeated(node)
    return norm && [images.get(norm)![0]!]
  })
  return share(rewritten)
}

// Target `ort-cuda`: ONNX Runtime's CUDA provider. At the sizes of these networks a step takes as long as it has nodes, each
// a launch: every primitive is written in few of them, and what others compute again to save memory is kept. How many such
// steps become one run: steps.ts.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { isKnown } from '../../../core/graph/shape.js'
import { share } from '../../../core/graph/share.js'
import { apply, constant, GraphError, type Node, type Value } from '../../../core/graph/value.js'
import {
  Cast,
  cast,
  convTranspose,
  div,
  gather,
  mul,
  oneHot,
  reciprocal,
  SgdMomentum,
  shapeOf,
  sub,
} from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import { type Expander, expandNode, expandPrimitives, isPrimitive, type Target } from '../../../core/targets/target.js'
import { keepActivations } from '../../../core/training/recompute.js'
import { batchNorms } from './batchNorm.js'
import { convWeightGrad } from './weightGradient.js'

export const precisions = ['fp32', 'fp16'] as const
/** `fp16`: convolutions and matrix products in half precision; weights, statistics, sums and the loss in float32. */
export type Precision = (typeof precisions)[number]

export interface LowerOptions {
  readonly precision?: Precision
  /** Images in a batch, float32 []; from the shapes of the graph's inputs unless given. */
  readonly images?: Value
  /** The loss is multiplied by it before the gradients are taken, and the gradients divided by it; float32 []. */
  readonly lossScale?: Value
}

/** The target: one step, with the inputs and outputs that it has elsewhere. */
export const ortCuda = (options: LowerOptions = {}): Target => ({
  name: 'ort-cuda',
  lower: (source) => share(expandPrimitives(lowerNetwork(source, options), portable)),
})

/** Operators that are worth half precision: what a GPU's matrix units compute. */
const heavy = new Set(['Conv', 'ConvTranspose', 'ConvInputGrad', 'ConvWeightGrad', 'MatMul', 'Gemm'])

/** Everything but SgdMomentum, of which there is one a weight: the updates are best put together first. */
export function lowerNetwork(source: Graph, { precision = 'fp32', images, lossScale }: LowerOptions): Graph {
  const kept = keepActivations(source)
  const target = expander(images ?? imagesOf(kept), lossScale)
  const half = halves()
  const write = (node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] =>
    isPrimitive(node) ? expandNode(target, node, inputs) : apply(node.operator, inputs, node.attributes)
  const lowered = rewrite(kept, (node, inputs) => {
    if (node.operator.name === SgdMomentum.name) return lossScale && unscaled(node, inputs, lossScale)
    if (precision === 'fp16' && heavy.has(node.operator.name))
      return write(
        node,
        inputs.map((value) => value && half(value)),
      ).map((value) => (value.dtype === 'float16' ? cast(value, 'float32') : value))
    return isPrimitive(node) ? write(node, inputs) : undefined
  })
  return share(lowered)
}

/** The optimizer's step on a gradient of the scaled loss. */
function unscaled(node: Node, [w, gradient, v, rate]: readonly (Value | undefined)[], lossScale: Value) {
  return apply(node.operator, [w, mul(gradient!, reciprocal(lossScale)), v, rate], node.attributes)
}

/** Half precision of each value once; a float32 that was half precision before goes back to it without a node. */
function halves(): (value: Value) => Value {
  const known = new Map<Value, Value>()
  return (value) => {
    const source =
      value.origin.kind === 'node' && value.origin.node.operator === Cast ? value.origin.node.inputs[0] : undefined
    const made = known.get(value) ?? (source?.dtype === 'float16' ? source : cast(value, 'float16'))
    known.set(value, made)
    return made
  }
}

/** How many images a batch has, float32 [], from an input of the graph whose first axis is the batch. */
function imagesOf({ inputs }: Graph): Value | undefined {
  const batched = inputs.find(({ shape: [first] }) => first !== undefined && !isKnown(first))
  return batched && cast(gather(shapeOf(batched), constant('int64', 0)), 'float32')
}

function expander(images: Value | undefined, lossScale: Value | undefined): Expander {
  const batchOf = ({ shape: [first] }: Value): Value | number => {
    if (isKnown(first!)) return first
    if (!images) throw new GraphError(`needs an input whose first axis is the batch '${first}'`)
    return images
  }
  return {
    name: 'ort-cuda',
    expansions: {
      ...portable.expansions,
      ...batchNorms(batchOf),
      // cuDNN's own kernel of it.
      ConvInputGrad: ([dy, w], attributes) => [convTranspose(dy!, w!, attributes)],
      ConvWeightGrad: convWeightGrad,
      SoftmaxCrossEntropyGrad([dloss, probabilities, labels]) {
        const targets = oneHot(labels!, constant('int64', probabilities!.shape[1] as number))
        const batch = batchOf(labels!)
        const scaled = lossScale ? mul(dloss!, lossScale) : dloss!
        return [mul(sub(probabilities!, targets), div(scaled, batch))]
      },
    },
  }
}

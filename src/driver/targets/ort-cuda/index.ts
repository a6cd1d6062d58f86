// Target `ort-cuda`: ONNX Runtime's CUDA provider. At the sizes of these networks a step takes as long as it has nodes, each
// a launch: every primitive is written in few of them, and what others compute again to save memory is kept. How many such
// steps become one run: steps.ts.

import { cse } from '../../../core/graph/cse.js'
import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { isKnown } from '../../../core/graph/shape.js'
import { apply, constant, GraphError, type Node, type Value } from '../../../core/graph/value.js'
import {
  Cast,
  Conv,
  ConvInputGrad,
  ConvTranspose,
  ConvWeightGrad,
  cast,
  convTranspose,
  div,
  Gemm,
  gather,
  MatMul,
  mul,
  oneHot,
  reciprocal,
  scatterApart,
  shapeOf,
  sub,
} from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import { type Expander, expandNode, expandPrimitives, type Target } from '../../../core/targets/target.js'
import { keepActivations } from '../../../core/training/recompute.js'
import type { Precision } from '../target.js'
import { batchNorms } from './batchNorm.js'
import { convWeightGrad } from './weightGradient.js'

/** How {@link ortCuda} writes a step. */
export interface LowerOptions {
  readonly precision?: Precision
  /** Examples in a batch, float32 []; from the shapes of the graph's inputs unless given. */
  readonly examples?: Value | undefined
  /** The backward pass begins with it, and the gradients are divided by it where they end; float32 []. */
  readonly lossScale?: Value | undefined
}

/** The target: one step, with the inputs and outputs that it has elsewhere. */
export const ortCuda = (options: LowerOptions = {}): Target => ({
  name: 'ort-cuda',
  lower: (source) => cse(expandPrimitives(lowerNetwork(source, options), portable)),
})

/** Operators that are worth half precision: what a GPU's matrix units compute. */
const heavy: ReadonlySet<unknown> = new Set<unknown>([Conv, ConvTranspose, ConvInputGrad, ConvWeightGrad, MatMul, Gemm])

/** Every primitive written out; what is updated alike is best put together afterwards (packs.ts). */
export function lowerNetwork(source: Graph, { precision = 'fp32', examples, lossScale }: LowerOptions): Graph {
  const kept = keepActivations(source)
  const target = expander(examples ?? examplesOf(kept), lossScale)
  const half = halves()
  const write = (node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] =>
    expandNode(target, node, inputs) ?? apply(node.operator, inputs, node.attributes)
  const lowered = rewrite(kept, (node, inputs) => {
    if (precision === 'fp16' && heavy.has(node.operator))
      return write(
        node,
        inputs.map((value) => value && half(value)),
      ).map((value) => (value.dtype === 'float16' ? cast(value, 'float32') : value))
    return expandNode(target, node, inputs)
  })
  return cse(lowered)
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

/** How many examples a batch has, float32 [], from an input of the graph whose first axis is the batch. */
function examplesOf({ inputs }: Graph): Value | undefined {
  const batched = inputs.find(({ shape: [first] }) => first !== undefined && !isKnown(first))
  return batched && cast(gather(shapeOf(batched), constant('int64', 0)), 'float32')
}

function expander(examples: Value | undefined, lossScale: Value | undefined): Expander {
  const batchOf = ({ shape: [first] }: Value): Value | number => {
    if (isKnown(first!)) return first
    if (!examples) throw new GraphError(`needs an input whose first axis is the batch '${first}'`)
    return examples
  }
  return {
    name: 'ort-cuda',
    expansions: {
      ...portable.expansions,
      ...batchNorms(batchOf),
      // cuDNN's own kernel of it.
      ConvInputGrad: ([dy, w], attributes) => [convTranspose(dy!, w!, attributes)],
      ConvWeightGrad: convWeightGrad,
      // At opset 13, which this target writes for BatchNormalization's sake, a scatter that adds is a loop over all windows.
      MaxPoolScatter: (inputs, attributes) => [scatterApart(inputs as [Value, Value, Value], attributes)],
      SoftmaxCrossEntropyGrad([dloss, probabilities, labels]) {
        const targets = oneHot(labels!, constant('int64', probabilities!.shape[1] as number))
        return [mul(sub(probabilities!, targets), div(dloss!, batchOf(labels!)))]
      },
      ...(lossScale && {
        Seed: () => [lossScale],
        WeightGradient: ([gradient]) => [mul(gradient!, reciprocal(lossScale))],
      }),
    },
  }
}

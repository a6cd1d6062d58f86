// Level `basic` of the portable target: only operators that nearly every reader of ONNX has. What is replaced stood in the
// way of a runtime that was tried (docs/runtimes.md), or is rare among small ones.

import type { AttributeSpecs, AttributesOf, Operator } from '../../graph/operator.js'
import { isKnown } from '../../graph/shape.js'
import type { Numbers } from '../../graph/tensor.js'
import { apply1, constant, constantOf, constantTensor, GraphError, type Value } from '../../graph/value.js'
import {
  add,
  cast,
  div,
  equal,
  exp,
  greater,
  logSoftmax,
  mul,
  neg,
  RandomNormal,
  RandomUniform,
  ReduceMean,
  ReduceSum,
  Reshape,
  reciprocal,
  reduceMean,
  reduceSum,
  reshapeTo,
  size,
  sqrt,
  sub,
  unsqueeze,
} from '../../ops/index.js'
import { batchNormBy } from '../batchNorm.js'
import { type Expander, type Expansion, expandPrimitives, type Target } from '../target.js'
import { forms, overChannels } from './batchNorm.js'
import { portable } from './index.js'
import { maxPoolScatter } from './maxPool.js'

/** a·x + b with vectors [C]. */
const affine = (x: Value, a: Value, b: Value): Value => add(mul(x, overChannels(a, x)), overChannels(b, x))

/** scale·inverse·x + (shift − mean·scale·inverse) */
function normalized(x: Value, scale: Value, shift: Value, mean: Value, inverse: Value): Value {
  const slope = mul(scale, inverse)
  return affine(x, slope, sub(shift, mul(mean, slope)))
}

/** 1 where a column is that of the label, else 0: [batch, classes] like the logits. */
function hits(labels: Value, logits: Value): Value {
  const classes = logits.shape[1]!
  if (!isKnown(classes))
    throw new GraphError(`needs a known number of classes, got '${classes}'; give the logits a fixed last dimension`)
  const columns = constant('int64', Array.from(new Array(classes).keys()), [1, classes])
  return cast(equal(unsqueeze(labels, 1), columns), logits.dtype)
}

/** Over the batch after all else: OpenCV gives wrong sums over batch and places at once. */
const inTwo =
  <S extends AttributeSpecs>(operator: Operator<S>): Expansion<AttributesOf<S>> =>
  ([x, ...given], attributes) => {
    const axes = constantOf(given[0])?.map((axis) => (axis < 0 ? axis + x!.shape.length : axis)) ?? []
    const inner = axes.filter((axis) => axis !== 0)
    const over = (value: Value, some: readonly number[]) =>
      apply1(operator, [value, constant('int64', some)], attributes)
    if (inner.length === axes.length || inner.length === 0) return [apply1(operator, [x, ...given], attributes)]
    return [over(over(x!, inner), [0])]
  }

const drawn = (values: readonly Numbers[]): readonly Value[] => values.map(constantTensor)

export const basic: Target & Expander = {
  name: 'portable-basic',
  lower: (graph) => expandPrimitives(graph, basic),
  expansions: {
    ...portable.expansions,
    ...batchNormBy({
      ...forms,
      meanSquare: (x) => forms.meanProduct(x, x),
      normalize: (x, { scale, shift, mean, inverse }) => normalized(x, scale, shift, mean, inverse),
    }),
    ReluGrad: ([dy, y]) => [mul(dy!, cast(greater(y!, 0), dy!.dtype))],
    SoftmaxCrossEntropy([logits, labels]) {
      const logs = logSoftmax(logits!)
      const picked = reduceSum(mul(logs, hits(labels!, logs)), [1], { keepdims: 0 })
      return [reduceMean(neg(picked), [0], { keepdims: 0 }), exp(logs)]
    },
    SoftmaxCrossEntropyGrad: ([dloss, probabilities, labels]) => [
      mul(sub(probabilities!, hits(labels!, probabilities!)), div(dloss!, cast(size(labels!), dloss!.dtype))),
    ],
    // Some runtimes know it with constant vectors alone, as it is in a network that predicts.
    BatchNormalization([x, scale, shift, mean, variance], { epsilon }) {
      return [normalized(x!, scale!, shift!, mean!, reciprocal(sqrt(add(variance!, epsilon))))]
    },
    MaxPoolScatter: maxPoolScatter,
    // Numbers for 0 and −1: OpenCV folds a Reshape into the one before it, with the zeros of the wrong one.
    Reshape: ([x, shape]) => [reshapeTo(x!, apply1(Reshape, [x, shape]).shape)],
    ReduceMean: inTwo(ReduceMean),
    ReduceSum: inTwo(ReduceSum),
    // Drawn here: the numbers are then the same in every runtime.
    RandomNormal: (_, attributes) => drawn(RandomNormal.evaluate([], attributes)),
    RandomUniform: (_, attributes) => drawn(RandomUniform.evaluate([], attributes)),
  },
}

/** Which operators a portable model is written in. */
export const levels = { standard: portable, basic } as const
export type PortableLevel = keyof typeof levels
export const levelNames = Object.keys(levels) as PortableLevel[]

// Batch normalization without a training mode, which the WebGPU provider lacks: the mean, the variance about it, and its kernel
// for given statistics.

import { isStatic } from '../../../core/graph/shape.js'
import type { Value } from '../../../core/graph/value.js'
import {
  add,
  batchNormalization,
  movedStatistics,
  mul,
  reciprocal,
  reduceMean,
  reduceSumSquare,
  reshape,
  sqrt,
  sub,
} from '../../../core/ops/index.js'
import type { BatchNormExpansions } from '../../../core/targets/batchNorm.js'
import { portable } from '../../../core/targets/portable/index.js'
import { affine, channelMean, full, standardizedGrad } from '../gpu/batchNorm.js'

/** A vector [C] in a shape that broadcasts over x. */
const overChannels = (vector: Value, x: Value) =>
  reshape(vector, [x.shape[1] as number, ...x.shape.slice(2).map(() => 1)])

/** Elements a channel. */
const countOf = ({ shape }: Value) =>
  shape.reduce<number>((product, dim) => product * (dim as number), 1) / (shape[1] as number)

/** The variance about a mean, not E x² − mean², which cancels where the mean is large. */
function varianceOf(x: Value, mean: Value): Value {
  const rest = sub(x, overChannels(mean, x))
  const places = x.shape.map((_, axis) => axis).slice(2)
  // Over places and over images apart: axes that lie side by side.
  const sums = places.length === 0 ? mul(rest, rest) : reduceSumSquare(rest, places, { keepdims: 0 })
  const size = countOf(x) / (x.shape[0] as number)
  const each = reduceMean(sums, [0], { keepdims: 0 })
  return size === 1 ? each : mul(each, 1 / size)
}

/** x̂ = (x − mean) · inverse; computed twice, it is one node. */
const standardized = (x: Value, mean: Value, inverse: Value): Value =>
  batchNormalization(x, { scale: inverse, shift: full(x, 0), mean, variance: full(x, 1) }, { epsilon: 0 })

export const batchNorms: BatchNormExpansions = {
  BatchNormTraining(inputs, attributes) {
    const [x, scale, shift, runningMean, runningVariance] = inputs as [Value, Value, Value, Value, Value]
    if (!isStatic(x.shape)) return portable.expansions.BatchNormTraining(inputs, attributes)
    const { epsilon, momentum } = attributes
    const mean = channelMean(x)
    const variance = varianceOf(x, mean)
    const inverse = reciprocal(sqrt(add(variance, epsilon)))
    return [
      affine(standardized(x, mean, inverse), { scale, shift }),
      ...movedStatistics([runningMean, runningVariance], [mean, variance], momentum, countOf(x)),
      mean,
      inverse,
    ]
  },

  BatchNormGrad(inputs) {
    const [dy, x, scale, mean, inverse] = inputs as [Value, Value, Value, Value, Value]
    if (!isStatic(x.shape)) return portable.expansions.BatchNormGrad(inputs, {})
    return standardizedGrad(dy, { xHat: standardized(x, mean, inverse), scale, inverse, count: countOf(x) })
  },
}

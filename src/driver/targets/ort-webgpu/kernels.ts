// What the WebGPU provider has no kernel for, in what it has: the training primitives, log softmax, one-hot rows, places of maxima.

import { requireKnown } from '../../../core/graph/dims.js'
import { isKnown, type Shape } from '../../../core/graph/shape.js'
import { apply1, constant, GraphError, type Value } from '../../../core/graph/value.js'
import {
  add,
  cast,
  div,
  equal,
  gather,
  less,
  mul,
  ReduceLogSumExp,
  reduceMax,
  reduceMin,
  sub,
  unsqueeze,
  where,
} from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import { maxPoolScatter } from '../../../core/targets/portable/maxPool.js'
import type { Expander } from '../../../core/targets/target.js'
import { batchNorms } from './batchNorm.js'
import { convWeightGrad } from './weightGradient.js'

/** The whole numbers below the length of an axis, in a shape that broadcasts along it. */
const counted = (length: number, axis: number, rank: number): Value =>
  constant(
    'int32',
    Array.from({ length }, (_, i) => i),
    Array.from({ length: rank }, (_, i) => (i === axis ? length : 1)),
  )

/** Whether each number of the new axis is the index, bool. */
const isAt = (indices: Value, axis: number, length: number): Value =>
  equal(unsqueeze(cast(indices, 'int32'), axis), counted(length, axis, indices.shape.length + 1))

interface Place {
  readonly axis: number
  readonly keepdims: number
  readonly select_last_index: number
}

/** Where along an axis the best number stands, the first of equals or the last: the provider's own kernels give int64 alone. */
function placeOf(x: Value, best: (x: Value, axes: readonly number[]) => Value, options: Place): Value {
  const { keepdims, select_last_index } = options
  const [axis, length] = axisOf(x.shape, options.axis)
  const [pick, none] = select_last_index ? ([reduceMax, -1] as const) : ([reduceMin, length] as const)
  const here = equal(x, best(x, [axis]))
  const at = where(here, counted(length, axis, x.shape.length), constant('int32', none))
  return cast(pick(at, [axis], { keepdims }), 'int64')
}

function axisOf(shape: Shape, axis: number): readonly [axis: number, length: number] {
  const along = axis < 0 ? axis + shape.length : axis
  const length = shape[along]!
  if (!isKnown(length)) throw new GraphError(`needs a known size in place of '${length}'`)
  return [along, length]
}

export const webgpuKernels: Expander = {
  name: 'ort-webgpu',
  expansions: {
    ...portable.expansions,
    ...batchNorms,
    ConvWeightGrad: convWeightGrad,
    // MaxPool does not give places there.
    MaxPoolScatter: maxPoolScatter,

    ArgMax: ([x], options) => [placeOf(x!, reduceMax, options)],
    ArgMin: ([x], options) => [placeOf(x!, reduceMin, options)],

    LogSoftmax([x], { axis }) {
      const shifted = sub(x!, reduceMax(x!, [axis]))
      return [sub(shifted, apply1(ReduceLogSumExp, [shifted, constant('int64', [axis])]))]
    },

    OneHot([indices, depth, values], { axis }) {
      const [length] = requireKnown(depth!, 'the depth') as [number]
      const whole = cast(indices!, 'int32')
      const places = where(less(whole, 0), add(whole, length), whole)
      const [off, on] = [0, 1].map((i) => gather(values!, constant('int64', i)))
      return [where(isAt(places, axis < 0 ? axis + indices!.shape.length + 1 : axis, length), on!, off!)]
    },

    // Labels are no negative indices.
    SoftmaxCrossEntropyGrad([dloss, probabilities, labels]) {
      const [, classes] = axisOf(probabilities!.shape, 1)
      const [, batch] = axisOf(labels!.shape, 0)
      const targets = cast(isAt(labels!, 1, classes), probabilities!.dtype)
      return [mul(sub(probabilities!, targets), div(dloss!, batch))]
    },
  },
}

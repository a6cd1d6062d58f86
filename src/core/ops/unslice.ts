// The adjoint of Slice.

import { knownIn } from '../graph/dims.js'
import { isKnown, type Shape } from '../graph/shape.js'
import { apply1, constant, type Value } from '../graph/value.js'
import { add, cast, less, max, min, sub, where } from './elementwise.js'
import { range } from './generate.js'
import { gather } from './indexing.js'
import { pad, padBy } from './pad.js'
import { scatterInto } from './scatter.js'
import { Expand, int64, Reshape, requireAxes, reshape, reshapeTo, shapeOf, size, unsqueeze } from './shape.js'
import { type AxisSlice, concat, flip, Slice, sliceAxes, sliceAxis } from './slice.js'

/** The adjoint of Slice: each element goes back to its place in a tensor of zeros. */
export function unslice(grad: Value, x: Value, operands: readonly (Value | undefined)[]): Value {
  const parts = operands.map((operand) => operand && knownIn(operand))
  if (operands.every((operand, i) => !operand || parts[i])) {
    const axes = sliceAxes<number>(x.shape, parts, sliceAxis)
    if (axes.every((axis) => axis !== undefined)) return framed(grad, x.shape, axes)
  }
  const [starts] = operands
  const length = starts!.shape[0]!
  const along = operands[2] ? parts[2] : isKnown(length) ? Array.from({ length }, (_, i) => i) : undefined
  if (along && (!operands[3] || parts[3]?.every((step) => step === 1)))
    return framedAtRun(grad, x, starts!, requireAxes(along, x.shape.length))
  return scattered(grad, x, operands)
}

/** Zeros between and around the elements, where all is known. */
function framed(grad: Value, shape: Shape, axes: readonly AxisSlice[]): Value {
  let result = grad
  const before = shape.map(() => 0)
  const after = shape.map(() => 0)
  axes.forEach(({ start, step, count, less }, axis) => {
    if (step < 0) result = flip(result, axis)
    if (count === undefined) {
      before[axis] = start
      after[axis] = less - start
      return
    }
    const length = shape[axis] as number
    const stride = Math.abs(step)
    const first = step < 0 ? start + (count - 1) * step : start
    // Zeros between neighbours: [n] → [n, 1] → [n, stride] → [n · stride].
    if (stride > 1) {
      const padded = pad(unsqueeze(result, axis + 1), [axis + 1], [0], [stride - 1])
      const spread = [...result.shape.slice(0, axis), count * stride, ...result.shape.slice(axis + 1)]
      result = reshapeTo(padded, spread, grad)
    }
    before[axis] = first
    after[axis] = length - first - count * stride
  })
  const moved = axes.map((_, axis) => axis).filter((axis) => before[axis] !== 0 || after[axis] !== 0)
  if (moved.length === 0) return result
  return pad(
    result,
    moved,
    moved.map((axis) => before[axis]!),
    moved.map((axis) => after[axis]!),
  )
}

/** Zeros around the elements, as many as the run says, for steps of 1. */
function framedAtRun(grad: Value, x: Value, starts: Value, axes: readonly number[]): Value {
  const lengths = gather(shapeOf(x), int64(axes))
  const given = cast(starts, 'int64')
  const first = min(max(where(less(given, 0), add(given, lengths), given), 0), lengths)
  const rest = sub(sub(lengths, first), gather(shapeOf(grad), int64(axes)))
  return padBy(grad, concat([first, rest], 0), int64(axes))
}

/** The places of the elements are sliced likewise, and say where each goes. */
function scattered(grad: Value, x: Value, operands: readonly (Value | undefined)[]): Value {
  const count = size(x)
  const places = apply1(Reshape, [range(constant('int64', 0), count, constant('int64', 1)), shapeOf(x)])
  const taken = reshape(apply1(Slice, [places, ...operands]), [-1])
  const zeros = apply1(Expand, [constant(grad.dtype, 0), reshape(count, [1])])
  return apply1(Reshape, [scatterInto(zeros, taken, reshape(grad, [-1]), 0), shapeOf(x)])
}

// Operators that cut, frame and join: Slice, Pad, Concat, Split.

import { int, ONNX_DOMAIN, operator, required, string } from '../graph/operator.js'
import { fixed, ints, normal, scalar } from '../graph/sample.js'
import { addDims, type Dim, isKnown, type Shape, unifyDims } from '../graph/shape.js'
import { apply, apply1, constant, constantOf, GraphError, requireConstant, type Value } from '../graph/value.js'
import { sub } from './elementwise.js'
import { reduceSum } from './reduction.js'
import { select } from './reference.js'
import { fillAs, int64, requireAxes, reshapeTo, unsqueeze } from './shape.js'

interface AxisSlice {
  start: number
  step: number
  /** Undefined: as long as the axis is, less `less`. */
  count: number | undefined
  less: number
}

/** One axis of a Slice by ONNX's clamping rules. A symbolic axis allows only what does not depend on its length. */
function sliceAxis(dim: Dim, start: number, end: number, step: number): AxisSlice {
  if (step === 0 || !Number.isInteger(step)) throw new GraphError(`step ${step} must be a whole number other than 0`)
  if (isKnown(dim)) {
    const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value))
    const from = start < 0 ? start + dim : start
    const to = end < 0 ? end + dim : end
    const first = step > 0 ? clamp(from, 0, dim) : clamp(from, 0, dim - 1)
    const last = step > 0 ? clamp(to, 0, dim) : clamp(to, -1, dim - 1)
    return { start: first, step, count: Math.max(0, Math.ceil((last - first) / step)), less: 0 }
  }
  const toEnd = end >= WHOLE
  if (step === 1 && start >= 0 && (toEnd || end < 0))
    return { start, step, count: undefined, less: start - (toEnd ? 0 : end) }
  throw new GraphError(`the axis '${dim}' is symbolic: only start ≥ 0 with an end counted from the back can be sliced`)
}

/** "To the end of the axis" for Slice's ends, and its mirror for negative steps. */
export const WHOLE = 2 ** 31 - 1

function sliceAxes(shape: Shape, [starts, ends, axes, steps]: readonly (readonly number[] | undefined)[]) {
  const along = requireAxes(axes ?? starts!.map((_, i) => i), shape.length)
  return shape.map((dim, axis): AxisSlice => {
    const i = along.indexOf(axis)
    return i < 0
      ? { start: 0, step: 1, count: undefined, less: 0 }
      : sliceAxis(dim, starts![i]!, ends![i]!, steps?.[i] ?? 1)
  })
}

/** x[starts : ends : steps] along axes, by ONNX's rules: ends are exclusive, negative places count from the back. */
export const Slice = operator({
  name: 'Slice',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [3, 5],
  infer([x, ...operands]) {
    const parts = operands.map((operand) => operand && requireConstant(operand, 'starts, ends, axes and steps'))
    if (parts.some((part) => part && part.length !== parts[0]!.length))
      throw new GraphError('starts, ends, axes and steps need one number each for the same axes')
    const shape = sliceAxes(x!.shape, parts).map(({ count, less }, axis) => count ?? addDims(x!.shape[axis]!, -less))
    return [{ dtype: x!.dtype, shape }]
  },
  gradient: {
    rule: ({ grad, inputs: [x, ...operands] }) => [
      unslice(grad, x!.shape, sliceAxes(x!.shape, operands.map(constantOf))),
    ],
  },
  evaluate([x, ...operands]) {
    const axes = sliceAxes(
      x!.shape,
      operands.map((operand) => operand && [...operand.data]),
    )
    const shape = axes.map(({ count }, axis) => count ?? x!.shape[axis]!)
    return [select(x!, shape, (index) => index.map((i, axis) => axes[axis]!.start + i * axes[axis]!.step))]
  },
  samples: [
    { inputs: [normal(4, 5), ints(1, -3), ints(4, WHOLE)] },
    { inputs: [normal(2, 7), ints(1), ints(6), ints(1), ints(2)] },
    { inputs: [normal(3, 7), ints(-1, 5), ints(-WHOLE, 0), ints(0, -1), ints(-1, -2)] },
  ],
})

/** Slice along some axes: `slice(x, [2], [1], [WHOLE], [2])` is x[:, :, 1::2]. */
export const slice = (
  x: Value,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = axes.map(() => 1),
): Value => apply1(Slice, [x, int64(starts), int64(ends), int64(axes), int64(steps)])

/** x with the given axes reversed. */
export const flip = (x: Value, ...axes: number[]): Value =>
  slice(
    x,
    axes,
    axes.map(() => -1),
    axes.map(() => -WHOLE),
    axes.map(() => -1),
  )

/** The adjoint of Slice: each element goes back to its place in a tensor of zeros. */
function unslice(grad: Value, shape: Shape, axes: readonly AxisSlice[]): Value {
  let result = grad
  const before = shape.map(() => 0)
  const after = shape.map(() => 0)
  axes.forEach(({ start, step, count, less }, axis) => {
    if (count === undefined) {
      before[axis] = start
      after[axis] = less - start
      return
    }
    const length = shape[axis] as number
    if (step < 0) result = flip(result, axis)
    const stride = Math.abs(step)
    const first = step < 0 ? start + (count - 1) * step : start
    // Zeros between neighbours: [n] → [n, 1] → [n, stride] → [n · stride].
    if (stride > 1) {
      const padded = pad(unsqueeze(result, axis + 1), [axis + 1], [0], [stride - 1])
      result = reshapeTo(padded, [...result.shape.slice(0, axis), count * stride, ...result.shape.slice(axis + 1)])
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

function padding(rank: number, pads: readonly number[], axes: readonly number[] | undefined) {
  const along = requireAxes(axes ?? Array.from({ length: rank }, (_, i) => i), rank)
  if (pads.length !== 2 * along.length)
    throw new GraphError(`needs two pads an axis, got ${pads.length} for ${along.length} axes`)
  const at = (axis: number, side: 0 | 1) => pads[along.indexOf(axis) + side * along.length] ?? 0
  return Array.from({ length: rank }, (_, axis) =>
    along.includes(axis) ? ([at(axis, 0), at(axis, 1)] as const) : ([0, 0] as const),
  )
}

/** A frame of one number around x; negative pads crop. */
export const Pad = operator({
  name: 'Pad',
  domain: ONNX_DOMAIN,
  since: 18,
  before: {
    mostInputs: 3,
    instead([x, pads, value, axes]) {
      if (!axes) return undefined
      const frame = padding(x!.shape.length, constantOf(pads)!, constantOf(axes))
      return [padWith(x!, int64([...frame.map(([before]) => before), ...frame.map(([, after]) => after)]), value)]
    },
  },
  attributes: { mode: string('constant') },
  arity: [2, 4],
  infer([x, pads, , axes], { mode }) {
    if (mode !== 'constant') throw new GraphError(`mode '${mode}' is not supported; use 'constant'`)
    const frame = padding(x!.shape.length, requireConstant(pads!, 'pads'), axes && requireConstant(axes, 'axes'))
    const shape = x!.shape.map((dim, axis) => addDims(dim, frame[axis]![0] + frame[axis]![1]))
    const lost = shape.findIndex((dim) => isKnown(dim) && dim < 0)
    if (lost >= 0) throw new GraphError(`negative pads crop more of axis ${lost} than its ${x!.shape[lost]}`)
    return [{ dtype: x!.dtype, shape }]
  },
  gradient: {
    rule({ grad, inputs: [, pads, value, axes] }) {
      const back = constant(
        'int64',
        constantOf(pads)!.map((amount) => -amount),
      )
      const dx = padWith(grad, back, undefined, axes)
      const total = (part: Value) => reduceSum(part, undefined, { keepdims: 0 })
      // What does not come from x comes from the number around it.
      return [dx, undefined, value && sub(total(grad), total(dx))]
    },
  },
  evaluate([x, pads, value, axes]) {
    const frame = padding(x!.shape.length, [...pads!.data], axes && [...axes.data])
    const shape = x!.shape.map((dim, axis) => dim + frame[axis]![0] + frame[axis]![1])
    const inside = (index: readonly number[]) => index.every((i, axis) => i >= 0 && i < x!.shape[axis]!)
    const source = (index: readonly number[]) => {
      const from = index.map((i, axis) => i - frame[axis]![0])
      return inside(from) ? from : undefined
    }
    return [select(x!, shape, source, value?.data[0] ?? 0)]
  },
  samples: [
    { inputs: [normal(2, 3), ints(1, 0, 0, 2)] },
    { inputs: [normal(2, 4), ints(-1, 2), scalar(0.5), ints(1)] },
    { inputs: [normal(2, 4), ints(1, -1, 0, 2), normal()] },
  ],
})
/**
 * Zeros around x: so many before and after along each of the axes. Written with a pad for every axis: the operand `axes` is
 * new in opset 18, and ONNX Runtime for WebGPU refuses it where it moves channels last.
 */
export function pad(x: Value, axes: readonly number[], before: readonly number[], after: readonly number[]): Value {
  const everywhere = (amounts: readonly number[]) => x.shape.map((_, axis) => amounts[axes.indexOf(axis)] ?? 0)
  return padWith(x, int64([...everywhere(before), ...everywhere(after)]), undefined)
}

function padWith(x: Value, pads: Value, value: Value | undefined, axes?: Value): Value {
  return apply1(Pad, axes ? [x, pads, value, axes] : value ? [x, pads, value] : [x, pads])
}

/** Joins values along an axis; all other dimensions agree. */
export const Concat = operator({
  name: 'Concat',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: required('int') },
  arity: [1, Number.POSITIVE_INFINITY],
  infer(parts, { axis }) {
    const [first] = parts
    const [along] = requireAxes([axis], first!.shape.length)
    for (const part of parts) {
      const fits =
        part.dtype === first!.dtype &&
        part.shape.length === first!.shape.length &&
        part.shape.every((dim, i) => i === along || unifyDims(dim, first!.shape[i]!) !== undefined)
      if (!fits) throw new GraphError(`all inputs must agree in dtype and in every dimension but axis ${along}`)
    }
    const total = parts.map((part) => part.shape[along!]!).reduce(addDims)
    const unified = parts
      .map(({ shape }) => shape)
      .reduce((a, b) => a.map((dim, i) => (i === along ? 0 : unifyDims(dim, b[i]!)!)))
    return [{ dtype: first!.dtype, shape: unified.map((dim, i) => (i === along ? total : dim)) }]
  },
  dims(parts, _, known) {
    const all = parts.map(known)
    return [all.every((part) => part) && parts[0]!.shape.length === 1 ? all.flatMap((part) => part!) : undefined]
  },
  gradient: {
    rule({ grad, inputs, attributes: { axis } }) {
      const [along] = requireAxes([axis], grad.shape.length)
      let start = 0
      return inputs.map((part) => {
        const dim = part.shape[along!]!
        if (!isKnown(dim)) throw new GraphError(`no gradient along the symbolic axis '${dim}'; fix its size`)
        start += dim
        return slice(grad, [along!], [start - dim], [start])
      })
    },
  },
  evaluate(parts, { axis }) {
    const [along] = requireAxes([axis], parts[0]!.shape.length)
    const total = parts.reduce((sum, part) => sum + part.shape[along!]!, 0)
    const shape = parts[0]!.shape.map((dim, i) => (i === along ? total : dim))
    const joined = select(parts[0]!, shape, () => undefined)
    let start = 0
    for (const part of parts) {
      const offset = start
      const copy = select(part, shape, (index) => {
        const from = index.map((i, k) => (k === along ? i - offset : i))
        return from[along!]! >= 0 && from[along!]! < part.shape[along!]! ? from : undefined
      })
      copy.data.forEach((value, i) => {
        joined.data[i]! += value
      })
      start += part.shape[along!]!
    }
    return [joined]
  },
  samples: [
    { inputs: [normal(2, 3), normal(2, 1), normal(2, 2)], attributes: { axis: 1 } },
    { inputs: [normal(2, 3), normal(1, 3)], attributes: { axis: -2 } },
    { inputs: [fixed('int64', [2], [1, 2]), fixed('int64', [1], [3])], attributes: { axis: 0 } },
  ],
})
export const concat = (parts: readonly Value[], axis: number): Value => apply1(Concat, parts, { axis })

/** Consecutive parts of x along an axis; the second input says how long each is. */
export const Split = operator({
  name: 'Split',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(0) },
  arity: [2, 2],
  infer([x, lengths], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const counts = requireConstant(lengths!, 'the lengths of the parts')
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (total !== x!.shape[along!] || counts.some((count) => count < 0))
      throw new GraphError(`parts of ${counts} do not make up an axis of ${x!.shape[along!]}`)
    return counts.map((count) => ({
      dtype: x!.dtype,
      shape: x!.shape.map((dim, i) => (i === along ? count : dim)),
    }))
  },
  gradient: {
    rule: ({ grads, outputs, attributes: { axis } }) => [
      concat(
        outputs.map((part, i) => grads[i] ?? fillAs(0, part)),
        axis,
      ),
      undefined,
    ],
  },
  evaluate([x, lengths], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    let start = 0
    return [...lengths!.data].map((count) => {
      const first = start
      start += count
      const shape = x!.shape.map((dim, i) => (i === along ? count : dim))
      return select(x!, shape, (index) => index.map((i, k) => (k === along ? i + first : i)))
    })
  },
  samples: [{ inputs: [normal(6, 2), ints(1, 3, 2)] }, { inputs: [normal(2, 5), ints(5)], attributes: { axis: -1 } }],
})
export const split = (x: Value, lengths: readonly number[], axis = 0): readonly Value[] =>
  apply(Split, [x, int64(lengths)], { axis })

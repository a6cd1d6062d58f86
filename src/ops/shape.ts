// Operators that move or repeat elements without computing: Reshape, Transpose, Slice, Pad, Concat, Expand and the like.

import { int, ONNX_DOMAIN, operator, optional, required, string } from '../graph/operator.js'
import { fixed, ints, normal, scalar } from '../graph/sample.js'
import {
  addDims,
  broadcastShapes,
  type Dim,
  divideDim,
  isKnown,
  isStatic,
  normalizeAxis,
  type Shape,
  sizeOf,
} from '../graph/shape.js'
import { tensor } from '../graph/tensor.js'
import { apply1, constant, constantOf, GraphError, requireConstant, type Value } from '../graph/value.js'
import { reshaped, select } from './reference.js'

/** Axes of a constant operand or attribute, counted from the front; each at most once. */
export function requireAxes(axes: readonly number[], rank: number): number[] {
  const front = axes.map((axis) => {
    const normal = normalizeAxis(axis, rank)
    if (normal === undefined) throw new GraphError(`axis ${axis} is out of range for ${rank} dimensions`)
    return normal
  })
  const twice = front.find((axis, i) => front.indexOf(axis) !== i)
  if (twice !== undefined) throw new GraphError(`axis ${twice} is given twice`)
  return front
}

const int64 = (values: readonly number[]): Value => constant('int64', values)

/** The shape of x as an int64 vector; a constant when all of it is known. */
export const Shape_ = operator({
  name: 'Shape',
  domain: ONNX_DOMAIN,
  attributes: {},
  arity: [1, 1],
  infer: ([x]) => [{ dtype: 'int64', shape: [x!.shape.length] }],
  gradient: 'zero',
  evaluate: ([x]) => [tensor('int64', [x!.shape.length], x!.shape)],
  samples: [{ inputs: [normal(2, 3)] }],
})
export const shapeOf = (x: Value): Value => (isStatic(x.shape) ? int64(x.shape) : apply1(Shape_, [x]))

/** The number of elements of x, an int64 scalar. */
export const Size = operator({
  name: 'Size',
  domain: ONNX_DOMAIN,
  attributes: {},
  arity: [1, 1],
  infer: () => [{ dtype: 'int64', shape: [] }],
  gradient: 'zero',
  evaluate: ([x]) => [tensor('int64', [], [x!.data.length])],
  samples: [{ inputs: [normal(2, 3)] }],
})
export const size = (x: Value): Value => apply1(Size, [x])

/** A target shape given as a value: a constant, or the shape of another value. */
function targetShape(value: Value): Shape {
  const numbers = constantOf(value)
  if (numbers) return numbers
  const { origin } = value
  if (origin.kind === 'node' && origin.node.operator.name === Shape_.name) return origin.node.inputs[0]!.shape
  throw new GraphError('the target shape must be a constant or the Shape of a value')
}

function inferReshape(x: Shape, target: Shape): Shape {
  const copied = target.map((dim, axis) => {
    if (dim !== 0) return dim
    if (axis >= x.length) throw new GraphError(`0 at position ${axis} copies a dimension that the input does not have`)
    return x[axis]!
  })
  const rest = sizeOf(copied.filter((dim) => dim !== -1))
  const total = sizeOf(x)
  const open = copied.filter((dim) => dim === -1).length
  if (open > 1) throw new GraphError('at most one dimension of the target may be −1')
  if (open === 0) {
    if (rest !== total) throw new GraphError(`target of ${rest} elements for an input of ${total}`)
    return copied
  }
  const inferred = rest === 0 ? undefined : divideDim(total, rest)
  if (inferred === undefined) throw new GraphError(`${total} elements do not divide by ${rest} to fill the −1`)
  return copied.map((dim) => (dim === -1 ? inferred : dim))
}

/** Same elements, other shape: 0 copies the input's dimension, one −1 is inferred. */
export const Reshape = operator({
  name: 'Reshape',
  domain: ONNX_DOMAIN,
  attributes: {},
  arity: [2, 2],
  infer: ([x, target]) => [{ dtype: x!.dtype, shape: inferReshape(x!.shape, targetShape(target!)) }],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeTo(grad, x!.shape), undefined] },
  evaluate: ([x, target]) => [reshaped(x!, inferReshape(x!.shape, [...target!.data]) as readonly number[])],
  samples: [{ inputs: [normal(2, 3, 4), ints(0, -1)] }, { inputs: [normal(6), ints(2, 3)] }],
})
export const reshape = (x: Value, shape: readonly number[]): Value => apply1(Reshape, [x, int64(shape)])

/** Reshape to a shape with at most one symbol in it, which becomes the −1. */
export function reshapeTo(x: Value, shape: Shape): Value {
  const unknown = shape.filter((dim) => !isKnown(dim))
  if (unknown.length > 1) throw new GraphError(`cannot reshape to [${shape}]: more than one dimension is symbolic`)
  return reshape(
    x,
    shape.map((dim) => (isKnown(dim) ? dim : -1)),
  )
}

/** [d0 · … · d(axis−1), d(axis) · …]. */
export const Flatten = operator({
  name: 'Flatten',
  domain: ONNX_DOMAIN,
  attributes: { axis: int(1) },
  arity: [1, 1],
  infer: ([x], { axis }) => [{ dtype: x!.dtype, shape: flatShape(x!.shape, axis) }],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeTo(grad, x!.shape)] },
  evaluate: ([x], { axis }) => [reshaped(x!, flatShape(x!.shape, axis) as readonly number[])],
  samples: [{ inputs: [normal(2, 3, 2)] }, { inputs: [normal(2, 3, 2)], attributes: { axis: -1 } }],
})
function flatShape(shape: Shape, axis: number): Shape {
  const at = axis === shape.length ? axis : normalizeAxis(axis, shape.length)
  if (at === undefined) throw new GraphError(`axis ${axis} is out of range for ${shape.length} dimensions`)
  return [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))]
}
export const flatten = (x: Value, axis = 1): Value => apply1(Flatten, [x], { axis })

/** y[i0, i1, …] = x with axis k of y being axis perm[k] of x. */
export const Transpose = operator({
  name: 'Transpose',
  domain: ONNX_DOMAIN,
  attributes: { perm: optional('ints') },
  arity: [1, 1],
  infer([x], { perm }) {
    const order = perm ?? reversed(x!.shape.length)
    if ([...order].sort((a, b) => a - b).join() !== x!.shape.map((_, axis) => axis).join()) {
      throw new GraphError(`perm must hold each axis 0 … ${x!.shape.length - 1} once`)
    }
    return [{ dtype: x!.dtype, shape: order.map((axis) => x!.shape[axis]!) }]
  },
  gradient: {
    rule({ grad, inputs: [x], attributes: { perm } }) {
      const order = perm ?? reversed(x!.shape.length)
      return [
        transpose(
          grad,
          order.map((_, axis) => order.indexOf(axis)),
        ),
      ]
    },
  },
  evaluate([x], { perm }) {
    const order = perm ?? reversed(x!.shape.length)
    const shape = order.map((axis) => x!.shape[axis]!)
    return [select(x!, shape, (index) => order.map((_, axis) => index[order.indexOf(axis)]!))]
  },
  samples: [{ inputs: [normal(2, 3, 4)], attributes: { perm: [2, 0, 1] } }, { inputs: [normal(2, 3)] }],
})
const reversed = (rank: number) => Array.from({ length: rank }, (_, i) => rank - 1 - i)
export const transpose = (x: Value, perm?: readonly number[]): Value => apply1(Transpose, [x], { perm })

/** Size-1 axes at the given places of the output. */
export const Unsqueeze = operator({
  name: 'Unsqueeze',
  domain: ONNX_DOMAIN,
  attributes: {},
  arity: [2, 2],
  infer: ([x, axes]) => [{ dtype: x!.dtype, shape: unsqueezed(x!.shape, requireConstant(axes!, 'axes')) }],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeTo(grad, x!.shape), undefined] },
  evaluate: ([x, axes]) => [reshaped(x!, unsqueezed(x!.shape, [...axes!.data]) as readonly number[])],
  samples: [{ inputs: [normal(2, 3), ints(0, -1)] }],
})
function unsqueezed(shape: Shape, axes: readonly number[]): Shape {
  const rank = shape.length + axes.length
  const added = requireAxes(axes, rank)
  const rest = [...shape]
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : rest.shift()!))
}
export const unsqueeze = (x: Value, ...axes: number[]): Value => apply1(Unsqueeze, [x, int64(axes)])

/** Drops the given axes, which must have size 1. */
export const Squeeze = operator({
  name: 'Squeeze',
  domain: ONNX_DOMAIN,
  attributes: {},
  arity: [2, 2],
  infer: ([x, axes]) => [{ dtype: x!.dtype, shape: squeezed(x!.shape, requireConstant(axes!, 'axes')) }],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeTo(grad, x!.shape), undefined] },
  evaluate: ([x, axes]) => [reshaped(x!, squeezed(x!.shape, [...axes!.data]) as readonly number[])],
  samples: [{ inputs: [normal(1, 3, 1), ints(0, -1)] }],
})
function squeezed(shape: Shape, axes: readonly number[]): Shape {
  const dropped = requireAxes(axes, shape.length)
  const wrong = dropped.find((axis) => shape[axis] !== 1)
  if (wrong !== undefined) throw new GraphError(`axis ${wrong} has size ${shape[wrong]}, only size 1 can be dropped`)
  return shape.filter((_, axis) => !dropped.includes(axis))
}
export const squeeze = (x: Value, ...axes: number[]): Value => apply1(Squeeze, [x, int64(axes)])

/** Broadcasts x to a target shape (ONNX: both ways, so a target dimension of 1 keeps the input's). */
export const Expand = operator({
  name: 'Expand',
  domain: ONNX_DOMAIN,
  attributes: {},
  arity: [2, 2],
  infer([x, target]) {
    const shape = broadcastShapes(x!.shape, targetShape(target!))
    if (!shape) throw new GraphError(`cannot be expanded to [${targetShape(target!)}]`)
    return [{ dtype: x!.dtype, shape }]
  },
  // The engine sums the gradient over the broadcast axes.
  gradient: { rule: ({ grad }) => [grad, undefined] },
  evaluate([x, target]) {
    const shape = broadcastShapes(x!.shape, [...target!.data]) as readonly number[]
    return [select(x!, shape, (index) => index.slice(index.length - x!.shape.length))]
  },
  samples: [{ inputs: [normal(3, 1), ints(2, 1, 4)] }, { inputs: [normal(), ints(2, 3)] }],
})
/** x repeated to a known shape. */
export const expand = (x: Value, shape: readonly number[]): Value => apply1(Expand, [x, int64(shape)])
/** x repeated to the shape of another value. */
export const expandAs = (x: Value, like: Value): Value => apply1(Expand, [x, shapeOf(like)])
/** A tensor of one number with the shape and dtype of another value. */
export const fillAs = (value: number, like: Value): Value => expandAs(constant(like.dtype, value), like)

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
    rule({ grad, inputs: [, pads, , axes] }) {
      const back = constant(
        'int64',
        constantOf(pads)!.map((amount) => -amount),
      )
      return [padWith(grad, back, axes)]
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
  ],
})
/** Zeros around x: so many before and after along each of the axes. */
export const pad = (x: Value, axes: readonly number[], before: readonly number[], after: readonly number[]): Value =>
  padWith(x, int64([...before, ...after]), int64(axes))

function padWith(x: Value, pads: Value, axes: Value | undefined): Value {
  return apply1(Pad, axes ? [x, pads, undefined, axes] : [x, pads])
}

/** Joins values along an axis; all other dimensions agree. */
export const Concat = operator({
  name: 'Concat',
  domain: ONNX_DOMAIN,
  attributes: { axis: required('int') },
  arity: [1, Number.POSITIVE_INFINITY],
  infer(parts, { axis }) {
    const [first] = parts
    const [along] = requireAxes([axis], first!.shape.length)
    for (const part of parts) {
      const fits =
        part.dtype === first!.dtype &&
        part.shape.length === first!.shape.length &&
        part.shape.every((dim, i) => i === along || dim === first!.shape[i])
      if (!fits) throw new GraphError(`all inputs must agree in dtype and in every dimension but axis ${along}`)
    }
    const total = parts.map((part) => part.shape[along!]!).reduce(addDims)
    return [{ dtype: first!.dtype, shape: first!.shape.map((dim, i) => (i === along ? total : dim)) }]
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

// Operators that give the same elements another shape or order, or repeat them: Reshape, Transpose, Expand and the like.

import { dimsIn, knownIn } from '../graph/dims.js'
import { int, type Older, ONNX_DOMAIN, type Operator, older, operator, optional } from '../graph/operator.js'
import { fixed, ints, normal } from '../graph/sample.js'
import {
  broadcastShapes,
  type Dim,
  divideDim,
  isKnown,
  isStatic,
  normalizeAxis,
  type Shape,
  sizeOf,
  unknownDim,
  unknownShape,
} from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { Gather } from './indexing.js'
import { reshaped, select } from './reference.js'
import { Concat } from './slice.js'

const none = {}
type None = typeof none

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

/** A one-dimensional int64 constant. */
export const int64 = (values: readonly number[]): Value => constant('int64', values)

/** Places in a list by ONNX's rule for a start and an end: from the back where negative, held to the list. */
function range(rank: number, start: number, end: number | undefined): readonly [number, number] {
  const held = (place: number) => Math.max(0, Math.min(rank, place < 0 ? place + rank : place))
  return [held(start), end === undefined ? rank : held(end)]
}

const shapeAttributes = { start: int(0), end: optional('int') }

/** The shape of x, or the dimensions from `start` to before `end`, as an int64 vector. */
export const Shape_: Operator<typeof shapeAttributes> = operator({
  name: 'Shape',
  domain: ONNX_DOMAIN,
  since: 15,
  before: {
    lacks: ['start', 'end'],
    instead([x], { start, end }) {
      const [from, to] = range(x!.shape.length, start, end)
      if (from === 0 && to === x!.shape.length) return undefined
      const places = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
      return [apply1(Gather, [apply1(Shape_, [x]), int64(places)])]
    },
  },
  attributes: shapeAttributes,
  arity: [1, 1],
  infer: ([x], { start, end }) => [
    { dtype: 'int64', shape: [x!.shape.slice(...range(x!.shape.length, start, end)).length] },
  ],
  dims: ([x], { start, end }) => [x!.shape.slice(...range(x!.shape.length, start, end))],
  gradient: 'zero',
  evaluate([x], { start, end }) {
    const dims = x!.shape.slice(...range(x!.shape.length, start, end))
    return [numbers('int64', [dims.length], dims)]
  },
  samples: [
    { inputs: [normal(2, 3)] },
    { inputs: [normal(2, 3, 4)], attributes: { start: 1 } },
    { inputs: [normal(2, 3, 4)], attributes: { start: -3, end: -1 } },
  ],
})
/** The shape of x; a constant when all of it is known. */
export const shapeOf = (x: Value): Value => (isStatic(x.shape) ? int64(x.shape) : apply1(Shape_, [x]))

/** The number of elements of x, an int64 scalar. */
export const Size = operator({
  name: 'Size',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [1, 1],
  infer: () => [{ dtype: 'int64', shape: [] }],
  dims: ([x]) => [[sizeOf(x!.shape)]],
  gradient: 'zero',
  evaluate: ([x]) => [numbers('int64', [], [x!.data.length])],
  samples: [{ inputs: [normal(2, 3)] }],
})
/** How many elements x has, int64 []. */
export const size = (x: Value): Value => apply1(Size, [x])

/** A target shape given as a value: what is known of it, with a dimension that only the data tell in each other place. */
function targetShape(target: Value): Shape {
  if (target.shape.length !== 1) throw new GraphError('the target shape must be a vector')
  const [rank] = target.shape
  const known = dimsIn(target)
  if (known) return known
  if (!isKnown(rank!)) throw new GraphError('the target shape must have a known length')
  return unknownShape(rank)
}

function inferReshape(x: Shape, target: Shape, allowzero: number): Shape {
  const copied = target.map((dim, axis) => {
    if (dim !== 0 || allowzero) return dim
    if (axis >= x.length) throw new GraphError(`0 at position ${axis} copies a dimension that the input does not have`)
    return x[axis]!
  })
  const rest = sizeOf(copied.filter((dim) => dim !== -1))
  const total = sizeOf(x)
  const open = copied.filter((dim) => dim === -1).length
  if (open > 1) throw new GraphError('at most one dimension of the target may be −1')
  if (open === 0) {
    if (isKnown(rest) && isKnown(total) && rest !== total)
      throw new GraphError(`target of ${rest} elements for an input of ${total}`)
    return completed(copied, total)
  }
  const inferred = rest === 0 ? undefined : divideDim(total, rest)
  if (inferred === undefined && isKnown(rest) && isKnown(total))
    throw new GraphError(`${total} elements do not divide by ${rest} to fill the −1`)
  return copied.map((dim) => (dim === -1 ? (inferred ?? unknownDim()) : dim))
}

/** A shape of so many elements in which one dimension is a symbol: that follows from the others. */
function completed(shape: Shape, total: Dim): Shape {
  const open = shape.filter((dim) => !isKnown(dim))
  if (open.length !== 1) return shape
  const rest = sizeOf(shape.filter(isKnown))
  const dim = rest === 0 ? undefined : divideDim(total, rest)
  return dim === undefined || !isKnown(dim) ? shape : shape.map((given) => (isKnown(given) ? given : dim))
}

const reshapeAttributes = { allowzero: int(0) }

/** Same elements, other shape: 0 copies the input's dimension (unless allowzero = 1), one −1 is inferred. */
export const Reshape: Operator<typeof reshapeAttributes> = operator({
  name: 'Reshape',
  domain: ONNX_DOMAIN,
  since: 14,
  before: {
    lacks: ['allowzero'],
    // It means something else only where the target holds a 0.
    instead([x, target], { allowzero }) {
      if (!allowzero) return undefined
      if (knownIn(target)?.includes(0) ?? true)
        throw new GraphError(
          'allowzero=1 with a 0 came with version 14 of the ONNX operators; ask for that or a later one',
        )
      return [apply1(Reshape, [x, target])]
    },
  },
  attributes: reshapeAttributes,
  arity: [2, 2],
  infer: ([x, target], { allowzero }) => [
    { dtype: x!.dtype, shape: inferReshape(x!.shape, targetShape(target!), allowzero) },
  ],
  dims: ([x], _, known) => [known(x)],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeAs(grad, x!), undefined] },
  evaluate: ([x, target], { allowzero }) => [
    reshaped(x!, inferReshape(x!.shape, [...target!.data], allowzero) as readonly number[]),
  ],
  samples: [
    { inputs: [normal(2, 3, 4), ints(0, -1)] },
    { inputs: [normal(6), ints(2, 3)] },
    { inputs: [normal(6), fixed('int64', [2], [3, 2])] },
    { inputs: [normal(2, 3), ints(3, 2)], attributes: { allowzero: 1 } },
  ],
})
/** x in another shape; one −1 stands for what is left, 0 keeps the dimension at its place. */
export const reshape = (x: Value, shape: readonly number[]): Value => apply1(Reshape, [x, int64(shape)])

/**
 * Reshape to a shape with symbols in it. One becomes the −1; where there are more, they are taken from the values that have
 * them.
 * @param like values whose shapes have the symbols, beside x
 */
export function reshapeTo(x: Value, shape: Shape, ...like: readonly Value[]): Value {
  const unknown = shape.filter((dim) => !isKnown(dim))
  if (unknown.length > 1) return apply1(Reshape, [x, shapeVector(shape, [x, ...like])])
  return reshape(
    x,
    shape.map((dim) => (isKnown(dim) ? dim : -1)),
  )
}

/** x in the shape of another value, which has as many elements. */
export const reshapeAs = (x: Value, like: Value): Value =>
  like.shape.filter((dim) => !isKnown(dim)).length > 1 ? apply1(Reshape, [x, shapeOf(like)]) : reshapeTo(x, like.shape)

/**
 * A shape as an int64 vector: numbers as constants, symbols from the shapes of values that have them; the first that none has
 * becomes −1.
 */
export function shapeVector(shape: Shape, sources: readonly Value[]): Value {
  if (isStatic(shape)) return int64(shape)
  let open = 0
  const parts = shape.map((dim) => {
    if (isKnown(dim)) return int64([dim])
    for (const source of sources) {
      const axis = source.shape.indexOf(dim)
      if (axis >= 0) return apply1(Shape_, [source], { start: axis, end: axis + 1 })
    }
    if (open++ > 0) throw new GraphError(`cannot say the shape [${shape}]: '${dim}' is in none of the values at hand`)
    return int64([-1])
  })
  return apply1(Concat, parts, { axis: 0 })
}

/** [d0 · … · d(axis−1), d(axis) · …]. */
export const Flatten = operator({
  name: 'Flatten',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(1) },
  arity: [1, 1],
  infer: ([x], { axis }) => [{ dtype: x!.dtype, shape: flatShape(x!.shape, axis) }],
  dims: ([x], _, known) => [known(x)],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeAs(grad, x!)] },
  evaluate: ([x], { axis }) => [reshaped(x!, flatShape(x!.shape, axis) as readonly number[])],
  samples: [{ inputs: [normal(2, 3, 2)] }, { inputs: [normal(2, 3, 2)], attributes: { axis: -1 } }],
})
function flatShape(shape: Shape, axis: number): Shape {
  const at = axis === shape.length ? axis : normalizeAxis(axis, shape.length)
  if (at === undefined) throw new GraphError(`axis ${axis} is out of range for ${shape.length} dimensions`)
  return [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))]
}
/** x as a matrix: the axes before `axis` are its rows, the others its columns. */
export const flatten = (x: Value, axis = 1): Value => apply1(Flatten, [x], { axis })

/** y[i0, i1, …] = x with axis k of y being axis perm[k] of x. */
export const Transpose = operator({
  name: 'Transpose',
  domain: ONNX_DOMAIN,
  since: 13,
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
/** Axis k of the result is axis perm[k] of x; in reverse order unless given. */
export const transpose = (x: Value, perm?: readonly number[]): Value => apply1(Transpose, [x], { perm })

/** Size-1 axes at the given places of the output. */
export const Unsqueeze: Operator<None> = operator({
  name: 'Unsqueeze',
  domain: ONNX_DOMAIN,
  since: 13,
  older: [axesAsAttribute((x, axes) => unsqueeze(x, ...axes!))],
  attributes: none,
  arity: [2, 2],
  infer([x, axes]) {
    const known = knownIn(axes)
    if (known) return [{ dtype: x!.dtype, shape: unsqueezed(x!.shape, known) }]
    return [{ dtype: x!.dtype, shape: unknownShape(x!.shape.length + lengthOf(axes!)) }]
  },
  dims: ([x], _, known) => [known(x)],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeAs(grad, x!), undefined] },
  evaluate: ([x, axes]) => [reshaped(x!, unsqueezed(x!.shape, [...axes!.data]) as readonly number[])],
  samples: [{ inputs: [normal(2, 3), ints(0, -1)] }, { inputs: [normal(2, 3), fixed('int64', [1], [1])] }],
})
function unsqueezed(shape: Shape, axes: readonly number[]): Shape {
  const rank = shape.length + axes.length
  const added = requireAxes(axes, rank)
  const rest = [...shape]
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : rest.shift()!))
}
/** x with axes of length 1 at these places of the result. */
export const unsqueeze = (x: Value, ...axes: number[]): Value => apply1(Unsqueeze, [x, int64(axes)])

/** Before version 13 the axes are an attribute. */
function axesAsAttribute(read: (x: Value, axes: readonly number[] | undefined) => Value): Older {
  return older({
    until: 12,
    attributes: { axes: optional('ints') },
    read: ([x], { axes }) => [read(x!, axes)],
  })
}

/** How many numbers a vector has, which must be known. */
export function lengthOf(vector: Value): number {
  const length = sizeOf(vector.shape)
  if (!isKnown(length)) throw new GraphError('axes must be known, or at least how many')
  return length
}

/** Drops the given axes, which must have size 1; without axes all that have. */
export const Squeeze: Operator<None> = operator({
  name: 'Squeeze',
  domain: ONNX_DOMAIN,
  since: 13,
  older: [axesAsAttribute((x, axes) => apply1(Squeeze, axes ? [x, int64(axes)] : [x]))],
  attributes: none,
  arity: [1, 2],
  infer([x, axes]) {
    const known = axes && knownIn(axes)
    if (!axes || known) return [{ dtype: x!.dtype, shape: squeezed(x!.shape, known) }]
    return [{ dtype: x!.dtype, shape: unknownShape(x!.shape.length - lengthOf(axes)) }]
  },
  dims: ([x], _, known) => [known(x)],
  gradient: { rule: ({ grad, inputs: [x] }) => [reshapeAs(grad, x!), undefined] },
  evaluate: ([x, axes]) => [reshaped(x!, squeezed(x!.shape, axes && [...axes.data]) as readonly number[])],
  samples: [
    { inputs: [normal(1, 3, 1), ints(0, -1)] },
    { inputs: [normal(1, 3, 1)] },
    { inputs: [normal(1, 3, 1), fixed('int64', [1], [2])] },
  ],
})
function squeezed(shape: Shape, axes: readonly number[] | undefined): Shape {
  if (!axes) return shape.filter((dim) => dim !== 1)
  const dropped = requireAxes(axes, shape.length)
  const wrong = dropped.find((axis) => isKnown(shape[axis]!) && shape[axis] !== 1)
  if (wrong !== undefined) throw new GraphError(`axis ${wrong} has size ${shape[wrong]}, only size 1 can be dropped`)
  return shape.filter((_, axis) => !dropped.includes(axis))
}
/** x without these axes, which have length 1. */
export const squeeze = (x: Value, ...axes: number[]): Value => apply1(Squeeze, [x, int64(axes)])

/** Broadcasts x to a target shape (ONNX: both ways, so a target dimension of 1 keeps the input's). */
export const Expand = operator({
  name: 'Expand',
  domain: ONNX_DOMAIN,
  since: 13,
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
    const shape = broadcastShapes(x!.shape, [...target!.data])
    if (!shape || !isStatic(shape) || shape.some((size) => size < 0))
      throw new GraphError(`cannot be expanded to [${target!.data}]`)
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

// Operators that give the same elements another shape or order, or repeat them: Reshape, Transpose, Expand and the like.

import { int, ONNX_DOMAIN, operator, optional } from '../graph/operator.js'
import { ints, normal } from '../graph/sample.js'
import { broadcastShapes, divideDim, isKnown, isStatic, normalizeAxis, type Shape, sizeOf } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
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

/** A one-dimensional int64 constant. */
export const int64 = (values: readonly number[]): Value => constant('int64', values)

/** The shape of x as an int64 vector; a constant when all of it is known. */
export const Shape_ = operator({
  name: 'Shape',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [1, 1],
  infer: ([x]) => [{ dtype: 'int64', shape: [x!.shape.length] }],
  gradient: 'zero',
  evaluate: ([x]) => [numbers('int64', [x!.shape.length], x!.shape)],
  samples: [{ inputs: [normal(2, 3)] }],
})
export const shapeOf = (x: Value): Value => (isStatic(x.shape) ? int64(x.shape) : apply1(Shape_, [x]))

/** The number of elements of x, an int64 scalar. */
export const Size = operator({
  name: 'Size',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [1, 1],
  infer: () => [{ dtype: 'int64', shape: [] }],
  gradient: 'zero',
  evaluate: ([x]) => [numbers('int64', [], [x!.data.length])],
  samples: [{ inputs: [normal(2, 3)] }],
})
export const size = (x: Value): Value => apply1(Size, [x])

/** A target shape given as a value: a constant, or the shape of another value. */
function targetShape(value: Value): Shape {
  const numbers = constantOf(value)
  if (numbers) return numbers
  const { origin } = value
  if (origin.kind === 'node' && origin.node.operator === Shape_) return origin.node.inputs[0]!.shape
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
  since: 13,
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
  since: 13,
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
export const transpose = (x: Value, perm?: readonly number[]): Value => apply1(Transpose, [x], { perm })

/** Size-1 axes at the given places of the output. */
export const Unsqueeze = operator({
  name: 'Unsqueeze',
  domain: ONNX_DOMAIN,
  since: 13,
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
  since: 13,
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

// Operators that pick elements by index: Gather, GatherElements, GatherND, NonZero, OneHot.

import { dimsIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { booleans, fixed, normal, scalarInt } from '../graph/sample.js'
import { isKnown, isStatic, type Shape, sizeOf, unifyDims, unknownDim } from '../graph/shape.js'
import { type DType, isFloat, numbers } from '../graph/tensor.js'
import { apply1, constant, constantOf, GraphError, type Value } from '../graph/value.js'
import { add, cast, equal, less, mul, sub, where } from './elementwise.js'
import { placesAlong } from './generate.js'
import { matmul } from './matmul.js'
import { reduceSum } from './reduction.js'
import { indices as multiIndices, positionOf, select } from './reference.js'
import { ScatterND, scatterAdd } from './scatter.js'
import {
  Expand,
  expand,
  fillAs,
  flatten,
  int64,
  requireAxes,
  reshape,
  reshapeTo,
  Shape_,
  transpose,
  unsqueeze,
} from './shape.js'
import { concat, pad } from './slice.js'

export function requireIndices(indices: Value): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32') {
    throw new GraphError(`indices must be int64 or int32, got ${indices.dtype}`)
  }
}

/** An index along an axis of the given length; negative ones count from the back. */
export function indexAt(index: number, length: number): number {
  const place = index < 0 ? index + length : index
  if (place < 0 || place >= length) throw new GraphError(`index ${index} is out of range for an axis of ${length}`)
  return place
}

const gatheredShape = (x: Shape, indices: Shape, axis: number): Shape => [
  ...x.slice(0, axis),
  ...indices,
  ...x.slice(axis + 1),
]

/** Slices of x along an axis: y[…, i, …] = x[…, indices[i], …]. */
export const Gather = operator({
  name: 'Gather',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(0) },
  arity: [2, 2],
  infer([x, indices], { axis }) {
    requireIndices(indices!)
    const [along] = requireAxes([axis], x!.shape.length)
    return [{ dtype: x!.dtype, shape: gatheredShape(x!.shape, indices!.shape, along!) }]
  },
  dims([x, indices], _, known) {
    const [from, places] = [known(x), known(indices)]
    if (!from || x!.shape.length !== 1 || !places?.every(isKnown)) return [undefined]
    return [places.map((place) => from[indexAt(place, from.length)]!)]
  },
  gradient: {
    rule: ({ grad, inputs: [x, indices], attributes: { axis } }) => [
      ungather(grad, x!, indices!, requireAxes([axis], x!.shape.length)[0]!),
      undefined,
    ],
  },
  evaluate([x, indices], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const rank = indices!.shape.length
    return [
      select(x!, gatheredShape(x!.shape, indices!.shape, along!) as readonly number[], (index) => [
        ...index.slice(0, along!),
        indexAt(indices!.data[positionOf(index.slice(along!, along! + rank), indices!.shape)]!, x!.shape[along!]!),
        ...index.slice(along! + rank),
      ]),
    ]
  },
  samples: [
    { inputs: [normal(4, 3), fixed('int64', [2, 2], [3, 0, 3, -2])] },
    { inputs: [normal(2, 3), fixed('int64', [], [1])], attributes: { axis: 1 } },
    { inputs: [normal(2, 3, 2), fixed('int32', [2, 2], [1, 0, -1, 1])], attributes: { axis: 1 } },
    { inputs: [normal(2, 3), scalarInt(-1)], attributes: { axis: 1 } },
  ],
})
/**
 * The slices of x along an axis at the indices, whole numbers of any shape that takes the axis's place; negative ones count
 * from the back.
 */
export const gather = (x: Value, indices: Value, axis = 0): Value => apply1(Gather, [x, indices], { axis })

/** The adjoint of Gather: each slice of the gradient is added where its index says. */
function ungather(grad: Value, x: Value, indices: Value, axis: number): Value {
  const place = indices.shape.length === 0 ? constantOf(indices)?.[0] : undefined
  const length = x.shape[axis]!
  if (place !== undefined && isKnown(length)) {
    const first = place < 0 ? place + length : place
    return pad(unsqueeze(grad, axis), [axis], [first], [length - 1 - first])
  }
  const slices = reshapeTo(grad, gatheredShape(x.shape, [sizeOf(indices.shape)], axis), x, indices)
  return addSlices(slices, reshape(indices, [-1]), x, axis)
}

/** Rows up to which a product with ones is faster than a scatter: 4,096 slices of 128 go into 64 rows in 0.9 ms, not 1.9. */
const FEW_ROWS = 64
/** Of fewer slices a scatter is as fast; and it keeps what is not finite to its own row, which a product does not. */
const MANY_SLICES = 256

/** Of slices [K, …] by a product: 1 where a slice goes to a row, else 0, [K, rows]ᵀ · [K, …]. */
function addToFew(slices: Value, places: Value, rows: number): Value {
  const column = reshape(cast(places, 'int64'), [-1, 1])
  const forward = where(less(column, constant('int64', 0)), add(column, constant('int64', rows)), column)
  const all = constant('int64', Array.from(new Array(rows).keys()), [1, rows])
  const ones = cast(equal(forward, all), slices.dtype)
  const summed = matmul(transpose(ones, [1, 0]), flatten(slices, 1))
  return reshapeTo(summed, [rows, ...slices.shape.slice(1)], slices)
}

/** Whether places are known, and each another one: then no scatter has to add up. */
function areApart(places: Value): boolean {
  const known = constantOf(places)
  return known !== undefined && new Set(known).size === known.length
}

/**
 * Zeros of the shape of x along an axis, and of that of the slices elsewhere, with each slice added at its place. By ScatterND,
 * which takes one index a slice, or by a product where there are few rows; the axis comes to the front for it.
 */
export function addSlices(slices: Value, places: Value, x: Value, axis: number): Value {
  const order = [axis, ...slices.shape.map((_, i) => i).filter((i) => i !== axis)]
  const rows = axis === 0 ? slices : transpose(slices, order)
  const shape = [x.shape[axis]!, ...rows.shape.slice(1)]
  const zero = constant(rows.dtype, 0)
  const target = () =>
    concat([apply1(Shape_, [x], { start: axis, end: axis + 1 }), apply1(Shape_, [rows], { start: 1 })], 0)
  const zeros = () =>
    isStatic(shape) ? expand(zero, shape) : axis === 0 ? fillAs(0, x) : apply1(Expand, [zero, target()])
  const column = () => reshape(cast(places, 'int64'), [-1, 1])
  const length = x.shape[axis]!
  const count = rows.shape[0]!
  const isFew =
    isKnown(length) &&
    length <= FEW_ROWS &&
    !(isKnown(count) && count < MANY_SLICES) &&
    isFloat(rows.dtype) &&
    !areApart(places)
  const summed = isFew
    ? addToFew(rows, places, length)
    : apply1(ScatterND, [zeros(), column(), rows], { reduction: 'add' })
  if (axis === 0) return summed
  return transpose(
    summed,
    order.map((_, i) => order.indexOf(i)),
  )
}

/** The places of what is not zero (bool: of what is true), a column each, in row-major order: int64 [rank, how many]. */
export const NonZero = operator({
  name: 'NonZero',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [1, 1],
  infer: ([x]) => [{ dtype: 'int64', shape: [x!.shape.length, unknownDim()] }],
  gradient: 'zero',
  evaluate([x]) {
    const places = Array.from(multiIndices(x!.shape), (index) => [...index]).filter((_, i) => x!.data[i] !== 0)
    const rows = x!.shape.map((_, axis) => places.map((place) => place[axis]!))
    return [numbers('int64', [x!.shape.length, places.length], rows.flat())]
  },
  samples: [{ inputs: [fixed('float32', [2, 3], [0, 1, -2, 0, 0, 3])] }, { inputs: [booleans(4)] }],
})
/** Where x is not zero: int64 [rank, count]. No gradient passes. */
export const nonZero = (x: Value): Value => apply1(NonZero, [x])

/** y[i, j] = x[i, indices[i, j]] for axis 1, and likewise along any axis. */
export const GatherElements = operator({
  name: 'GatherElements',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(0) },
  arity: [2, 2],
  infer([x, indices], { axis }) {
    requireIndices(indices!)
    requireAxes([axis], x!.shape.length)
    if (indices!.shape.length !== x!.shape.length) throw new GraphError('indices need as many dimensions as the data')
    return [{ dtype: x!.dtype, shape: indices!.shape }]
  },
  gradient: {
    rule: ({ grad, inputs: [x, indices], attributes: { axis } }) => [
      scatterAdd(fillAs(0, x!), indices!, grad, axis),
      undefined,
    ],
  },
  evaluate([x, indices], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    let i = 0
    return [
      select(x!, indices!.shape, (index) => {
        const picked = indexAt(indices!.data[i++]!, x!.shape[along!]!)
        return index.map((place, k) => (k === along ? picked : place))
      }),
    ]
  },
  samples: [
    { inputs: [normal(3, 4), fixed('int64', [3, 2], [3, 0, 1, 1, -1, 2])], attributes: { axis: 1 } },
    { inputs: [normal(2, 3), fixed('int64', [1, 3], [1, 0, 1])] },
  ],
})
/** y[i, j] = x[i, indices[i, j]] for axis 1, and likewise along any axis; the shape of the indices. */
export const gatherElements = (x: Value, indices: Value, axis: number): Value =>
  apply1(GatherElements, [x, indices], { axis })

const gatherNDAttributes = { batch_dims: int(0) }

/** How many axes an index tuple counts off. */
export function tupleLength(indices: Value): number {
  const length = indices.shape.at(-1)
  if (length === undefined || !isKnown(length)) throw new GraphError('the last dimension of the indices must be known')
  return length
}

/** Indices of GatherND with those of the batch axes before them. */
function withBatchPlaces(x: Value, indices: Value, batch: number): Value {
  const rank = indices.shape.length
  const column = apply1(Shape_, [indices], { start: 0, end: rank - 1 })
  const target = concat([column, int64([1])], 0)
  const parts = Array.from({ length: batch }, (_, axis) => {
    const shape = Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1))
    return apply1(Expand, [reshape(placesAlong(x, axis), shape), target])
  })
  return concat([...parts, cast(indices, 'int64')], rank - 1)
}

/** y[i…] = x[indices[i…]], where the last axis of the indices holds an index tuple; batch axes go side by side. */
export const GatherND: Operator<typeof gatherNDAttributes> = operator({
  name: 'GatherND',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: gatherNDAttributes,
  arity: [2, 2],
  infer([x, indices], { batch_dims }) {
    requireIndices(indices!)
    const length = tupleLength(indices!)
    const [rank, places] = [x!.shape.length, indices!.shape]
    if (batch_dims < 0 || batch_dims >= places.length || batch_dims + length > rank)
      throw new GraphError(`index tuples of ${length} after ${batch_dims} batch axes do not fit ${rank} dimensions`)
    const batch = places.slice(0, batch_dims).map((dim, axis) => unifyDims(dim, x!.shape[axis]!))
    if (batch.includes(undefined)) throw new GraphError('the batch axes of the data and of the indices differ')
    return [
      {
        dtype: x!.dtype,
        shape: [...(batch as Shape), ...places.slice(batch_dims, -1), ...x!.shape.slice(batch_dims + length)],
      },
    ]
  },
  gradient: {
    rule({ grad, inputs: [x, indices], attributes: { batch_dims } }) {
      const places = batch_dims > 0 ? withBatchPlaces(x!, indices!, batch_dims) : cast(indices!, 'int64')
      return [apply1(ScatterND, [fillAs(0, x!), places, grad], { reduction: 'add' }), undefined]
    },
  },
  evaluate([x, indices], { batch_dims }) {
    const places = indices!.shape
    const length = places.at(-1)!
    const outer = places.length - 1
    const shape = [...places.slice(0, -1), ...x!.shape.slice(batch_dims + length)]
    return [
      select(x!, shape, (index) => {
        const at = positionOf([...index.slice(0, outer), 0], [...places.slice(0, -1), 1]) * length
        const tuple = [...indices!.data.subarray(at, at + length)]
        return [
          ...index.slice(0, batch_dims),
          ...tuple.map((place, i) => indexAt(place, x!.shape[batch_dims + i]!)),
          ...index.slice(outer),
        ]
      }),
    ]
  },
  samples: [
    { inputs: [normal(3, 4), fixed('int64', [3, 2], [0, 1, 2, -1, 0, 1])] },
    { inputs: [normal(3, 4), fixed('int64', [2, 2, 1], [0, 1, 2, -1])] },
    { inputs: [normal(2, 3, 2), fixed('int64', [2, 1], [2, 0])], attributes: { batch_dims: 1 } },
  ],
})

const oneHotAttributes = { axis: int(-1) }

/**
 * values[1] where the new axis equals the index, values[0] elsewhere; negative indices count from the back, and those out of
 * range are nowhere. Linear in the two values.
 */
export const OneHot: Operator<typeof oneHotAttributes> = operator({
  name: 'OneHot',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: oneHotAttributes,
  arity: [3, 3],
  differentiable: { inputs: [2] },
  infer([indices, depth, values], { axis }) {
    const [along] = requireAxes([axis], indices!.shape.length + 1)
    const known = dimsIn(depth)
    const count = sizeOf(depth!.shape)
    if ((isKnown(count) && count !== 1) || (known && known.length !== 1))
      throw new GraphError('depth must be one whole number')
    const length = known ? known[0]! : unknownDim()
    const { shape } = indices!
    return [{ dtype: values!.dtype, shape: [...shape.slice(0, along), length, ...shape.slice(along)] }]
  },
  gradient: {
    rule({ grad, inputs: [indices, depth], attributes: { axis } }) {
      const hot = apply1(OneHot, [indices, depth, constant(grad.dtype, [0, 1])], { axis })
      const sum = (part: Value) => reshape(reduceSum(part, undefined, { keepdims: 0 }), [1])
      const on = sum(mul(grad, hot))
      return [undefined, undefined, concat([sub(sum(grad), on), on], 0)]
    },
  },
  evaluate([indices, depth, values], { axis }) {
    const count = Math.trunc(depth!.data[0]!)
    const [along] = requireAxes([axis], indices!.shape.length + 1)
    const shape = [...indices!.shape.slice(0, along), count, ...indices!.shape.slice(along)]
    const inner = indices!.shape.slice(along).reduce((size, dim) => size * dim, 1)
    const data = new Float64Array(indices!.data.length * count).fill(values!.data[0]!)
    indices!.data.forEach((index, i) => {
      const whole = Math.trunc(index)
      const place = whole < 0 ? whole + count : whole
      if (place >= 0 && place < count)
        data[(Math.floor(i / inner) * count + place) * inner + (i % inner)] = values!.data[1]!
    })
    return [numbers(values!.dtype, shape, data)]
  },
  samples: [
    { inputs: [fixed('int64', [4], [0, 2, -1, 1]), fixed('int64', [], [3]), fixed('float32', [2], [0, 1])] },
    {
      inputs: [fixed('int64', [2, 2], [0, 2, -1, 7]), scalarInt(3), fixed('float32', [2], [0.5, 2])],
      attributes: { axis: 1 },
    },
  ],
})
/** 1 where the index is, 0 elsewhere, along a last axis as long as `depth`, an int64 scalar. */
export const oneHot = (indices: Value, depth: Value, dtype: DType = 'float32'): Value =>
  apply1(OneHot, [indices, depth, constant(dtype, [0, 1])])

export { scatterAdd } from './scatter.js'

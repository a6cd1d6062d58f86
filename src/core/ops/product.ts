// Products along axes. Their gradients are products of the other elements, without division, which a zero would spoil.

import { knownIn, requireKnown } from '../graph/dims.js'
import { ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { awayFromZero, fixed, scalarInt } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { apply1, constant, type Value } from '../graph/value.js'
import { cumSum, cumulate, cumulativeAttributes } from './cumulative.js'
import { and, equal, greater, greaterOrEqual, less, lessOrEqual, mul, not, sub, where } from './elementwise.js'
import { type ReductionOperator, reduceBy, reduction } from './reduction.js'
import { fold } from './reference.js'
import {
  Expand,
  expandAs,
  int64,
  Reshape,
  requireAxes,
  reshape,
  reshapeAs,
  Shape_,
  shapeOf,
  size,
  transpose,
  unsqueeze,
} from './shape.js'
import { concat, slice, WHOLE } from './slice.js'

const last = (x: Value): number => x.shape.length - 1
/** A part of x along its last axis. */
const part = (x: Value, from: number, to: number): Value => slice(x, [last(x)], [from], [to])
const join = (parts: readonly Value[]): Value => concat(parts, last(parts[0]!))
const onesLike = (x: Value): Value => expandAs(constant(x.dtype, 1), x)

/** 0, 1, 2, … as many as an int64 vector of one number says. */
const placesTo = (count: Value): Value => sub(cumSum(apply1(Expand, [constant('int64', 1), count]), 0), 1)

type Taken = (own: Value, other: Value) => Value
const areOthers: Taken = (own, other) => not(equal(own, other))
/** Whether a condition holds between the numbers of a vector, each with each. */
const eachWithEach = (vector: Value, condition: Taken): Value => condition(unsqueeze(vector, 1), unsqueeze(vector, 0))

/** Where a row of a square matrix meets the column of its place; as long as an axis of x. */
export function diagonalMask(x: Value, axis: number): Value {
  const length = x.shape[axis]!
  if (!isKnown(length)) return eachWithEach(placesTo(apply1(Shape_, [x], { start: axis, end: axis + 1 })), equal)
  const places = Array.from({ length: length ** 2 }, (_, i) => Number(Math.floor(i / length) === i % length))
  return constant('bool', places, [length, length])
}

/** For each element along the last axis the product of those elements of the axis that a mask, [own, other], takes. */
const productOf = (x: Value, mask: Value): Value =>
  reduceProd(where(mask, unsqueeze(x, last(x)), 1), [last(x) + 1], { keepdims: 0 })

/** For each element along the last axis the product of those that stand to it in a relation by their places. */
const productWhere = (x: Value, taken: Taken): Value =>
  productOf(x, eachWithEach(placesTo(apply1(Shape_, [x], { start: last(x) })), taken))

/** For each element of x the product of the others that y, of the same rank, has folded into the same element. */
function othersWithin(x: Value, y: Value): Value {
  const flat = (value: Value) => reshape(value, [-1])
  const [own, folded] = [x, y].map((value) => placesTo(reshape(size(value), [1])))
  const groups = flat(expandAs(apply1(Reshape, [folded!, shapeOf(y)]), x))
  const mask = and(eachWithEach(own!, areOthers), eachWithEach(groups, equal))
  return reshapeAs(productOf(flat(x), mask), x)
}

/** For each element along the last axis the product of all others, pair by pair: the products of pairs come first. */
function others(x: Value): Value {
  const length = x.shape.at(-1)!
  if (!isKnown(length)) return productWhere(x, areOthers)
  if (length <= 1) return onesLike(x)
  const half = Math.ceil(length / 2)
  const first = part(x, 0, half)
  const rest = part(x, half, length)
  const second = half * 2 === length ? rest : join([rest, onesLike(part(x, 0, 1))])
  const outside = others(mul(first, second))
  const besideSecond = mul(outside, first)
  return join([mul(outside, second), half * 2 === length ? besideSecond : part(besideSecond, 0, half - 1)])
}

/** f of x with the given axes at the end, as one. */
function withLast(x: Value, axes: readonly number[], f: (x: Value) => Value): Value {
  const order = [...x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis)), ...axes]
  const isOrdered = order.every((axis, i) => axis === i)
  const moved = isOrdered ? x : transpose(x, order)
  const isOne = axes.length === 1
  const flat = isOne ? moved : apply1(Reshape, [moved, int64([...x.shape.slice(axes.length).map(() => 0), -1])])
  const result = isOne ? f(flat) : reshapeAs(f(flat), moved)
  const back = order.map((_, axis) => order.indexOf(axis))
  return isOrdered ? result : transpose(result, back)
}

/** Πx; the gradient of an element is the product of the others. */
export const ReduceProd: ReductionOperator = reduction({
  name: 'ReduceProd',
  evaluate: (x, axes) => fold(x, axes, 1, (product, value) => product * value),
  gradient({ grad, x, y, axes }) {
    if (axes?.length === 0) return grad
    return mul(grad, axes ? withLast(x, axes, others) : othersWithin(x, y))
  },
  sample: awayFromZero,
})
/** The product over axes, of all unless given. */
export const reduceProd = reduceBy(ReduceProd)

/** Products of all elements up to each along an axis. */
export const CumProd: Operator<typeof cumulativeAttributes> = operator({
  name: 'CumProd',
  domain: ONNX_DOMAIN,
  since: 26,
  attributes: cumulativeAttributes,
  arity: [2, 2],
  infer([x, axis]) {
    requireAxes(knownIn(axis) ?? [], x!.shape.length)
    return [x!]
  },
  body([x, axis], { exclusive, reverse }) {
    const axes = requireAxes(requireKnown(axis!, 'the axis'), x!.shape.length)
    return [withLast(x!, axes, (line) => productsUpTo(line, exclusive !== 0, reverse !== 0))]
  },
  gradient: 'body',
  evaluate: ([x, axis], attributes) => [cumulate(x!, axis!, attributes, 1, (product, value) => product * value)],
  samples: [
    { inputs: [awayFromZero(3, 5), scalarInt(1)] },
    { inputs: [awayFromZero(4, 2), scalarInt(0)], attributes: { exclusive: 1 } },
    { inputs: [fixed('float32', [2, 3], [2, 0, 0.5, -1, 3, 0]), scalarInt(-1)], attributes: { reverse: 1 } },
    { inputs: [awayFromZero(5), scalarInt(0)], attributes: { exclusive: 1, reverse: 1 } },
  ],
})

/** Along the last axis: products of 1, 2, 4, … neighbours, each of two of those before it (Hillis and Steele 1986). */
function productsUpTo(x: Value, exclusive: boolean, reverse: boolean): Value {
  const length = x.shape.at(-1)!
  if (!isKnown(length)) {
    const taken = reverse ? (exclusive ? less : lessOrEqual) : exclusive ? greater : greaterOrEqual
    return productWhere(x, taken)
  }
  /** Each element in the place of the one so far from it, ones in front. */
  const shifted = (value: Value, by: number): Value => {
    const front = onesLike(part(value, 0, by))
    return reverse ? join([part(value, by, WHOLE), front]) : join([front, part(value, 0, length - by)])
  }
  let products = exclusive ? shifted(x, 1) : x
  for (let reach = 1; reach < length; reach *= 2) products = mul(products, shifted(products, reach))
  return products
}

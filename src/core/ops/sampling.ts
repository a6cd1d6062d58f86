// Sampling of images at coordinates: weighted sums of the places around each. All of it is made of gathers and products, so that
// gradients follow, by the image and by the coordinates.

import { type Dim, isKnown, type Shape } from '../graph/shape.js'
import { apply1, constant, type Value } from '../graph/value.js'
import { abs, add, cast, div, floor, greater, less, max, min, mul, sub, where } from './elementwise.js'
import { gather, gatherElements } from './indexing.js'
import { reduceSum } from './reduction.js'
import { Expand, fillAs, reshape, reshapeTo, Shape_, shapeVector } from './shape.js'

/** A number, or a scalar of the graph. */
type Amount = number | Value

/** The size of an axis as a number of the dtype; a value where it is a symbol. */
export function sizeAlong(x: Value, axis: number, dtype: Value['dtype']): Amount {
  const size = x.shape[axis]!
  if (isKnown(size)) return size
  return cast(gather(apply1(Shape_, [x]), constant('int64', axis)), dtype)
}

const plus = (a: Amount, b: number): Amount => (typeof a === 'number' ? a + b : add(a, b))

export interface Sampling {
  readonly mode: string
  readonly padding_mode: string
  readonly align_corners: number
}

/** From −1 … 1 to places: −1 and 1 are the centres of the corners, or their outer edges. */
export const placeOf = (normalized: Value, size: Amount, align: number): Value =>
  align ? mul(mul(add(normalized, 1), 0.5), plus(size, -1)) : mul(sub(mul(add(normalized, 1), size), 1), 0.5)

/** Held to what lies between two ends; no gradient flows from there and beyond. */
const clipped = (x: Value, low: number, high: Amount): Value => max(low, min(high, x))

/** Mirrored at both ends until it lies between them. */
function reflected(x: Value, size: Amount, align: number): Value {
  const [low, span] = align ? [0, plus(size, -1)] : [-0.5, size]
  if (span === 0) return mul(x, 0)
  const away = abs(sub(x, low))
  const turns = floor(div(away, span))
  const rest = sub(away, mul(turns, span))
  const even = less(sub(turns, mul(floor(mul(turns, 0.5)), 2)), 0.5)
  return add(where(even, rest, sub(span, rest)), low)
}

/** The nearest whole number, halves to the even one. */
function rounded(x: Value): Value {
  const low = floor(x)
  const rest = sub(x, low)
  const odd = sub(low, mul(floor(mul(low, 0.5)), 2))
  const up = where(less(rest, 0.5), constant(x.dtype, 0), where(greater(rest, 0.5), constant(x.dtype, 1), odd))
  return add(low, up)
}

/** Weights of the places around a coordinate: polynomials in how far it is past the place before it, constant term first. */
interface Kernel {
  /** Of the first place, relative to the one before the coordinate. */
  readonly first: number
  readonly terms: readonly (readonly number[])[]
}
/** Keys' cubic convolution with a = −3/4, as PyTorch has it. */
const a = -0.75
const kernels: Readonly<Record<string, Kernel>> = {
  nearest: { first: 0, terms: [[1]] },
  linear: {
    first: 0,
    terms: [
      [1, 0],
      [-1, 1],
    ],
  },
  cubic: {
    first: -1,
    terms: [
      [0, 1, 0, 0],
      [a, 0, -a, 0],
      [-2 * a, -(a + 3), 2 * a + 3, a],
      [a, a + 2, -(a + 2), -a],
    ],
  },
}

/** The places around coordinates along one axis, [B, taps, Q], and their weights. */
function around(at: Value, size: Amount, { mode, padding_mode, align_corners }: Sampling) {
  const { dtype } = at
  const { first, terms } = kernels[mode]!
  const taps = terms[0]!.length
  const inside = mode === 'cubic' ? at : broughtBack(at, size, { mode, padding_mode, align_corners })
  const base = floor(inside)
  const past = sub(inside, base)
  const column = (values: readonly number[]) => constant(dtype, values, [1, values.length, 1])
  const weights = terms.map(column).reduceRight((sum, term) => add(mul(sum, past), term))
  const spread = terms.length === 1 ? fillAs(1, past) : weights
  const places = add(base, column(Array.from({ length: taps }, (_, i) => first + i)))
  const last = plus(size, -1)
  const mirrored = padding_mode === 'reflection' ? floor(reflected(places, size, align_corners)) : places
  const held = clipped(mirrored, 0, last)
  // Beyond the edge there are zeros.
  const counted = padding_mode === 'zeros' ? mul(spread, cast(less(abs(sub(places, held)), 0.5), dtype)) : spread
  return { places: held, weights: counted }
}

/**
 * Coordinates beyond the edges, brought back before the places around them are looked for. For a cubic only those places are, as
 * PyTorch and ONNX Runtime have it.
 */
function broughtBack(at: Value, size: Amount, { padding_mode, align_corners }: Sampling): Value {
  if (padding_mode === 'zeros') return at
  const mirrored = padding_mode === 'reflection' ? reflected(at, size, align_corners) : at
  return clipped(mirrored, 0, plus(size, -1))
}

/**
 * x [B, C, …] at Q coordinates of each of B, along each spatial axis [B, 1, Q]: [B, C, Q].
 */
export function sampled(x: Value, coordinates: readonly Value[], sampling: Sampling): Value {
  const { dtype } = x
  const axes = coordinates.length
  let places: Value | undefined
  let weights: Value | undefined
  coordinates.forEach((coordinate, axis) => {
    const size = sizeAlong(x, axis + 2, dtype)
    const rounds = sampling.mode === 'nearest' ? rounded(coordinate) : coordinate
    const found = around(rounds, size, sampling)
    // [B, 1 … taps … 1, Q] with one axis of taps for each axis of x.
    const shaped = (value: Value) =>
      reshape(value, [
        0,
        ...Array.from({ length: axes }, (_, i) => (i === axis ? (found.weights.shape[1] as number) : 1)),
        queries(coordinate),
      ])
    places = places ? add(mul(places, size), shaped(found.places)) : shaped(found.places)
    weights = weights ? mul(weights, shaped(found.weights)) : shaped(found.weights)
  })
  const taps = coordinates.reduce((count) => count * kernels[sampling.mode]!.terms[0]!.length, 1)
  const q = queries(coordinates[0]!)
  const flat = cast(reshape(places!, [0, 1, -1]), 'int64')
  const everyChannel = apply1(Expand, [flat, shapeVector([1, x.shape[1]!, 1], [x])])
  const values = gatherElements(reshape(x, [0, 0, -1]), everyChannel, 2)
  const weighted = mul(reshape(values, [0, 0, taps, q]), reshape(weights!, [0, 1, taps, q]))
  return reduceSum(weighted, [2], { keepdims: 0 })
}

/** The number of coordinates for a reshape: −1 where it is a symbol. */
const queries = ({ shape }: Value): number => (isKnown(shape[2]!) ? shape[2] : -1)

/** One coordinate of a grid […, k], as [B, 1, Q]. */
export const coordinateOf = (grid: Value, k: number): Value =>
  reshape(gather(grid, constant('int64', k), grid.shape.length - 1), [0, 1, -1])

/** [B, C, Q] with Q taken apart again. */
export const unflattened = (
  y: Value,
  [batch, channels]: readonly [Dim, Dim],
  spatial: Shape,
  ...like: readonly Value[]
): Value => reshapeTo(y, [batch, channels, ...spatial], y, ...like)

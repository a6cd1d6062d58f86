// Interpolation along one axis: each place of the result is a weighted sum of places of the input. Coordinates, kernels and edges
// as ONNX says (Operators.md, Resize, and onnx/reference/ops/op_resize.py).

import { numbers } from '../graph/tensor.js'
import { constant, GraphError, type Value } from '../graph/value.js'
import { matmul } from './matmul.js'
import { transpose } from './shape.js'

export interface Interpolation {
  readonly mode: string
  readonly coordinate_transformation_mode: string
  readonly nearest_mode: string
  readonly cubic_coeff_a: number
  readonly exclude_outside: number
  readonly antialias: number
}

/** One axis of a resize. */
export interface Stretch {
  readonly from: number
  readonly to: number
  readonly scale: number
  /** Where the region of interest starts and ends, from 0 to 1. */
  readonly roi?: readonly [number, number] | undefined
}

/** A weighted sum: places of the input and their weights; none where the result is the extrapolation value. */
export type Row = readonly (readonly [place: number, weight: number])[]

export const modes = ['nearest', 'linear', 'cubic']
export const nearestModes = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']
export const coordinateModes = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_crop_and_resize',
]

/** The coordinate in the input of a place in the result. */
function original(place: number, { from, to, scale, roi }: Stretch, way: string): number {
  const length = scale * from
  const centre = (place + 0.5) / scale - 0.5
  switch (way) {
    case 'align_corners':
      return length === 1 ? 0 : (place * (from - 1)) / (length - 1)
    case 'asymmetric':
      return place / scale
    case 'pytorch_half_pixel':
      return length === 1 ? -0.5 : centre
    case 'half_pixel_symmetric':
      return (from / 2) * (1 - to / length) + centre
    case 'tf_crop_and_resize': {
      if (!roi) throw new GraphError('tf_crop_and_resize needs a region of interest')
      const [start, end] = roi
      const within =
        length === 1 ? ((end - start) * (from - 1)) / 2 : (place * (end - start) * (from - 1)) / (length - 1)
      return within + start * (from - 1)
    }
    default:
      return centre
  }
}

/** Keys' cubic kernel (1981, equation 4). */
export function cubicKernel(distance: number, a: number): number {
  const x = Math.abs(distance)
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
}

/** Weights of the places from `first` on, relative to the one at or before the coordinate, which is `ratio` further, in (0, 1]. */
function kernel(ratio: number, scale: number, by: Interpolation): { first: number; weights: readonly number[] } {
  if (by.mode === 'nearest') return { first: 0, weights: nearestWeights(ratio, by.nearest_mode) }
  const reach = by.mode === 'linear' ? 1 : 2
  const narrow = by.antialias ? Math.min(scale, 1) : 1
  const first = Math.floor(-reach / narrow) + 1
  const weights = Array.from({ length: 2 - 2 * first }, (_, i) => {
    const distance = (first + i - ratio) * narrow
    return by.mode === 'linear' ? Math.max(0, 1 - Math.abs(distance)) : cubicKernel(distance, by.cubic_coeff_a)
  })
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return { first, weights: by.antialias ? weights.map((weight) => weight / total) : weights }
}

function nearestWeights(ratio: number, mode: string): readonly number[] {
  const after =
    ratio === 1 || mode === 'ceil' || (mode === 'round_prefer_floor' ? ratio > 0.5 : mode !== 'floor' && ratio >= 0.5)
  return after ? [0, 1] : [1, 0]
}

/** The sums along an axis, one a place of the result. */
export function rowsOf(stretch: Stretch, by: Interpolation): readonly Row[] {
  const { from, to, scale } = stretch
  return Array.from({ length: to }, (_, place): Row => {
    const at = original(place, stretch, by.coordinate_transformation_mode)
    if (by.coordinate_transformation_mode === 'tf_crop_and_resize' && (at < 0 || at > from - 1)) return []
    const base = Math.ceil(at) - 1
    const { first, weights } = kernel(at - base, scale, by)
    const places = weights.map((_, i) => base + first + i)
    const kept = weights.map((weight, i) => (by.exclude_outside && (places[i]! < 0 || places[i]! >= from) ? 0 : weight))
    const total = by.exclude_outside ? kept.reduce((sum, weight) => sum + weight, 0) || 1 : 1
    return kept.map((weight, i) => [Math.max(0, Math.min(from - 1, places[i]!)), weight / total] as const)
  })
}

/** The sums as a matrix [to, from], a constant. */
export function matrixOf(rows: readonly Row[], from: number, dtype: Value['dtype']): Value {
  const data = new Float64Array(rows.length * from)
  rows.forEach((row, to) => {
    for (const [place, weight] of row) data[to * from + place]! += weight
  })
  return constant(dtype, data, [rows.length, from])
}

/** matrix · x along an axis of x. */
export function along(x: Value, axis: number, matrix: Value): Value {
  const rank = x.shape.length
  if (axis === rank - 2) return matmul(matrix, x)
  const turned = transpose(matrix, [1, 0])
  if (axis === rank - 1) return matmul(x, turned)
  const order = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  return transpose(matmul(transpose(x, order), turned), order)
}

/** The sums along an axis of numbers. */
export function summed(
  x: { readonly shape: readonly number[]; readonly data: Float64Array },
  axis: number,
  rows: readonly Row[],
  extrapolated: number,
) {
  const from = x.shape[axis]!
  const inner = x.shape.slice(axis + 1).reduce((size, dim) => size * dim, 1)
  const outer = x.shape.slice(0, axis).reduce((size, dim) => size * dim, 1)
  const shape = x.shape.map((dim, i) => (i === axis ? rows.length : dim))
  const data = new Float64Array(outer * rows.length * inner)
  for (let o = 0; o < outer; o++)
    rows.forEach((row, to) => {
      for (let i = 0; i < inner; i++) {
        let sum = row.length === 0 ? extrapolated : 0
        for (const [place, weight] of row) sum += weight * x.data[(o * from + place) * inner + i]!
        data[(o * rows.length + to) * inner + i] = sum
      }
    })
  return numbers('float64', shape, data)
}

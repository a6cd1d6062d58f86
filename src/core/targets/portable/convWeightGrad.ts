// The weight gradient of a convolution, dw[o, c, i, j] = Σ dy[n, o, p, q] · x[n, c, p·s − pad + i·d, q·s − pad + j·d],
// as one matrix product over places of shifted copies, then a sum over the batch.

import { scope, type Value } from '../../graph/value.js'
import type { ConvAttributes } from '../../ops/convSum.js'
import { concat, matmul, pad, reduceSum, reshape, slice, squeeze, transpose, WHOLE } from '../../ops/index.js'
import { indices } from '../../ops/reference.js'
import { areaOf, spanOf, type Window } from '../../ops/window.js'
import type { Expansions } from '../target.js'

/** [N, C, H, W] → [N, C, H·W], and likewise of other axes. */
const places = (x: Value) => reshape(x, [0, 0, -1])
/** Σ over the batch of a · bᵀ, with a [N, A, P] and b [N, B, P] → [1, A, B]. */
const product = (a: Value, b: Value) => scope('sums', () => reduceSum(matmul(a, transpose(b, [0, 2, 1])), [0]))

export const convWeightGrad: Expansions['ConvWeightGrad'] = ([x, dy], attributes) => {
  const { group, strides, dilations } = attributes
  const kernel = attributes.kernel_shape!
  if (group !== 1) return [grouped(x!, dy!, kernel, attributes)]
  const [kh, kw] = kernel as readonly [number, number]
  const shifted = [...strides, ...dilations].join() === '1,1,1,1' && kh > 1 && kw > 1
  return [shifted ? byShifts(x!, dy!, kh, kw, attributes.pads) : byTaps(x!, dy!, kernel, attributes)]
}

/**
 * Stride 1: the shift along columns is made on x (kw copies) and the one along rows on dy (kh copies), so that kh + kw
 * copies and one product give all kh·kw taps.
 */
function byShifts(x: Value, dy: Value, kh: number, kw: number, pads: readonly number[]): Value {
  const [top, left, bottom, right] = pads as readonly [number, number, number, number]
  const end = (dropped: number) => (dropped === 0 ? WHOLE : -dropped)
  const columns = scope('columns', () => {
    const wide = left + right === 0 ? x : pad(x, [3], [left], [right])
    const shifted = Array.from({ length: kw }, (_, j) => slice(wide, [3], [j], [end(kw - 1 - j)]))
    return places(concat(shifted, 1))
  })
  // Row h of x meets row h + top − i of dy; the frame holds the rows that fall outside.
  const before = Math.max(0, kh - 1 - top)
  const after = Math.max(0, kh - 1 - bottom)
  const rows = scope('rows', () => {
    const tall = before + after === 0 ? dy : pad(dy, [2], [before], [after])
    const shifted = Array.from({ length: kh }, (_, i) =>
      slice(tall, [2], [top - i + before], [end(bottom - kh + 1 + after + i)]),
    )
    return places(concat(shifted, 1))
  })
  // [1, kh·O, kw·C] → [kh, O, kw·C] → [kh, O, kw, C] → [O, C, kh, kw]
  const sums = product(rows, columns)
  return transpose(reshape(reshape(sums, [kh, -1, 0]), [0, 0, kw, -1]), [1, 3, 0, 2])
}

/** The places of x that each tap of the kernel meets, [N, C, rows, columns]. */
function taps(x: Value, dy: Value, kernel: readonly number[], { strides, pads, dilations }: Window): readonly Value[] {
  const axes = kernel.map((_, axis) => axis + 2)
  const [before, after] = [pads.slice(0, kernel.length), pads.slice(kernel.length)]
  const framed = pads.every((amount) => amount === 0) ? x : pad(x, axes, before, after)
  const count = dy.shape.slice(2) as readonly number[]
  const size = framed.shape.slice(2) as readonly number[]
  return Array.from(indices(kernel), (tap) => {
    const starts = tap.map((at, axis) => at * dilations[axis]!)
    // Ends from the back: how many rows after the last one that is used.
    const ends = starts.map((start, axis) => {
      const left = size[axis]! - (start + spanOf(count[axis]!, strides[axis]!))
      return left === 0 ? WHOLE : -left
    })
    const whole = starts.every((start) => start === 0) && ends.every((end) => end === WHOLE)
    return whole && strides.every((stride) => stride === 1) ? framed : slice(framed, axes, starts, ends, strides)
  })
}

/** Any stride or dilation, one group: the taps side by side as channels. */
function byTaps(x: Value, dy: Value, kernel: readonly number[], window: Window): Value {
  const stacked = scope('taps', () => {
    const copies = taps(x, dy, kernel, window)
    return places(copies.length === 1 ? copies[0]! : concat(copies, 1))
  })
  const sums = product(
    scope('places', () => places(dy)),
    stacked,
  )
  // [1, O, taps·C] → [O, taps·C] → [O, taps, C] → [O, C, taps] → [O, C, kh, kw]
  const flat = reshape(squeeze(sums, 0), [0, areaOf(kernel), -1])
  return reshape(transpose(flat, [0, 2, 1]), [0, 0, ...kernel])
}

/**
 * Groups: a product a group over the places of all images, whose axis is brought behind the channels before there are copies.
 * [N, G·C, H, W] → [G, taps·C, N·P], and dy [N, G·O, P] → [G, N·P, O].
 */
function grouped(x: Value, dy: Value, kernel: readonly number[], { group, ...window }: ConvAttributes): Value {
  const inputs = (x.shape[1] as number) / group
  const outputs = (dy.shape[1] as number) / group
  const batchBehind = (value: Value) => transpose(value, [1, 0, ...value.shape.slice(2).map((_, axis) => axis + 2)])
  const stacked = scope('taps', () => {
    const copies = taps(batchBehind(x), dy, kernel, window).map((copy) => reshape(copy, [group, inputs, -1]))
    return copies.length === 1 ? copies[0]! : concat(copies, 1)
  })
  const beside = transpose(reshape(batchBehind(dy), [group, outputs, -1]), [0, 2, 1])
  const sums = reshape(matmul(stacked, beside), [group, areaOf(kernel), inputs, outputs])
  return reshape(transpose(sums, [0, 3, 2, 1]), [group * outputs, inputs, ...kernel])
}

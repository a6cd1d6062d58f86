// Convolution and its input gradient, blocked. Weights come plain, as the optimizer keeps them, and are laid out anew in
// every step: they are small beside the activations.

import { isKnown, isStatic } from '../../../core/graph/shape.js'
import { constant, type Value } from '../../../core/graph/value.js'
import type { ConvOptions } from '../../../core/ops/conv.js'
import type { ConvAttributes } from '../../../core/ops/convSum.js'
import { concat, conv, convTranspose, flip, gather, pad, reshape, transpose } from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import type { Expansions } from '../../../core/targets/target.js'
import type { Candidate } from './candidates.js'
import type { Layout } from './layout.js'

type Dims4 = readonly [number, number, number, number]
type InputGradAttributes = Parameters<Expansions['ConvInputGrad']>[1]

const dims = (x: Value): Dims4 => x.shape as unknown as Dims4

/** Whether w [C, 1, kh, kw] has a filter for each channel. */
const isDepthwise = (w: Value, group: number): boolean => group > 1 && w.shape[0] === group && w.shape[1] === 1

/** A vector or the filters of a convolution with rows of zeros, so that they are in whole blocks. */
const filledRows = (w: Value, block: number): Value => {
  const rows = w.shape[0] as number
  const left = Math.ceil(rows / block) * block - rows
  return left === 0 ? w : pad(w, [0], [0], [left])
}
/** w [O, C, kh, kw] with filters and channels of zeros, so that both are in whole blocks. */
const filledFilter = (w: Value, block: number): Value => {
  const [o, c] = dims(w)
    .slice(0, 2)
    .map((size) => Math.ceil(size / block) * block - size) as [number, number]
  return o === 0 && c === 0 ? w : pad(w, [0, 1], [0, 0], [o, c])
}

/** So many copies of a value, one after the other along the first axis. */
const copies = (x: Value, count: number): Value => (count === 1 ? x : concat(Array<Value>(count).fill(x), 0))

/**
 * A convolution with a channel a group, of a plain or a blocked x with any number of channels: as many images as fill whole blocks
 * take the part of channels, each with the same filters.
 * @param change what is done to the blocked x before
 */
function depthwise(
  { nchwc, imagesSideBySide, sideBySide, plain }: Layout,
  [x, w, bias]: readonly [Value, Value, (Value | undefined)?],
  options: ConvOptions,
  change: (x: Value) => Value = (blocked) => blocked,
): Value {
  const images = imagesSideBySide(x)!
  const [n, c] = dims(x)
  const filter = nchwc.narrowFilter(copies(w, images))
  const shifted = bias ? { bias: copies(bias, images) } : {}
  const y = nchwc.conv(change(sideBySide(x)), filter, { ...options, group: c * images, ...shifted })
  if (images === 1) return plain(y)
  const [, , h, width] = dims(y)
  return reshape(nchwc.reorderOutput(y), [n, c, h, width])
}

export function convCandidates(layout: Layout): readonly Candidate<ConvAttributes>[] {
  const { nchwc, plain, imagesSideBySide } = layout
  const { block } = nchwc
  const isNarrow = (x: Value) => isStatic(x.shape) && x.shape[1]! < block
  return [
    {
      name: 'blocked',
      fits: ([x, w], { group }) =>
        group === 1 &&
        x!.shape.length === 4 &&
        w!.dtype === 'float32' &&
        isKnown(w!.shape[0]!) &&
        (isNarrow(x!) ? w!.shape[0] % block === 0 : layout.fitsFilled(x!) || layout.fits(x!)) &&
        w!.shape[0] % 4 === 0 &&
        w!.shape[0] >= block,
      write([x, w, bias], attributes) {
        const options: ConvOptions = { ...attributes }
        if (isNarrow(x!)) return plain(nchwc.conv(x!, nchwc.narrowFilter(w!), { ...options, bias }))
        const filter = nchwc.filter(filledFilter(w!, block))
        const y = nchwc.conv(layout.filled(x!), filter, { ...options, bias: bias && filledRows(bias, block) })
        return layout.firstChannels(y, w!.shape[0] as number)
      },
    },
    {
      // A channel a group, where ONNX Runtime's plain kernel computes products of vectors.
      name: 'depthwise',
      fits: ([x, w], { group }) =>
        x!.shape.length === 4 &&
        w!.dtype === 'float32' &&
        imagesSideBySide(x!) !== undefined &&
        isDepthwise(w!, group) &&
        group === x!.shape[1],
      write: ([x, w, bias], attributes) => depthwise(layout, [x!, w!, bias], attributes),
    },
    {
      name: 'plain',
      fits: () => true,
      write: ([x, w, bias], attributes) => conv(x!, w!, { ...attributes, ...(bias ? { bias } : {}) }),
    },
  ]
}

/** dy [N, O, oh, ow] and w [O, C, kh, kw] to dx [N, C, h, w]. */
export function convInputGradCandidates(layout: Layout): readonly Candidate<InputGradAttributes>[] {
  const { nchwc, imagesSideBySide, firstChannels } = layout
  const { block } = nchwc
  const usual = ([dy, w]: readonly Value[], { group, dilations }: InputGradAttributes) =>
    group === 1 &&
    dilations.join() === '1,1' &&
    (layout.fits(dy!) || layout.fitsFilled(dy!)) &&
    isStatic(w!.shape) &&
    w!.shape[1]! >= block &&
    w!.shape[1]! % 4 === 0

  const channelsOf = (w: Value) => w.shape[1] as number

  /** [O, C, kh, kw] → [O/b · C/b · taps, b of O · b of C]: tiles from which the filters of an input gradient are put together. */
  const tilesOf = (w: Value): Value => {
    const [o, c, kh, kw] = dims(w)
    const byChannel = nchwc.reorderInput(reshape(w, [(o * c) / block, block, kh * kw, 1]))
    const rows = reshape(byChannel, [o / block, block, 1, c * kh * kw])
    const blocks = nchwc.reorderInput(rows, { channelsLast: true })
    return reshape(blocks, [(o * c * kh * kw) / block ** 2, block ** 2])
  }
  /** The taps listed (`kh·kw` stands for zeros), `th·tw` of them for each filter, as a blocked filter [C/b · filters, O/b, th·tw, b, b]. */
  const filterOf = (w: Value, taps: readonly number[], [th, tw]: readonly [number, number]): Value => {
    const [o, c, kh, kw] = dims(w)
    const tiles = tilesOf(w)
    const zeros = (o * c * kh * kw) / block ** 2
    const area = th * tw
    const filters = taps.length / area
    const order: number[] = []
    for (let ci = 0; ci < c / block; ci++)
      for (let filter = 0; filter < filters; filter++)
        for (let oi = 0; oi < o / block; oi++)
          for (const tap of taps.slice(filter * area, (filter + 1) * area))
            order.push(tap === kh * kw ? zeros : (oi * (c / block) + ci) * kh * kw + tap)
    const all = taps.includes(kh * kw) ? pad(tiles, [0], [0], [1]) : tiles
    return reshape(gather(all, constant('int64', order), 0), [c * filters, o, th, tw])
  }

  /** Blocked y with stride − 1 zeros after each place: [N, C, h, w] → [N, C, s·h, s·w]. */
  const spread = (y: Value, strides: readonly number[]): Value => {
    if (strides.every((stride) => stride === 1)) return y
    const [n, c, h, w] = dims(y)
    const [sh, sw] = strides as [number, number]
    const rows = reshape(y, [(n * c * h) / block, 1, w, block])
    return reshape(pad(rows, [1, 3], [0, 0], [sh - 1, (sw - 1) * block]), [n, c, h * sh, w * sw])
  }

  return [
    {
      // Stride 1: a convolution with the kernel turned by 180°, its channel axes exchanged.
      name: 'turned',
      fits: (inputs, attributes) =>
        usual(inputs, attributes) && attributes.strides.join() === '1,1' && framed(inputs, attributes),
      write([dy, w], { pads }) {
        const [, , kh, kw] = dims(w!)
        const taps = Array.from({ length: kh * kw }, (_, tap) => kh * kw - 1 - tap)
        const back = pads.map((amount, side) => (side % 2 ? kw : kh) - 1 - amount)
        const filter = filterOf(filledFilter(w!, block), taps, [kh, kw])
        return firstChannels(nchwc.conv(layout.filled(dy!), filter, { pads: back }), channelsOf(w!))
      },
    },
    {
      // A 1×1 kernel reaches every s-th place: the product over channels, and zeros between.
      name: 'spread',
      fits: (inputs, { pads, output_padding, strides, ...rest }) =>
        usual(inputs, { pads, output_padding, strides, ...rest }) &&
        strides.some((stride) => stride > 1) &&
        dims(inputs[1]!).slice(2).join() === '1,1' &&
        pads.every((amount) => amount === 0) &&
        output_padding.every((left, axis) => left === strides[axis]! - 1),
      write([dy, w], { strides }) {
        const y = nchwc.conv(layout.filled(dy!), filterOf(filledFilter(w!, block), [0], [1, 1]))
        return firstChannels(spread(y, strides), channelsOf(w!))
      },
    },
    {
      // Stride s: dx[s·u + a] = Σ dy[u + d]·w[i] over the taps i with i = a + pad − s·d. The s·s places (a, e) are so many
      // filters over dy, computed as channels, and then brought between each other.
      name: 'by remainder',
      fits: (inputs, attributes) =>
        usual(inputs, attributes) &&
        attributes.strides.some((stride) => stride > 1) &&
        remainders(inputs, attributes) !== undefined,
      write([dy, w], attributes) {
        const [n] = dims(dy!)
        const filter = filledFilter(w!, block)
        const [, c, kh, kw] = dims(filter)
        const [rows, columns] = remainders([dy!, w!], attributes)!
        const taps: number[] = []
        for (const i of rows.taps)
          for (const j of columns.taps)
            for (const a of i) for (const e of j) taps.push(a === undefined || e === undefined ? kh * kw : a * kw + e)
        const y = nchwc.conv(layout.filled(dy!), filterOf(filter, taps, [rows.length, columns.length]), {
          pads: [rows.before, columns.before, rows.after, columns.after],
        })
        const [sh, sw] = [rows.taps.length, columns.taps.length]
        const apart = reshape(y, [(n * c) / block, sh, sw, rows.count, columns.count, block])
        const between = transpose(apart, [0, 3, 1, 4, 2, 5])
        return firstChannels(reshape(between, [n, c, rows.count * sh, columns.count * sw]), channelsOf(w!))
      },
    },
    {
      // A channel a group: the same with a kernel turned by itself, over a dy with zeros between its places where there is a stride.
      name: 'depthwise',
      fits: ([dy, w], attributes) =>
        imagesSideBySide(dy!) !== undefined &&
        isStatic(w!.shape) &&
        w!.shape.length === 4 &&
        isDepthwise(w!, attributes.group) &&
        attributes.dilations.every((step) => step === 1) &&
        backPads(w!, attributes).every((amount) => amount >= 0),
      write([dy, w], attributes) {
        const pads = backPads(w!, attributes)
        return depthwise(layout, [dy!, flip(w!, 2, 3)], { pads }, (y) => spread(y, attributes.strides))
      },
    },
    {
      name: 'plain',
      fits: () => true,
      write: ([dy, w], attributes) =>
        attributes.strides.join() === '1,1'
          ? portable.expansions.ConvInputGrad([dy!, w!], attributes)[0]!
          : convTranspose(dy!, w!, attributes),
    },
  ]
}

/**
 * Pads of the turned convolution over dy spread by the strides: kernel − 1 − pad before, and after it what is left of
 * dx = (places of dy − 1)·stride + kernel − pads + output_padding.
 */
function backPads(w: Value, { pads, strides, output_padding }: InputGradAttributes): readonly number[] {
  const after = (axis: number) => dims(w)[axis + 2]! - strides[axis]! - pads[axis + 2]! + output_padding[axis]!
  return [...[0, 1].map((axis) => dims(w)[axis + 2]! - 1 - pads[axis]!), after(0), after(1)]
}

/** Whether the pads of the turned convolution are pads: kernel − 1 at most were given. */
const framed = ([, w]: readonly Value[], { pads }: InputGradAttributes): boolean =>
  pads.every((amount, side) => amount <= (w!.shape[2 + (side % 2)] as number) - 1)

interface Remainders {
  /** For each remainder a, the tap at each offset d, or undefined where there is none. */
  readonly taps: readonly (readonly (number | undefined)[])[]
  /** Offsets. */
  readonly length: number
  readonly before: number
  readonly after: number
  /** Places of dx for each remainder. */
  readonly count: number
}

/** How the taps fall on the remainders along rows and columns; undefined where dx is no whole number of strides. */
function remainders(
  [dy, w]: readonly Value[],
  { strides, pads, output_padding }: InputGradAttributes,
): readonly [Remainders, Remainders] | undefined {
  const along = (axis: 0 | 1): Remainders | undefined => {
    const stride = strides[axis]!
    const kernel = dims(w!)[axis + 2]!
    const first = pads[axis]!
    const size = dims(dy!)[axis + 2]!
    const total = (size - 1) * stride + kernel - first - pads[axis + 2]! + output_padding[axis]!
    if (total % stride !== 0) return undefined
    const offsets = Array.from({ length: kernel }, (_, i) => i).map((i) => {
      const a = (((i - first) % stride) + stride) % stride
      return { i, a, d: (a + first - i) / stride }
    })
    const least = Math.min(...offsets.map(({ d }) => d))
    const length = Math.max(...offsets.map(({ d }) => d)) - least + 1
    const count = total / stride
    const after = count - size + least + length - 1
    if (least > 0 || after < 0) return undefined
    const taps = Array.from({ length: stride }, (_, a) =>
      Array.from({ length }, (_, t) => offsets.find((tap) => tap.a === a && tap.d === t + least)?.i),
    )
    return { taps, length, before: -least, after, count }
  }
  const [rows, columns] = [along(0), along(1)]
  return rows && columns && [rows, columns]
}

// The weight gradient of a convolution, dw[o, c, i, j] = Σ dy[n, o, p, q] · x[n, c, s·p − pad + i, s·q − pad + j], as a
// convolution itself. Written [N, H, W·C], x has the channels of a column side by side, and a kernel of the size of dy with
// dilation (s, s·C) slides over it: its outputs are the taps i in rows and the pairs (j, c) in columns, in one go.

import { isStatic } from '../../../core/graph/shape.js'
import { constant, type Value } from '../../../core/graph/value.js'
import { conv, matmul, pad, reduceSum, reshape, slice, transpose } from '../../../core/ops/index.js'
import { areaOf } from '../../../core/ops/window.js'
import { portable } from '../../../core/targets/portable/index.js'
import type { Expansions } from '../../../core/targets/target.js'
import type { Candidate } from './candidates.js'
import { type Layout, once } from './layout.js'

type WeightGradAttributes = Parameters<Expansions['ConvWeightGrad']>[1]
type Dims4 = readonly [number, number, number, number]
const dims = (x: Value): Dims4 => x.shape as unknown as Dims4

const usual = ([x, dy]: readonly Value[], { group, dilations }: WeightGradAttributes): boolean =>
  group === 1 && dilations.join() === '1,1' && x!.dtype === 'float32' && isStatic(x!.shape) && isStatic(dy!.shape)

/** What frames x so that exactly the taps are left; negative at the end where a stride never reached it. */
function frameOf([x, dy]: readonly Value[], { strides, pads, kernel_shape }: WeightGradAttributes) {
  const [top, left] = pads as readonly [number, number]
  const end = (axis: 0 | 1) =>
    (dims(dy!)[axis + 2]! - 1) * strides[axis]! + kernel_shape![axis]! - dims(x!)[axis + 2]! - pads[axis]!
  return { top, left, bottom: end(0), right: end(1) }
}

/** [rows, columns] → [1, columns]: a product with ones uses all threads, ReduceSum along rows does not. */
function sumOverRows(x: Value): Value {
  const rows = x.shape[0] as number
  return matmul(constant('float32', new Float32Array(rows).fill(1), [1, rows]), x)
}

export function convWeightGradCandidates(layout: Layout): readonly Candidate<WeightGradAttributes>[] {
  const { nchwc, blocked } = layout
  const { block } = nchwc
  /** dy [N, O, oh, ow] → filters [N/b·O, b of N, oh, ow]. The last convolutions of all functions of a block share it. */
  const filterOf = once((dy) => {
    const [n, o, oh, ow] = dims(dy)
    const rows = reshape(blocked(dy), [n / block, block, 1, o * oh * ow])
    return reshape(nchwc.reorderInput(rows, { channelsLast: true }), [(n / block) * o, block, oh, ow])
  })
  /** x [N, C, H, W] in a frame of zeros, or cropped, as [N, H', W', C]. */
  const framed = (x: Value, pads: readonly [number, number, number, number]): Value => {
    const [top, left, bottom, right] = pads
    if (pads.every((amount) => amount === 0)) return layout.channelsLast(x)
    if (!layout.isBlocked(x) || pads.some((amount) => amount < 0))
      return pad(layout.channelsLast(x), [1, 2], [top, left], [bottom, right])
    // A depthwise convolution with ones: it uses all threads, Pad does not.
    const c = x.shape[1] as number
    const ones = constant('float32', new Float32Array(c).fill(1), [c, 1, 1, 1])
    return nchwc.reorderOutput(nchwc.conv(blocked(x), ones, { group: c, pads }), { channelsLast: true })
  }
  /** [O/b, taps, C, b] → [O, C, taps]. Whole blocks of channels are reordered, which takes a fifth of a Transpose. */
  const filtersOf = (w: Value): Value => {
    const [groups, taps, c] = dims(w)
    if (c % block !== 0) return transpose(w, [0, 3, 2, 1])
    const o = groups * block
    const byFilter = nchwc.reorderOutput(reshape(w, [groups, block, taps * c, 1]))
    return nchwc.reorderOutput(nchwc.reorderInput(reshape(byFilter, [o, taps, 1, c]), { channelsLast: true }))
  }
  return [
    {
      // Images in blocks of b take the part of channels: x is [N/b, H, W·C, b of N], dy a filter [N/b, O/b, oh, ow, b of N,
      // b of O] for each block, which the blocked data are but for one exchange of axes.
      name: 'direct',
      fits: ([x, dy], attributes) => usual([x!, dy!], attributes) && layout.fits(dy!) && dims(x!)[0] % block === 0,
      write([x, dy], attributes) {
        const [n, c, h, w] = dims(x!)
        const o = dims(dy!)[1]
        const [kh, kw] = attributes.kernel_shape as readonly [number, number]
        const [sh, sw] = attributes.strides as readonly [number, number]
        const { top, left, bottom, right } = frameOf([x!, dy!], attributes)
        const groups = n / block
        // Rows beyond the image the convolution leaves out by itself; columns it would take one output at a time.
        const cropped = Math.min(bottom, 0)
        const height = h + cropped
        const width = (w + left + right) * c
        const images = nchwc.reorderInput(
          reshape(framed(x!, [0, left, cropped, right]), [groups, block, height, width]),
        )
        const sums = nchwc.conv(reshape(images, [1, n, height, width]), filterOf(dy!), {
          group: groups,
          dilations: [sh, sw * c],
          pads: [top, 0, Math.max(bottom, 0), 0],
        })
        // [N/b, O/b, kh, kw·C, b] → Σ → [O/b, kh·kw, C, b] → [O, C, kh, kw]
        const total = sumOverRows(reshape(sums, [groups, o * kh * kw * c]))
        return reshape(filtersOf(reshape(total, [o / block, kh * kw, c, block])), [o, c, kh, kw])
      },
    },
    {
      // Each image a group, its dy the filter as it stands.
      name: 'grouped',
      fits: (inputs, attributes) => {
        const { bottom, right } = frameOf(inputs, attributes)
        return usual(inputs, attributes) && bottom >= 0 && right >= 0
      },
      write([x, dy], attributes) {
        const [n, c, h, w] = dims(x!)
        const [, o, oh, ow] = dims(dy!)
        const [kh, kw] = attributes.kernel_shape as readonly [number, number]
        const [sh, sw] = attributes.strides as readonly [number, number]
        const { top, left, bottom, right } = frameOf([x!, dy!], attributes)
        const images = reshape(layout.channelsLast(x!), [1, n, h, w * c])
        const sums = conv(images, reshape(dy!, [n * o, 1, oh, ow]), {
          group: n,
          pads: [top, left * c, bottom, right * c],
          dilations: [sh, sw * c],
        })
        const total = sumOverRows(reshape(sums, [n, o * kh * kw * c]))
        return transpose(reshape(total, [o, kh, kw, c]), [0, 3, 1, 2])
      },
    },
    {
      // A channel of x a group: each channel of each image is a group of one convolution, its dy the filter. Blocked, both are
      // taken as they lie.
      name: 'by channel',
      fits: ([x, dy], { group, strides, dilations }) =>
        group > 1 &&
        group === x!.shape[1] &&
        group === dy!.shape[1] &&
        layout.imagesSideBySide(x!) !== undefined &&
        layout.imagesSideBySide(dy!) !== undefined &&
        strides.length === 2 &&
        dilations.length === 2,
      write([x, dy], { pads, strides, dilations, kernel_shape }) {
        const [n, c, h, w] = dims(x!)
        const [, , oh, ow] = dims(dy!)
        const [images, filters] = [layout.sideBySide(x!), layout.sideBySide(dy!)]
        const sums = nchwc.conv(reshape(images, [1, n * c, h, w]), reshape(filters, [n * c, 1, oh, ow]), {
          group: n * c,
          pads,
          strides: dilations,
          dilations: strides,
        })
        const [, , rows, columns] = dims(sums)
        // Of images side by side each has its own sum.
        const beside = layout.imagesSideBySide(x!)!
        const total = sumOverRows(reshape(sums, [n / beside, beside * c * rows * columns]))
        const byBlock = reshape(total, [(beside * c) / block, rows, columns, block])
        // A stride that leaves places over makes more of them than there are taps.
        const [kh, kw] = kernel_shape as readonly [number, number]
        const taps = rows === kh && columns === kw ? byBlock : slice(byBlock, [1, 2], [0, 0], [kh, kw])
        const each = nchwc.reorderOutput(reshape(taps, [(beside * c) / block, block, kh, kw]))
        const all = beside === 1 ? each : sumOverRows(reshape(each, [beside, c * kh * kw]))
        return reshape(all, [c, 1, kh, kw])
      },
    },
    {
      // The same of plain operands.
      name: 'depthwise',
      fits: ([x, dy], attributes) =>
        isStatic(x!.shape) && isStatic(dy!.shape) && attributes.group > 1 && attributes.group === x!.shape[1],
      write([x, dy], attributes) {
        const [n, c, ...size] = x!.shape as readonly number[]
        const [, o, ...count] = dy!.shape as readonly number[]
        const { pads, strides, dilations, kernel_shape } = attributes
        const axes = size.map((_, axis) => axis + 2)
        const sums = conv(reshape(x!, [1, n! * c!, ...size]), reshape(dy!, [n! * o!, 1, ...count]), {
          group: n! * c!,
          pads,
          strides: dilations,
          dilations: strides,
        })
        // A stride that leaves places over makes more of them than there are taps.
        const taps = slice(sums, axes, Array(axes.length).fill(0), kernel_shape!)
        const total = reduceSum(reshape(taps, [n!, o! * areaOf(kernel_shape!)]), [0])
        return reshape(total, [o!, 1, ...kernel_shape!])
      },
    },
    {
      name: 'portable',
      fits: () => true,
      write: (inputs, attributes) => portable.expansions.ConvWeightGrad(inputs, attributes)[0]!,
    },
  ]
}

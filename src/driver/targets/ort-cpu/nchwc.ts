// ONNX Runtime's blocked operators (domain com.microsoft.nchwc), internal to its CPU provider: channels in blocks of b
// (8 with AVX2, 16 with AVX-512), each block's b channels side by side, memory [N, C/b, H, W, b]. Tensors keep the shape
// [N, C, H, W] all along: shape says what a tensor is, these operators alone know the order of its numbers. Layouts and
// semantics: MLAS, onnxruntime/core/mlas/lib/snchwc.cpp and reorder.cpp; attributes: core/graph/contrib_ops/nchwc_schema_defs.cc.

import { int, type Operator, operator, optional, required } from '../../../core/graph/operator.js'
import { normal, type Sample } from '../../../core/graph/sample.js'
import { isKnown, isStatic, type Shape } from '../../../core/graph/shape.js'
import { type Numbers, numbers } from '../../../core/graph/tensor.js'
import { apply1, GraphError, type Value } from '../../../core/graph/value.js'
import {
  Conv,
  type ConvOptions,
  GlobalAveragePool,
  MaxPool,
  maxPoolGrad,
  reshape,
  Transpose,
  type Window,
  windowAttributes,
} from '../../../core/ops/index.js'

export const NCHWC_DOMAIN = 'com.microsoft.nchwc'

const attributes = { ...windowAttributes, group: int(1), activation: optional('string') } as const

type Dims4 = readonly [number, number, number, number]

/** The axes of a view of x in another order; shape is what the result says it has. */
function rearranged(x: Numbers, view: readonly number[], perm: readonly number[], shape: readonly number[]): Numbers {
  const [y] = Transpose.evaluate([{ ...x, shape: view }], { perm })
  return numbers(x.dtype, shape, y!.data)
}

export interface ConvNchwcOptions extends ConvOptions {
  /** One number an output channel. */
  readonly bias?: Value | undefined
  /** Added to the result, blocked as it is, before the activation. */
  readonly sum?: Value | undefined
  readonly activation?: 'Relu' | undefined
}

export interface Nchwc {
  /** Channels in a block. */
  readonly block: number
  readonly operators: {
    readonly ReorderInput: Operator
    readonly ReorderOutput: Operator
    readonly Conv: Operator
    readonly GlobalAveragePool: Operator
    readonly MaxPool: Operator
  }
  /**
   * [N, C, H, W] → blocked. With `channelsLast` the input is [N, H, W, C]. C is a multiple of the block, or of 4: then channels of
   * zeros fill the last block, and the result has so many more.
   */
  reorderInput(x: Value, options?: { channelsLast?: boolean }): Value
  /** Blocked → [N, C, H, W], or [N, H, W, C] with `channelsLast`; of the last block only so many that there are `channels`, all unless given. */
  reorderOutput(x: Value, options?: { channelsLast?: boolean; channels?: number }): Value
  /**
   * Convolution of a blocked x, or of a plain x with fewer channels than a block. The result is blocked.
   * @param w as `filter` or, for a plain x or one channel a group, `narrowFilter` gives it
   */
  conv(x: Value, w: Value, options?: ConvNchwcOptions): Value
  /** Blocked [N, C, H, W] → [N, C, 1, 1], where blocked and plain are the same. */
  globalAveragePool(x: Value): Value
  /**
   * Σ x·y over the places of each image, of blocked x and y [N, C, H, W]: [N, C]. A convolution with a group an image and channel,
   * whose filter is y as it lies: one pass that writes nothing of their size.
   */
  products(x: Value, y: Value): Value
  /** Blocked [N, C, H, W] → blocked; ONNX's MaxPool without the places. */
  maxPool(x: Value, window: Window & { readonly ceil_mode?: number }): Value
  /**
   * The gradient of a maximum over windows that stand side by side, of blocked dy, x and y (core/ops/pool.ts); blocked as well.
   */
  maxPoolGrad(tensors: readonly [dy: Value, x: Value, y: Value], kernel: readonly number[]): Value
  /** [O, I, kh, kw] → the same shape in the order [O/b, I/b, kh, kw, b of I, b of O]. */
  filter(w: Value): Value
  /** [O, I, kh, kw] → the same shape in the order [O/b, I, kh, kw, b of O]. */
  narrowFilter(w: Value): Value
}

const require4d = (x: Value): void => {
  if (x.shape.length !== 4) throw new GraphError('needs a four-dimensional input')
}

function describe(block: number): Nchwc {
  const requireBlocks = (channels: unknown) => {
    if (!isKnown(channels as number) || (channels as number) % block !== 0)
      throw new GraphError(`needs channels in whole blocks of ${block}, got ${channels}`)
  }
  /** Channels in whole blocks that hold so many. */
  const filled = (channels: number) => Math.ceil(channels / block) * block
  /** [N, C, H, W] with zeros as further channels, or without its last ones. */
  const withChannels = (x: Numbers, channels: number): Numbers => {
    const [n, c, h, w] = x.shape as Dims4
    if (c === channels) return x
    const data = Array.from({ length: n * channels * h * w }, (_, i) => {
      const [image, channel, place] = [
        Math.floor(i / (channels * h * w)),
        Math.floor(i / (h * w)) % channels,
        i % (h * w),
      ]
      return channel < c ? x.data[(image * c + channel) * h * w + place]! : 0
    })
    return numbers(x.dtype, [n, channels, h, w], data)
  }
  const toBlocks = (x: Numbers): Numbers => {
    const [n, c, h, w] = x.shape as Dims4
    return rearranged(x, [n, c / block, block, h * w], [0, 1, 3, 2], x.shape)
  }
  const fromBlocks = (x: Numbers): Numbers => {
    const [n, c, h, w] = x.shape as Dims4
    return rearranged(x, [n, c / block, h * w, block], [0, 1, 3, 2], x.shape)
  }
  const lastToFirst = ([n, h, w, c]: Shape): Shape => [n!, c!, h!, w!]
  const firstToLast = ([n, c, h, w]: Shape): Shape => [n!, h!, w!, c!]
  /** Whether MLAS takes x plain: it has fewer channels than a block. */
  const isNarrow = (channels: number) => channels < block

  const ReorderInput = operator({
    name: 'ReorderInput',
    domain: NCHWC_DOMAIN,
    since: 1,
    attributes: { channels_last: int(0) },
    arity: [1, 1],
    infer([x], { channels_last }) {
      require4d(x!)
      const [n, c, ...places] = channels_last ? lastToFirst(x!.shape) : x!.shape
      if (!isKnown(c!) || c % 4 !== 0) requireBlocks(c)
      return [{ dtype: x!.dtype, shape: [n!, filled(c as number), ...places] }]
    },
    gradient: { forbidden: 'differentiate the plain graph' },
    evaluate([x], { channels_last }) {
      const [n, h, w, c] = x!.shape as Dims4
      const first = channels_last ? rearranged(x!, [n, h * w, c], [0, 2, 1], [n, c, h, w]) : x!
      return [toBlocks(withChannels(first, filled(first.shape[1]!)))]
    },
    samples: [
      { inputs: [normal(2, 2 * block, 3, 4)] },
      { inputs: [normal(2, block + 4, 3, 4)] },
      { inputs: [normal(2, 3, 4, 2 * block)], attributes: { channels_last: 1 } },
    ],
  })

  const ReorderOutput = operator({
    name: 'ReorderOutput',
    domain: NCHWC_DOMAIN,
    since: 1,
    attributes: { channels: required('int'), channels_last: int(0) },
    arity: [1, 1],
    infer([x], { channels, channels_last }) {
      require4d(x!)
      requireBlocks(x!.shape[1])
      if (filled(channels) !== x!.shape[1])
        throw new GraphError(`channels=${channels} are not in as many blocks as ${x!.shape[1]}`)
      const [n, , ...places] = x!.shape
      const shape = [n!, channels, ...places]
      return [{ dtype: x!.dtype, shape: channels_last ? firstToLast(shape) : shape }]
    },
    gradient: { forbidden: 'differentiate the plain graph' },
    evaluate([x], { channels, channels_last }) {
      const y = withChannels(fromBlocks(x!), channels)
      if (!channels_last) return [y]
      const [n, c, h, w] = y.shape as Dims4
      return [rearranged(y, [n, c, h * w], [0, 2, 1], [n, h, w, c])]
    },
    samples: [
      { inputs: [normal(2, 2 * block, 3, 4)], attributes: { channels: 2 * block } },
      { inputs: [normal(2, 2 * block, 3, 4)], attributes: { channels: block + 4 } },
      { inputs: [normal(2, 2 * block, 3, 4)], attributes: { channels: 2 * block, channels_last: 1 } },
    ],
  })

  /** What `filter` or `narrowFilter` has made of the weights, undone. */
  const plainFilter = (w: Numbers): Numbers => {
    const [o, i, kh, kw] = w.shape as Dims4
    return isNarrow(i)
      ? rearranged(w, [o / block, i, kh * kw, block], [0, 3, 1, 2], w.shape)
      : rearranged(w, [o / block, i / block, kh * kw, block, block], [0, 4, 1, 3, 2], w.shape)
  }
  const pads = [1, 1, 1, 1]
  const samples: [Sample<object>, ...Sample<object>[]] = [
    { inputs: [normal(2, block, 5, 4), normal(2 * block, block, 3, 3)], attributes: { pads } },
    { inputs: [normal(2, 2 * block, 5, 6), normal(block, 2 * block, 1, 1)], attributes: { strides: [2, 2] } },
    { inputs: [normal(2, 3, 5, 5), normal(block, 3, 3, 3)], attributes: { pads } },
    {
      inputs: [normal(2, block, 3, 4), normal(block, 1, 1, 1), normal(block), normal(2, block, 3, 4)],
      attributes: { group: block, activation: 'Relu' },
    },
    {
      inputs: [normal(1, 2 * block, 5, 9), normal(4 * block, block, 3, 3)],
      attributes: { group: 2, dilations: [1, 3] },
    },
  ]
  const NchwcConv = operator({
    name: 'Conv',
    domain: NCHWC_DOMAIN,
    since: 1,
    attributes,
    arity: [2, 4],
    infer([x, w, bias, sum], { activation, ...window }) {
      const types = Conv.infer(bias ? [x!, w!, bias] : [x!, w!], { ...window, auto_pad: undefined })
      requireBlocks(w!.shape[0])
      if (!isNarrow(x!.shape[1] as number)) requireBlocks(x!.shape[1])
      if (!isNarrow(w!.shape[1] as number)) requireBlocks(w!.shape[1])
      if (sum && sum.shape.join() !== types[0]!.shape.join())
        throw new GraphError('the sum needs the shape of the result')
      if (activation !== undefined && activation !== 'Relu')
        throw new GraphError(`activation '${activation}' is not known`)
      return types
    },
    gradient: { forbidden: 'differentiate the plain graph' },
    evaluate([x, w, bias, sum], { activation, ...window }) {
      const plain = isNarrow(x!.shape[1]!) ? x! : fromBlocks(x!)
      const filter = plainFilter(w!)
      const y = toBlocks(
        Conv.evaluate(bias ? [plain, filter, bias] : [plain, filter], { ...window, auto_pad: undefined })[0]!,
      )
      const total = sum ? y.data.map((value, i) => value + sum.data[i]!) : y.data
      return [numbers(y.dtype, y.shape, activation ? total.map((value) => Math.max(0, value)) : total)]
    },
    samples,
  })

  const NchwcGlobalAveragePool = operator({
    name: 'GlobalAveragePool',
    domain: NCHWC_DOMAIN,
    since: 1,
    attributes: {},
    arity: [1, 1],
    infer([x]) {
      const types = GlobalAveragePool.infer([x!], {})
      requireBlocks(x!.shape[1])
      return types
    },
    gradient: { forbidden: 'differentiate the plain graph' },
    evaluate: ([x]) => GlobalAveragePool.evaluate([fromBlocks(x!)], {}),
    samples: [{ inputs: [normal(2, 2 * block, 3, 4)] }],
  })

  const plainPool = { auto_pad: undefined, storage_order: undefined }
  const NchwcMaxPool = operator({
    name: 'MaxPool',
    domain: NCHWC_DOMAIN,
    since: 1,
    attributes: { ...windowAttributes, ceil_mode: int(0) },
    arity: [1, 1],
    infer([x], attributes) {
      requireBlocks(x!.shape[1])
      return [MaxPool.infer([x!], { ...attributes, ...plainPool })[0]!]
    },
    gradient: { forbidden: 'differentiate the plain graph' },
    evaluate: ([x], attributes) => [toBlocks(MaxPool.evaluate([fromBlocks(x!)], { ...attributes, ...plainPool })[0]!)],
    samples: [
      { inputs: [normal(2, 2 * block, 4, 6)], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
      { inputs: [normal(1, block, 5, 7)], attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } },
    ],
  })

  /** The numbers of a blocked value as they lie: [N · C/b, H, W, b]. */
  const lanes = (x: Value): Value => {
    const [n, c, h, w] = dims(x)
    return reshape(x, [(n * c) / block, h, w, block])
  }
  const dims = (w: Value): Dims4 => {
    if (!isStatic(w.shape)) throw new GraphError('needs weights of known shape')
    return w.shape as unknown as Dims4
  }
  const reorderInput: Nchwc['reorderInput'] = (x, { channelsLast = false } = {}) =>
    apply1(ReorderInput, [x], { channels_last: Number(channelsLast) })
  const reorderOutput: Nchwc['reorderOutput'] = (x, { channelsLast = false, channels = x.shape[1] as number } = {}) =>
    // A single block of channels stands last already.
    channelsLast && x.shape[1] === block && channels === block && isStatic(x.shape)
      ? reshape(x, firstToLast(x.shape) as readonly number[])
      : apply1(ReorderOutput, [x], { channels, channels_last: Number(channelsLast) })
  // ReorderInput brings b rows side by side, much faster than Transpose does: here those of b output channels.
  const narrowFilter = (w: Value): Value => {
    const [o, i, kh, kw] = dims(w)
    return reshape(reorderInput(reshape(w, [o / block, block, i * kh * kw, 1])), [o, i, kh, kw])
  }
  const convolved: Nchwc['conv'] = (x, w, { bias, sum, strides, pads, dilations, group, activation } = {}) =>
    apply1(NchwcConv, sum ? [x, w, bias, sum] : bias ? [x, w, bias] : [x, w], {
      strides,
      pads,
      dilations,
      group,
      activation,
      kernel_shape: w.shape.slice(2) as number[],
    })
  return {
    block,
    operators: {
      ReorderInput,
      ReorderOutput,
      Conv: NchwcConv,
      GlobalAveragePool: NchwcGlobalAveragePool,
      MaxPool: NchwcMaxPool,
    } as unknown as Nchwc['operators'],
    reorderInput,
    reorderOutput,
    conv: convolved,
    globalAveragePool: (x) => apply1(NchwcGlobalAveragePool, [x]),
    products(x, y) {
      const [n, c, h, w] = dims(x)
      return reshape(convolved(reshape(x, [1, n * c, h, w]), reshape(y, [n * c, 1, h, w]), { group: n * c }), [n, c])
    },
    maxPool: (x, { kernel_shape, strides, pads, dilations, ceil_mode }) =>
      apply1(NchwcMaxPool, [x], { kernel_shape, strides, pads, dilations, ceil_mode }),
    maxPoolGrad: ([dy, x, y], kernel) =>
      reshape(maxPoolGrad([lanes(dy), lanes(x), lanes(y)], kernel, [1, 2]), [...dims(x)]),
    filter(w) {
      const [o, i, kh, kw] = dims(w)
      const narrow = narrowFilter(w)
      if (kh * kw === 1) return narrow
      // [O/b·I/b, b of I, taps, b of O] → [O/b·I/b, taps, b of I, b of O]
      const rows = reshape(narrow, [(o / block) * (i / block), block, 1, kh * kw * block])
      return reshape(reorderInput(rows, { channelsLast: true }), [o, i, kh, kw])
    },
    narrowFilter,
  }
}

const known = new Map<number, Nchwc>()

/** The blocked operators of a machine whose blocks hold so many channels. */
export function nchwc(block: number): Nchwc {
  const found = known.get(block) ?? describe(block)
  known.set(block, found)
  return found
}

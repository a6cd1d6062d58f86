// Convolutions of every kind of window, and their gradients on drawn numbers.
import { type Numbers, numbers } from '../../src/core/graph/tensor.js'
import { apply1, input, type Value } from '../../src/core/graph/value.js'
import { ConvInputGrad, ConvWeightGrad, conv } from '../../src/core/ops/index.js'
import { randomStream } from '../../src/core/random.js'

export interface Convolution {
  /** Height and width of x. */
  size: readonly [number, number]
  kernel: readonly [number, number]
  strides: readonly [number, number]
  pads: readonly [number, number, number, number]
  dilations: readonly [number, number]
  group: number
}

/** Strides 1–3, kernels 1–5, pads on each side up to the kernel, dilations 1–3, groups 1–3: drawn once, always the same. */
const drawnConvolutions: readonly Convolution[] = Array.from({ length: 60 }, (_, i) => {
  const random = randomStream(31, 'convolution', i)
  const upTo = (most: number) => 1 + random.below(most)
  const kernel = [upTo(5), upTo(5)] as const
  // A third of them take the short ways: stride and dilation 1, one group.
  const simple = i % 3 === 0
  const strides = simple ? ([1, 1] as const) : ([upTo(3), upTo(3)] as const)
  const dilations = i % 3 === 2 ? ([upTo(3), upTo(3)] as const) : ([1, 1] as const)
  const pad = (axis: 0 | 1) => random.below(kernel[axis] + 1)
  const span = (axis: 0 | 1) => dilations[axis] * (kernel[axis] - 1) + 1
  return {
    kernel,
    strides,
    dilations,
    pads: [pad(0), pad(1), pad(0), pad(1)],
    size: [span(0) + random.below(6), span(1) + random.below(6)],
    group: simple ? 1 : upTo(3),
  }
})

/** One row too much at one end and one too few at the other: pads that cancel in a sum. */
const lopsided = [
  [3, 1, 1, 3],
  [1, 3, 3, 1],
  [0, 2, 4, 2],
] as const
export const convolutions: readonly Convolution[] = [
  ...lopsided.map(
    (pads) => ({ size: [5, 6], kernel: [3, 3], strides: [1, 1], dilations: [1, 1], group: 1, pads }) as const,
  ),
  ...drawnConvolutions,
]

export const titleOf = (c: Convolution): string =>
  `${c.size.join('×')} kernel ${c.kernel} strides ${c.strides} pads ${c.pads} dilations ${c.dilations} group ${c.group}`

function drawLike(shape: readonly number[], key: string): Numbers {
  const random = randomStream(37, key)
  const size = shape.reduce((a, b) => a * b, 1)
  return numbers(
    'float32',
    shape,
    Array.from({ length: size }, () => random.normal()),
  )
}

export interface ConvolutionTrial {
  readonly x: Value
  readonly w: Value
  readonly y: Value
  readonly dy: Value
  readonly dx: Value
  readonly dw: Value
  readonly feeds: ReadonlyMap<Value, Numbers>
}

export interface TrialSizes {
  /** Symbolic unless given, and then 2 in the feeds. */
  readonly batch?: number
  /** Channels of a group of x, and of y. */
  readonly inputs?: number
  readonly outputs?: number
}

/** y = x ∗ w, and the gradient nodes for a drawn dy. */
export function convolutionTrial(
  { size, kernel, group, ...window }: Convolution,
  prefix = '',
  { batch, inputs = 2, outputs = 3 }: TrialSizes = {},
): ConvolutionTrial {
  const x = input(`${prefix}x`, 'float32', [batch ?? 'batch', inputs * group, ...size])
  const w = input(`${prefix}w`, 'float32', [outputs * group, inputs, ...kernel])
  const y = conv(x, w, { ...window, group })
  const dy = input(`${prefix}dy`, 'float32', y.shape)
  const known = (value: Value) => value.shape.map((dim) => (typeof dim === 'number' ? dim : 2))
  const feeds = new Map([x, w, dy].map((value, i) => [value, drawLike(known(value), String(i))]))
  const output_padding = (y.shape.slice(2) as readonly number[]).map((count, axis) => {
    const padded = size[axis]! + window.pads[axis]! + window.pads[axis + 2]!
    return padded - ((count - 1) * window.strides[axis]! + window.dilations[axis]! * (kernel[axis]! - 1) + 1)
  })
  const dx = apply1(ConvInputGrad, [dy, w], { ...window, group, output_padding })
  const dw = apply1(ConvWeightGrad, [x, dy], { ...window, group, kernel_shape: kernel })
  return { x, w, y, dy, dx, dw, feeds }
}

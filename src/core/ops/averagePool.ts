// Means and norms of windows.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, type Operator, operator, optional } from '../graph/operator.js'
import { awayFromZero, normal } from '../graph/sample.js'
import { isKnown, isStatic, type Shape, sizeOf } from '../graph/shape.js'
import { type DType, numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { Conv, convInputGrad } from './conv.js'
import { outputPadding } from './convSum.js'
import { abs, div, mul, pow, sqrt } from './elementwise.js'
import {
  completePool,
  forEachWindow,
  type PoolAttributes,
  type PoolOptions,
  poolAttributes,
  pooledShape,
  poolWindow,
} from './pool.js'
import { indices } from './reference.js'
import { reshapeTo } from './shape.js'
import { areaOf, requireSizes, spanOf, type Window, type WindowAttributes, windowCounts } from './window.js'

/** How many taps of each window count, as [1, 1, …]: those inside x, or inside the frame that the pads make around it. */
function coverage(
  spatial: readonly number[],
  window: Window,
  counts: readonly number[],
  inFrame: boolean,
): Float64Array {
  const { kernel_shape, strides, pads, dilations } = window
  const axes = spatial.length
  const along = spatial.map((size, axis) => {
    const [first, last] = inFrame ? [-pads[axis]!, size + pads[axis + axes]!] : [0, size]
    return Array.from({ length: counts[axis]! }, (_, place) => {
      const taps = Array.from({ length: kernel_shape![axis]! }, (_, tap) => tap * dilations[axis]! - pads[axis]!)
      return taps.filter((tap) => place * strides[axis]! + tap >= first && place * strides[axis]! + tap < last).length
    })
  })
  // Typed arrays would map only after all places, which are one array each time, have gone by.
  const all = Array.from(indices(counts), (place) => place.reduce((count, at, axis) => count * along[axis]![at]!, 1))
  return Float64Array.from(all)
}

/** The window with pads at the end that reach as far as ceil_mode does, so that rounding down finds every place. */
function framed(spatial: readonly number[], counts: readonly number[], window: Window): Window {
  const { kernel_shape, strides, pads, dilations } = window
  const axes = spatial.length
  const ends = spatial.map((size, axis) => {
    const reach = (counts[axis]! - 1) * strides[axis]! + spanOf(kernel_shape![axis]!, dilations[axis]!)
    return Math.max(pads[axis + axes]!, reach - size - pads[axis]!)
  })
  return { ...window, pads: [...pads.slice(0, axes), ...ends] }
}

const onesFor = (dtype: DType, channels: number, kernel: readonly number[]): Value =>
  constant(dtype, new Float64Array(channels * areaOf(kernel)).fill(1), [channels, 1, ...kernel])

/** The sum of each window, channel by channel: a convolution with ones. */
function windowSums(x: Value, { ceil_mode, ...attributes }: PoolAttributes): Value {
  const kernel = attributes.kernel_shape!
  const [batch, channels, ...spatial] = x.shape
  let window: WindowAttributes = attributes
  if (isStatic(spatial)) {
    const over = poolWindow(x.shape, attributes)
    window = framed(spatial, windowCounts(spatial, kernel, over, ceil_mode === 1) as readonly number[], over)
  } else if (ceil_mode === 1 && attributes.strides.some((stride) => stride > 1))
    throw new GraphError('ceil_mode=1 needs known sizes of the spatial axes')
  const { kernel_shape, strides, pads, dilations, auto_pad } = window
  const given = { kernel_shape, strides, pads, dilations, auto_pad }
  if (isKnown(channels!)) return apply1(Conv, [x, onesFor(x.dtype, channels, kernel)], { ...given, group: channels })
  const planes = reshapeTo(x, [sizeOf([batch!, channels!]), 1, ...spatial], x)
  const sums = apply1(Conv, [planes, onesFor(x.dtype, 1, kernel)], given)
  return reshapeTo(sums, [batch!, channels!, ...sums.shape.slice(2)], x, sums)
}

// Before version 19 AveragePool has no dilations: they are said where they are not 1.
const averageAttributes = { ...poolAttributes, dilations: optional('ints'), count_include_pad: int(0) } as const
type AverageAttributes = Omit<PoolAttributes, 'dilations'> & {
  readonly dilations?: readonly number[] | undefined
  readonly count_include_pad: number
}

const dilated = ({
  dilations,
  strides,
  ...rest
}: AverageAttributes): PoolAttributes & { count_include_pad: number } => ({
  ...rest,
  strides,
  dilations: dilations ?? strides.map(() => 1),
})

/** By how many each sum is divided: a number, or [1, 1, …] where windows differ. */
function divisor(x: Shape, attributes: AverageAttributes, dtype: DType): Value | number {
  const spatial = requireSizes(x.slice(2))
  const whole = dilated(attributes)
  const window = poolWindow(x, whole)
  const counts = windowCounts(spatial, window.kernel_shape!, window, whole.ceil_mode === 1) as readonly number[]
  const covered = coverage(spatial, window, counts, attributes.count_include_pad === 1)
  const uniform = attributes.count_include_pad === 1 && covered.every((count) => count === covered[0])
  return uniform ? areaOf(window.kernel_shape!) : constant(dtype, covered, [1, 1, ...counts])
}

/** The mean of each window; padding counts as zeros only with count_include_pad = 1, and what ceil_mode adds never. */
export const AveragePool: Operator<typeof averageAttributes> = operator({
  name: 'AveragePool',
  domain: ONNX_DOMAIN,
  since: 19,
  before: {
    lacks: ['dilations'],
    instead([x], attributes) {
      if (!attributes.dilations) return undefined
      return [div(windowSums(x!, dilated(attributes)), divisor(x!.shape, attributes, x!.dtype))]
    },
  },
  attributes: averageAttributes,
  arity: [1, 1],
  complete([x], attributes, given) {
    const { dilations, ...rest } = completePool(dilated(attributes), given, x)
    return { ...attributes, ...rest, dilations: dilations.every((dilation) => dilation === 1) ? undefined : dilations }
  },
  infer: ([x], attributes) => [{ dtype: x!.dtype, shape: pooledShape(x!.shape, dilated(attributes)) }],
  gradient: {
    // Each window hands its gradient, divided by its count, to all it covers: a depthwise input gradient with ones.
    rule({ grad, inputs: [x], outputs: [y], attributes }) {
      const [, channels, ...spatial] = x!.shape
      if (!isKnown(channels!)) throw new GraphError('the gradient needs a known number of channels')
      const counts = divisor(x!.shape, attributes, grad.dtype)
      const { kernel_shape, ...window } = framed(
        requireSizes(spatial),
        y!.shape.slice(2) as readonly number[],
        poolWindow(x!.shape, dilated(attributes)),
      )
      const ones = onesFor(grad.dtype, channels, kernel_shape!)
      const output_padding = outputPadding(x!.shape, ones.shape, window)
      return [convInputGrad(div(grad, counts), ones, { ...window, group: channels, output_padding })]
    },
  },
  evaluate([x], attributes) {
    const whole = dilated(attributes)
    const window = poolWindow(x!.shape, whole)
    const shape = pooledShape(x!.shape, { ...whole, ...window }) as readonly number[]
    const [spatial, counts] = [x!.shape.slice(2), shape.slice(2)]
    const divisors = coverage(spatial, window, counts, attributes.count_include_pad === 1)
    const values = new Float64Array(Number(sizeOf(shape)))
    forEachWindow(x!.shape, shape, window, (yAt, covered) => {
      values[yAt] = covered.reduce((sum, at) => sum + x!.data[at]!, 0) / divisors[yAt % divisors.length]!
    })
    return [numbers(x!.dtype, shape, values)]
  },
  samples: [
    { inputs: [normal(2, 3, 4, 4)], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { inputs: [normal(1, 2, 5, 7)], attributes: { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 1, 1] } },
    { inputs: [normal(1, 2, 5, 5)], attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 } },
    { inputs: [normal(2, 3, 6)], attributes: { kernel_shape: [3], strides: [2], ceil_mode: 1 } },
    {
      inputs: [normal(1, 2, 4, 3, 5)],
      attributes: { kernel_shape: [2, 2, 3], strides: [2, 1, 1], pads: [0, 1, 1, 1, 0, 1] },
    },
    { inputs: [normal(1, 2, 5, 6)], attributes: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: 'SAME_LOWER' } },
    { inputs: [normal(1, 2, 7, 6)], attributes: { kernel_shape: [3, 2], dilations: [2, 3], pads: [1, 0, 1, 1] } },
    {
      inputs: [normal(1, 2, 6, 6)],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad: 1 },
    },
  ],
})
/** The mean of each window: x [N, C, …]. Padding counts with `count_include_pad: 1`. */
export const averagePool = (
  x: Value,
  options: Omit<PoolOptions, 'dilations'> & { readonly count_include_pad?: number },
): Value => apply1(AveragePool, [x], options)

/** |x|^p, of which a norm is the sum's p-th root. */
export const powered = (x: Value, p: number): Value => (p === 1 ? abs(x) : p === 2 ? mul(x, x) : pow(abs(x), p))
export const rooted = (sum: Value, p: number): Value => (p === 1 ? sum : p === 2 ? sqrt(sum) : pow(sum, 1 / p))

/** The p-norm of each window, (Σ|x|^p)^(1/p). */
export const LpPool = composite({
  name: 'LpPool',
  domain: ONNX_DOMAIN,
  since: 18,
  attributes: { ...poolAttributes, p: int(2) },
  arity: [1, 1],
  complete: ([x], attributes, given) => completePool(attributes, given, x),
  check([x], attributes) {
    pooledShape(x!.shape, attributes)
  },
  body: ([x], { p, ...window }) => [rooted(windowSums(powered(x!, p), window), p)],
  samples: [
    { inputs: [awayFromZero(1, 2, 5, 4)], attributes: { kernel_shape: [2, 3], pads: [0, 1, 1, 1] } },
    { inputs: [awayFromZero(2, 3, 6)], attributes: { kernel_shape: [3], strides: [2], p: 3, ceil_mode: 1 } },
    { inputs: [awayFromZero(1, 2, 4, 4, 5)], attributes: { kernel_shape: [2, 2, 2], strides: [2, 2, 2], p: 1 } },
    {
      inputs: [awayFromZero(1, 2, 6, 7)],
      attributes: { kernel_shape: [2, 3], dilations: [2, 2], auto_pad: 'SAME_UPPER' },
    },
  ],
})

// Pooling over windows of the two spatial axes.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, operator, required, TRAINING_DOMAIN } from '../graph/operator.js'
import { distinct, held, normal } from '../graph/sample.js'
import { type Dim, isKnown, type Shape, sizeOf } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply, apply1, constant, GraphError, type Value } from '../graph/value.js'
import { checkWindow, convInputGrad, type Window, windowAttributes, windowCount } from './conv.js'
import { div, equal, max, mul, sub, where } from './elementwise.js'
import { scatterAdd } from './indexing.js'
import { expandAs, fillAs, reshape, reshapeTo, unsqueeze } from './shape.js'
import { concat, pad, slice } from './slice.js'

function pooledShape(x: Shape, attributes: Window & { readonly ceil_mode: number }): Shape {
  const { kernel_shape: kernel } = attributes
  checkWindow(attributes)
  if (x.length !== 4) throw new GraphError('needs a four-dimensional input [N, C, H, W]')
  if (kernel?.length !== 2) throw new GraphError('needs kernel_shape, two whole numbers from 1')
  // A window that lies in the padding alone would have no mean and no maximum.
  if (attributes.pads.some((amount, side) => amount >= kernel[side % 2]!))
    throw new GraphError('pads must be smaller than the kernel')
  if (attributes.ceil_mode !== 0) throw new GraphError('ceil_mode=1 is not supported; pad the input instead')
  return [x[0]!, x[1]!, windowCount(x[2]!, kernel[0]!, 0, attributes), windowCount(x[3]!, kernel[1]!, 1, attributes)]
}

/** Visits each place of the output with the places of x that its window covers; padding is left out. */
function forEachWindow(
  x: readonly number[],
  y: readonly number[],
  { kernel_shape, strides, pads, dilations }: Window,
  visit: (yAt: number, covered: readonly number[]) => void,
): void {
  const [, , height, width] = x as [number, number, number, number]
  const [batch, channels, rows, columns] = y as [number, number, number, number]
  let yAt = 0
  for (let plane = 0; plane < batch * channels; plane++)
    for (let p = 0; p < rows; p++)
      for (let q = 0; q < columns; q++) {
        const covered: number[] = []
        for (let i = 0; i < kernel_shape![0]!; i++)
          for (let j = 0; j < kernel_shape![1]!; j++) {
            const row = p * strides[0]! - pads[0]! + i * dilations[0]!
            const column = q * strides[1]! - pads[1]! + j * dilations[1]!
            if (row >= 0 && row < height && column >= 0 && column < width) {
              covered.push((plane * height + row) * width + column)
            }
          }
        visit(yAt++, covered)
      }
}

const poolAttributes = { ...windowAttributes, ceil_mode: int(0) } as const

/** The largest of each window, and where in the whole of x it stands (row-major place, int64). */
export const MaxPool = operator({
  name: 'MaxPool',
  domain: ONNX_DOMAIN,
  since: 12,
  attributes: poolAttributes,
  arity: [1, 1],
  requiredOutputs: 1,
  differentiable: { outputs: [0] },
  infer([x], attributes) {
    const shape = pooledShape(x!.shape, attributes)
    return [
      { dtype: x!.dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
  gradient: {
    rule({ grad, inputs: [x], outputs: [y, places], attributes }) {
      if (isTiling(x!, attributes)) {
        const { kernel_shape } = attributes
        return [apply1(MaxPoolGrad, [grad, x!, y!], { kernel_shape: kernel_shape! })]
      }
      // Plane by plane: places in the whole of x become places in their plane.
      const [, , height, width] = x!.shape as readonly [Dim, Dim, number, number]
      const area = constant('int64', height * width)
      const inPlane = sub(places!, mul(div(places!, area), area))
      const [zeros, at, added] = [fillAs(0, x!), inPlane, grad].map((value) => reshape(value, [0, 0, -1]))
      return [reshapeTo(scatterAdd(zeros!, at!, added!, 2), x!.shape)]
    },
  },
  evaluate([x], attributes) {
    const shape = pooledShape(x!.shape, attributes) as readonly number[]
    const values = new Float64Array(Number(sizeOf(shape)))
    const places = new Float64Array(values.length)
    forEachWindow(x!.shape, shape, attributes, (yAt, covered) => {
      const best = covered.reduce((a, b) => (x!.data[b]! > x!.data[a]! ? b : a))
      values[yAt] = x!.data[best]!
      places[yAt] = best
    })
    return [numbers(x!.dtype, shape, values), numbers('int64', shape, places)]
  },
  samples: [
    { inputs: [distinct(2, 2, 4, 4)], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { inputs: [distinct(1, 2, 5, 7)], attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } },
    { inputs: [distinct(1, 1, 7, 7)], attributes: { kernel_shape: [2, 2], dilations: [2, 3] } },
  ],
})

/** Whether the windows stand side by side, each place in one of them at most. */
const isTiling = ({ shape }: Value, { kernel_shape, strides, pads, dilations }: Window): boolean =>
  shape.slice(2).every(isKnown) &&
  strides.join() === kernel_shape!.join() &&
  pads.every((amount) => amount === 0) &&
  dilations.every((dilation) => dilation === 1)

/** The gradient of MaxPool where the windows stand side by side: without a scatter over all places. */
export const MaxPoolGrad = composite({
  name: 'MaxPoolGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'x', 'y'],
    outputs: ['dx'],
    text:
      'The gradient of MaxPool whose windows stand side by side (strides as the kernel, no pads): dx is dy at the first place ' +
      'of a window, row by row, that holds its maximum y, else 0.',
  },
  attributes: { kernel_shape: required('ints') },
  arity: [3, 3],
  differentiable: { inputs: [0] },
  check([, x]) {
    if (x!.shape.length !== 4 || !x!.shape.slice(2).every(isKnown))
      throw new GraphError('needs an input [N, C, H, W] of known height and width')
  },
  body: ([dy, x, y], { kernel_shape }) => [maxPoolGrad([dy!, x!, y!], kernel_shape, [2, 3])],
  samples: [
    {
      inputs: [
        normal(1, 1, 1, 2),
        held('float32', [1, 1, 2, 4], [1, 3, 3, 2, 3, 0, 3, 5]),
        held('float32', [1, 1, 1, 2], [3, 5]),
      ],
      attributes: { kernel_shape: [2, 2] },
    },
    {
      inputs: [
        normal(1, 1, 2, 1),
        held('float32', [1, 1, 7, 3], [0, 1, 9, 2, 2, 9, 2, 0, 9, 4, 4, 9, 4, 4, 9, 4, 4, 9, 9, 9, 9]),
        held('float32', [1, 1, 2, 1], [2, 4]),
      ],
      attributes: { kernel_shape: [3, 2] },
    },
  ],
})

/**
 * Row by row, and in a row column by column, the first that holds the maximum gets all of dy.
 * @param tensors dy, x and y of one layout
 * @param axes of height and width in that
 */
export function maxPoolGrad(
  [dy, x, y]: readonly [Value, Value, Value],
  kernel: readonly number[],
  [rows, columns]: readonly [number, number],
): Value {
  const whole = (axis: number, size: number) => (y.shape[axis] as number) * size
  const taps = (value: Value, axis: number, size: number): Value[] =>
    Array.from({ length: size }, (_, tap) => slice(value, [axis], [tap], [whole(axis, size)], [size]))
  const [height, width] = kernel as readonly [number, number]
  const lines = taps(x, rows, height).map((line) => taps(line, columns, width))
  const lineMaxima = lines.map((line) => line.reduce((a, b) => max(a, b)))
  const perLine = handOut(dy, lineMaxima, y)
  const spread = lines.map((line, i) => interleaved(handOut(perLine[i]!, line, lineMaxima[i]!), columns))
  const inner = interleaved(spread, rows)
  const rest = [rows, columns].map((axis, i) => (x.shape[axis] as number) - whole(axis, kernel[i]!))
  return rest.some((amount) => amount > 0) ? pad(inner, [rows, columns], [0, 0], rest) : inner
}

/** The gradient of the maximum by each of what it is taken over: all of it to the first that is the maximum. */
function handOut(gradient: Value, candidates: readonly Value[], maximum: Value): readonly Value[] {
  let rest = gradient
  return candidates.map((candidate, i) => {
    if (i === candidates.length - 1) return rest
    const own = where(equal(candidate, maximum), rest, 0)
    rest = sub(rest, own)
    return own
  })
}

/** Values of one shape, in turn along an axis. */
function interleaved(parts: readonly Value[], axis: number): Value {
  const joined = concat(
    parts.map((part) => unsqueeze(part, axis + 1)),
    axis + 1,
  )
  const { shape } = parts[0]!
  const sizes = shape.map((dim, i) => (i < axis ? 0 : i === axis ? (dim as number) * parts.length : (dim as number)))
  return reshape(joined, sizes)
}

export type PoolOptions = { readonly [K in keyof Window]?: Window[K] | undefined }
export const maxPool = (x: Value, options: PoolOptions): Value => apply(MaxPool, [x], options)[0]!

/** How many places of x each window covers, as [1, 1, rows, columns]. */
function coverage(x: Shape, y: Shape, attributes: Window): Numbers {
  const plane = [1, 1, y[2] as number, y[3] as number]
  const counts = new Float64Array(Number(sizeOf(plane)))
  forEachWindow([1, 1, x[2] as number, x[3] as number], plane, attributes, (yAt, covered) => {
    counts[yAt] = covered.length
  })
  return numbers('float32', plane, counts)
}

// AveragePool has dilations only from opset 19 on.
const { dilations: _, ...undilated } = poolAttributes

/** The mean of each window; padding counts as zeros only with count_include_pad = 1. */
export const AveragePool = operator({
  name: 'AveragePool',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: { ...undilated, count_include_pad: int(0) },
  arity: [1, 1],
  infer: ([x], attributes) => [{ dtype: x!.dtype, shape: pooledShape(x!.shape, { ...attributes, dilations: [1, 1] }) }],
  gradient: {
    // Each window hands its gradient, divided by its count, to all it covers: a depthwise input gradient with ones.
    rule({ grad, inputs: [x], outputs: [y], attributes }) {
      const { kernel_shape, strides, pads } = attributes
      const [, channels, height, width] = x!.shape
      if (!isKnown(channels!)) throw new GraphError('the gradient needs a known number of channels')
      const window = { kernel_shape, strides, pads, dilations: [1, 1] }
      const counts = attributes.count_include_pad
        ? kernel_shape![0]! * kernel_shape![1]!
        : constant(grad.dtype, coverage(x!.shape, y!.shape, window).data, [
            1,
            1,
            y!.shape[2] as number,
            y!.shape[3] as number,
          ])
      const ones = constant(grad.dtype, new Float64Array(channels * kernel_shape![0]! * kernel_shape![1]!).fill(1), [
        channels,
        1,
        ...kernel_shape!,
      ])
      const output_padding = [height!, width!].map((size, axis) => {
        const covered = ((y!.shape[axis + 2] as number) - 1) * strides[axis]! + kernel_shape![axis]!
        return (size as number) + pads[axis]! + pads[axis + 2]! - covered
      })
      return [convInputGrad(div(grad, counts), ones, { strides, pads, group: channels, output_padding })]
    },
  },
  evaluate([x], attributes) {
    const window = { ...attributes, dilations: [1, 1] }
    const shape = pooledShape(x!.shape, window) as readonly number[]
    const values = new Float64Array(Number(sizeOf(shape)))
    const [kh, kw] = attributes.kernel_shape as readonly [number, number]
    forEachWindow(x!.shape, shape, window, (yAt, covered) => {
      const total = covered.reduce((sum, at) => sum + x!.data[at]!, 0)
      values[yAt] = total / (attributes.count_include_pad ? kh * kw : covered.length)
    })
    return [numbers(x!.dtype, shape, values)]
  },
  samples: [
    { inputs: [normal(2, 3, 4, 4)], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { inputs: [normal(1, 2, 5, 7)], attributes: { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 1, 1] } },
    { inputs: [normal(1, 2, 5, 5)], attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 } },
  ],
})
export const averagePool = (
  x: Value,
  options: Omit<PoolOptions, 'dilations'> & { readonly count_include_pad?: number },
): Value => apply1(AveragePool, [x], options)

/** The mean over height and width, which stay with size 1. */
export const GlobalAveragePool = operator({
  name: 'GlobalAveragePool',
  domain: ONNX_DOMAIN,
  since: 1,
  attributes: {},
  arity: [1, 1],
  infer([x]) {
    if (x!.shape.length !== 4) throw new GraphError('needs a four-dimensional input [N, C, H, W]')
    return [{ dtype: x!.dtype, shape: [x!.shape[0]!, x!.shape[1]!, 1, 1] }]
  },
  gradient: {
    rule({ grad, inputs: [x] }) {
      const area = sizeOf(x!.shape.slice(2))
      if (!isKnown(area)) throw new GraphError('the gradient needs a known height and width')
      return [expandAs(div(grad, area), x!)]
    },
  },
  evaluate([x]) {
    const [n, c, h, w] = x!.shape as readonly [number, number, number, number]
    const means = Float64Array.from({ length: n * c }, (_, plane) => {
      const values = x!.data.subarray(plane * h * w, (plane + 1) * h * w)
      return values.reduce((sum, value) => sum + value, 0) / (h * w)
    })
    return [numbers(x!.dtype, [n, c, 1, 1], means)]
  },
  samples: [{ inputs: [normal(2, 3, 4, 5)] }],
})
export const globalAveragePool = (x: Value): Value => apply1(GlobalAveragePool, [x])

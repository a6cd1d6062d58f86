// What undoes windows: Col2Im adds columns back into an image, MaxUnpool puts maxima back to their places.

import { composite } from '../graph/composite.js'
import { dimsIn, knownIn } from '../graph/dims.js'
import { ONNX_DOMAIN, type Operator, optional } from '../graph/operator.js'
import { fixed, ints, normal } from '../graph/sample.js'
import { divideDim, isKnown, isStatic, type Shape, sizeOf, unknownDim, unknownShape } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { outputPadding, transposedShape } from './convSum.js'
import { ConvTranspose } from './convTranspose.js'
import { ScatterElements } from './scatter.js'
import { Expand, lengthOf, reshape, reshapeTo, shapeVector } from './shape.js'
import { pad } from './slice.js'
import { areaOf, meetings, usualWindow, type Window, windowCounts } from './window.js'

const windowOf = { dilations: optional('ints'), pads: optional('ints'), strides: optional('ints') } as const

interface Columns {
  readonly channels: number | string
  readonly window: Window
  readonly counts: readonly number[]
}

/** What the columns of an image are: [N, C · taps, places]. */
function columnsOf(x: Shape, image: readonly number[], block: readonly number[], given: Partial<Window>): Columns {
  if (x.length !== 3) throw new GraphError('needs columns [N, C · taps, places]')
  if (image.length !== block.length) throw new GraphError('image_shape and block_shape need as many numbers')
  const window = { ...usualWindow(image.length, { ...given }), kernel_shape: block }
  const counts = windowCounts(image, block, window) as readonly number[]
  if (isKnown(x[2]!) && x[2] !== areaOf(counts)) throw new GraphError(`${x[2]} columns for ${areaOf(counts)} places`)
  const channels = divideDim(x[1]!, areaOf(block))
  if (channels === undefined && isKnown(x[1]!))
    throw new GraphError(`${x[1]} rows are no multiple of ${areaOf(block)} taps`)
  return { channels: channels ?? unknownDim(), window, counts }
}

const col2Im = composite({
  name: 'Col2Im',
  domain: ONNX_DOMAIN,
  since: 18,
  attributes: windowOf,
  arity: [3, 3],
  // A transposed convolution whose filters each have one tap.
  body([x, imageShape, blockShape], attributes) {
    const [image, block] = [knownIn(imageShape), knownIn(blockShape)]
    if (!image || !block)
      throw new GraphError('needs an image_shape and a block_shape that are known before anything runs')
    const { channels, window, counts } = columnsOf(x!.shape, image, block, attributes as Partial<Window>)
    if (!isKnown(channels)) throw new GraphError('needs a known number of channels')
    const taps = areaOf(block)
    const filters = Float64Array.from({ length: channels * taps * taps }, (_, i) =>
      Number(Math.floor(i / taps) % taps === i % taps),
    )
    const w = constant(x!.dtype, filters, [channels * taps, 1, ...block])
    const planes = reshape(x!, [0, channels * taps, ...counts])
    const { strides, pads, dilations } = window
    const output_padding = outputPadding([1, 1, ...image], [1, 1, ...block], window)
    return [apply1(ConvTranspose, [planes, w], { strides, pads, dilations, group: channels, output_padding })]
  },
  samples: [
    { inputs: [normal(1, 8, 6), ints(3, 4), ints(2, 2)] },
    { inputs: [normal(2, 6, 9), ints(5, 5), ints(2, 3)], attributes: { strides: [2, 1], pads: [1, 0, 0, 0] } },
    { inputs: [normal(1, 8, 2), ints(3, 3, 2), ints(2, 2, 2)], attributes: { dilations: [2, 1, 1] } },
  ],
})

/** The sum of columns [N, C · taps, places] at the places of the image that they were taken from (im2col's adjoint). */
export const Col2Im: Operator<typeof windowOf> = {
  ...col2Im,
  infer([x, imageShape, blockShape], attributes) {
    if (x!.shape.length !== 3) throw new GraphError('needs columns [N, C · taps, places]')
    const [image, block] = [knownIn(imageShape), knownIn(blockShape)]
    if (!image || !block) {
      const channels = block && divideDim(x!.shape[1]!, areaOf(block))
      const spatial = dimsIn(imageShape) ?? unknownShape(lengthOf(imageShape!))
      return [{ dtype: x!.dtype, shape: [x!.shape[0]!, channels ?? unknownDim(), ...spatial] }]
    }
    const { channels } = columnsOf(x!.shape, image, block, attributes as Partial<Window>)
    return [{ dtype: x!.dtype, shape: [x!.shape[0]!, channels, ...image] }]
  },
  evaluate([x, imageShape, blockShape], attributes) {
    const [image, block] = [[...imageShape!.data], [...blockShape!.data]]
    const { channels, window, counts } = columnsOf(x!.shape, image, block, attributes as Partial<Window>)
    const shape = [x!.shape[0]!, channels as number, ...image]
    const data = new Float64Array(Number(sizeOf(shape)))
    const taps = meetings(image, counts, window)
    const [area, places] = [areaOf(image), areaOf(counts)]
    for (let plane = 0; plane < shape[0]! * shape[1]!; plane++)
      taps.forEach((met, tap) => {
        met.forEach((at, place) => {
          if (at >= 0) data[plane * area + at]! += x!.data[(plane * taps.length + tap) * places + place]!
        })
      })
    return [numbers(x!.dtype, shape, data)]
  },
}

const unpoolAttributes = { kernel_shape: optional('ints'), strides: optional('ints'), pads: optional('ints') } as const

const maxUnpool = composite({
  name: 'MaxUnpool',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: unpoolAttributes,
  arity: [2, 3],
  body([x, places, outputShape], { kernel_shape, ...given }) {
    const axes = x!.shape.length - 2
    if (kernel_shape?.length !== axes) throw new GraphError(`needs kernel_shape, ${axes} whole numbers from 1`)
    const { strides, pads } = usualWindow(axes, given)
    const w = [1, 1, ...kernel_shape]
    const attributes = {
      strides,
      pads,
      dilations: strides.map(() => 1),
      group: 1,
      output_padding: strides.map(() => 0),
    }
    const [, , ...inferred] = transposedShape([1, 1, ...x!.shape.slice(2)], w, attributes)
    const whole = [x!.shape[0]!, x!.shape[1]!, ...inferred]
    const zeros = apply1(Expand, [constant(x!.dtype, 0), shapeVector(whole, [x!])])
    const flat = [zeros, places!, x!].map((value) => reshape(value, [-1]))
    const put = reshapeTo(apply1(ScatterElements, flat, { axis: 0 }), whole, x!)
    return [outputShape ? widened(put, outputShape) : put]
  },
  samples: [
    {
      inputs: [normal(1, 1, 2, 2), fixed('int64', [1, 1, 2, 2], [5, 7, 12, 15])],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    {
      inputs: [normal(1, 2, 2), fixed('int64', [1, 2, 2], [0, 3, 5, 6])],
      attributes: { kernel_shape: [2], strides: [2] },
    },
  ],
})

/**
 * Zeros, and each number of x at the place that MaxPool found it at: a place in the whole of an output without `output_shape`,
 * which has zeros after that (onnx/reference/ops/op_max_unpool.py).
 */
export const MaxUnpool: Operator<typeof unpoolAttributes> = {
  ...maxUnpool,
  infer(inputs, attributes) {
    const [x, , outputShape] = inputs
    if (!outputShape || knownIn(outputShape)) return maxUnpool.infer(inputs, attributes)
    return [{ dtype: x!.dtype, shape: dimsIn(outputShape) ?? unknownShape(x!.shape.length) }]
  },
}

function widened(x: Value, outputShape: Value): Value {
  const shape = dimsIn(outputShape)
  const axes = x.shape.flatMap((_, axis) => (axis < 2 ? [] : [axis]))
  const from: Shape = x.shape.slice(2)
  const to: Shape = shape?.slice(2) ?? []
  if (!isStatic(from) || !isStatic(to) || !shape)
    throw new GraphError('needs an output_shape that is known before anything runs')
  const more = to.map((size, axis) => size - from[axis]!)
  return more.every((amount) => amount === 0)
    ? x
    : pad(
        x,
        axes,
        axes.map(() => 0),
        more,
      )
}

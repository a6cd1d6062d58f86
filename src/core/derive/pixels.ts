// Preprocessing of images as part of the network, which then takes pixels as they are.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import type { Dim } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { constant, formatType, input, nameOf, scope, type Value } from '../graph/value.js'
import { cast, div, mul, sub, transpose } from '../ops/index.js'

/** Mean and standard deviation of each channel, or one for all of them, of pixels in [0, 1]. */
export interface PixelStatistics {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** Of the training images of ImageNet, as torchvision's models were trained with. */
export const imagenetPixels: PixelStatistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/**
 * The same network with pixels 0 to 255 as its input, uint8 [batch, channels, height, width], in place of floats [batch, channels,
 * height, width] or [batch, height, width, channels].
 * @throws UserError where it takes no images of floats
 */
export function withPixels(network: Graph, { mean, std }: PixelStatistics): Graph {
  const image = network.inputs.find(({ dtype, shape }) => isFloat(dtype) && shape.length === 4)
  const taken = network.inputs.map((value) => `'${nameOf(value)}' ${formatType(value)}`).join(', ')
  if (!image) throw new UserError(`the network takes no images of floats to normalize; it takes ${taken}`)
  const { dtype, shape } = image
  const fits = (size: Dim | undefined) => (mean.length === 1 ? size === 1 || size === 3 : size === mean.length)
  const isLast = !fits(shape[1]) && fits(shape[3])
  if (!fits(shape[1]) && !isLast)
    throw new UserError(
      `the network takes ${taken}; to normalize, one of its axes has to be ${mean.length === 1 ? '1 or 3' : mean.length} channels`,
    )
  const [batch, ...sizes] = shape
  const place = isLast ? [batch!, sizes[2]!, sizes[0]!, sizes[1]!] : shape
  const pixels = input(nameOf(image), 'uint8', place)
  const perChannel = (values: readonly number[]) => constant(dtype, values, [1, values.length, 1, 1])
  const normalized = scope('normalize', () => {
    const parts = mul(cast(pixels, dtype), constant(dtype, 1 / 255))
    const standard = div(sub(parts, perChannel(mean)), perChannel(std))
    return isLast ? transpose(standard, [0, 2, 3, 1]) : standard
  })
  const leaves = new Map<Value, Value>([[image, normalized]])
  const rewritten = rewrite(network, () => undefined, { leaves, inputs: [pixels] })
  const order = network.inputs.map(nameOf)
  return {
    ...rewritten,
    inputs: rewritten.inputs.toSorted((a, b) => order.indexOf(nameOf(a)) - order.indexOf(nameOf(b))),
  }
}

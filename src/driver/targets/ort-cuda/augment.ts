// Mini-batches cut out of a data set inside the graph: images picked, cropped and mirrored by one Gather.

import { isKnown } from '../../../core/graph/shape.js'
import { constant, GraphError, type Value } from '../../../core/graph/value.js'
import {
  add,
  and,
  concat,
  gather,
  greaterOrEqual,
  less,
  max,
  mul,
  reshape,
  sub,
  transpose,
  unsqueeze,
  where,
} from '../../../core/ops/index.js'

/** Which images make the mini-batches of some steps, and how each is cut. */
export interface Cuts {
  /** Places in the data set, int64 [steps, batch]. */
  readonly indices: Value
  /** Row and column of the image at which the crop begins, int64 [steps, batch, 2]; what lies outside is black. */
  readonly crops: Value
  /** Whether the crop is mirrored, bool [steps, batch]. */
  readonly flips: Value
}

/** Far enough below every place in a data set, and twice as far is still an int64. */
const OUTSIDE = -(2 ** 50)

/** Places where they are within [0, size), else OUTSIDE. */
const held = (places: Value, size: number, inside: Value = places): Value =>
  where(and(greaterOrEqual(places, 0), less(places, size)), inside, OUTSIDE)

const iota = (size: number) =>
  constant(
    'int64',
    Float64Array.from({ length: size }, (_, i) => i),
  )

/**
 * The mini-batch of a step. All but the last lines is computed once for all steps, when this is called within a loop.
 * @param images the data set, uint8 [count, channels, height, width]
 * @param step int64 []
 * @returns uint8 [batch, channels, height, width]
 */
export function cutBatch(images: Value, { indices, crops, flips }: Cuts, step: Value): Value {
  const [, channels, height, width] = images.shape
  if (!isKnown(channels!) || !isKnown(height!) || !isKnown(width!))
    throw new GraphError(`needs images of a known size, got [${images.shape}]`)
  // Pixels [(1 + count)·H·W, C], in front a black image for whatever lies outside. It is put there as an image: the CUDA
  // provider's Concat of unequal parts fills a table on the host with an entry for each place along the axis.
  const size = height * width
  const black = constant('uint8', new Uint8Array(channels * size), [1, channels, height, width])
  const pixels = reshape(transpose(concat([black, images], 0), [0, 2, 3, 1]), [-1, channels])
  const corner = (axis: number) => gather(crops, constant('int64', [axis]), 2)
  // The pixel of row y and column x of image i is H·W + (i·H + y)·W + x: a part for the rows, [steps, batch, H, 1], and one
  // for the columns, [steps, batch, 1, W].
  const y = add(corner(0), iota(height))
  const rows = held(y, height, add(mul(add(mul(unsqueeze(indices, 2), height), y), width), size))
  const mirrored = where(unsqueeze(flips, 2), sub(width - 1, iota(width)), iota(width))
  const columns = held(add(corner(1), mirrored), width)
  const [top, left] = [unsqueeze(rows, 3), unsqueeze(columns, 2)]
  const places = max(add(gather(top, step), gather(left, step)), 0)
  return transpose(gather(pixels, places), [0, 3, 1, 2])
}

// The images that a network is shown.

import { UserError } from '../../core/errors.js'
import { elementsOf } from '../../core/graph/tensor.js'
import { imagesAt } from '../../driver/data/images.js'
import { decodeImages } from '../../web/images.js'
import { type BroughtData, resized } from '../bring/data.js'
import type { ImageInput } from '../bring/inspection.js'
import { isImages } from '../train/data.js'

/** Images of a test set, as a network takes them. */
export interface Images {
  /** Bytes, [count, channels, height, width]. */
  readonly pixels: Uint8Array
  readonly count: number
  /** The class of each, where the data have classes. */
  readonly labels?: Uint8Array
  readonly classes: readonly string[]
}

/**
 * The first images of the test set.
 * @param most so many of them
 * @throws UserError for data without images
 */
export async function testImages(data: BroughtData, image: ImageInput, most: number): Promise<Images> {
  const { count: all, columns } = data.dataset.test
  const column = Object.values(columns).find(isImages)
  if (!column) throw new UserError('these data have no images, which the network looks at')
  const count = Math.min(all, most)
  const labels = Object.values(columns).find(({ classes }) => classes !== undefined)
  const known = labels?.kind === 'tensor' ? { labels: Uint8Array.from(labels.data.subarray(0, count), Number) } : {}
  const common = { count, ...known, classes: labels?.classes ?? [] }
  const shape = [image.channels, image.height, image.width] as const
  if (column.kind === 'image files') {
    const { files, blobs } = imagesAt(
      column,
      Array.from({ length: count }, (_, i) => i),
    )
    return { ...common, pixels: await decodeImages(files, shape, undefined, blobs) }
  }
  const part = (column.data as Uint8Array).subarray(0, count * elementsOf(column.shape))
  return { ...common, pixels: resized({ ...column, data: part }, count, image).data as Uint8Array }
}

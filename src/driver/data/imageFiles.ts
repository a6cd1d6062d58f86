// Image files to pixels, by sharp, which is loaded where there are any.

import pLimit from 'p-limit'
import { messageOf, UserError } from '../../core/errors.js'
import { loadOptional } from '../optional.js'
import { atOnce, type CheckImages, type ImageFiles, margin, maxPixels, type Size, sizesOf } from './images.js'
import { boxOf, type Region } from './transforms.js'

const loadSharp = async () => (await loadOptional(import('sharp'))).default

const broken = (file: string, error: unknown) =>
  new UserError(
    `${file}: is no image that can be read (${messageOf(error)
      .trim()
      .replace(/\s*\n\s*/g, '; ')})`,
  )

/** What sharp opens. */
const sources = ({ files, blobs }: ImageFiles) =>
  files.map((file, i) => ({ file, open: async () => (blobs ? blobs[i]!.arrayBuffer() : file) }))

/** Reads the headers of image files. */
export const checkImages: CheckImages = async (files, blobs) => {
  const sharp = await loadSharp()
  const sizes = await pLimit(atOnce).map(sources({ files, blobs }), async ({ file, open }): Promise<Size> => {
    const { autoOrient, pages = 1 } = await sharp(await open(), { limitInputPixels: false })
      .metadata()
      .catch((error: unknown) => {
        throw broken(file, error)
      })
    const { height, width } = autoOrient
    if (height * width > maxPixels)
      throw new UserError(`${file}: has ${width}×${height} pixels; at most ${maxPixels} are decoded`)
    if (pages > 1) throw new UserError(`${file}: has ${pages} pictures; expected one`)
    return [height, width]
  })
  return sizesOf(sizes)
}

/**
 * Pixels of images: uint8 [count, channels, height, width]; one channel is grey. An image is turned as its camera says. Its centre
 * is taken: its shorter side becomes 8/7 of what is wanted, and the border is cut off; or, where they are given, a region.
 * @throws UserError naming the file that cannot be decoded
 */
export async function decodeImages(
  files: readonly string[],
  [channels, height, width]: readonly [number, number, number],
  regions?: readonly Region[],
  blobs?: readonly Blob[],
): Promise<Uint8Array> {
  const sharp = await loadSharp()
  const plane = height * width
  const pixels = new Uint8Array(files.length * channels * plane)
  const [outerHeight, outerWidth] = [Math.round(height * margin), Math.round(width * margin)]
  const centre = { left: (outerWidth - width) >> 1, top: (outerHeight - height) >> 1, width, height }
  const decode = async ({ file, open }: ReturnType<typeof sources>[number], i: number): Promise<void> => {
    const image = sharp(await open(), { failOn: 'error', limitInputPixels: maxPixels }).autoOrient()
    const cut = async () => {
      const region = regions?.[i]
      if (!region) return image.resize(outerWidth, outerHeight, { fit: 'cover' }).extract(centre)
      const size = (await image.metadata()).autoOrient
      return image.extract(boxOf(region, size.height, size.width)).resize(width, height, { fit: 'fill' })
    }
    const { data, info } = await cut()
      .then((taken) =>
        taken
          .removeAlpha()
          .toColourspace(channels === 1 ? 'b-w' : 'srgb')
          .raw({ depth: 'uchar' })
          .toBuffer({ resolveWithObject: true }),
      )
      .catch((error: unknown) => {
        throw broken(file, error)
      })
    const to = pixels.subarray(i * channels * plane, (i + 1) * channels * plane)
    for (let channel = 0; channel < channels; channel++) {
      // A grey image may have one channel for all three.
      const from = Math.min(channel, info.channels - 1)
      for (let at = 0; at < plane; at++) to[channel * plane + at] = data[at * info.channels + from]!
    }
  }
  await pLimit(atOnce).map(sources({ files, blobs }), decode)
  return pixels
}

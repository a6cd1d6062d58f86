// Image files to pixels, by sharp, which is installed by whoever trains on them.

import { messageOf, UserError } from '../../core/errors.js'
import { loadOptional } from '../optional.js'

/** Pixels of images that are resized and cropped to one size: uint8 [count, 3, height, width]. */
export async function decodeImages(
  files: readonly string[],
  [, height, width]: readonly [number, number, number],
): Promise<Uint8Array> {
  const { default: sharp } = await loadOptional(() => import('sharp'), 'sharp', 'image files')
  const plane = height * width
  const pixels = new Uint8Array(files.length * 3 * plane)
  const decode = async (file: string, i: number): Promise<void> => {
    const image = sharp(file, { failOn: 'error', limitInputPixels: 2 ** 28 })
    const { data } = await image
      .rotate()
      .resize(width, height, { fit: 'cover' })
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
      .catch((error: unknown) => {
        throw new UserError(`${file}: is no image that can be read (${messageOf(error)})`)
      })
    const to = pixels.subarray(i * 3 * plane, (i + 1) * 3 * plane)
    for (let at = 0; at < plane; at++) {
      for (let channel = 0; channel < 3; channel++) to[channel * plane + at] = data[at * 3 + channel]!
    }
  }
  await Promise.all(files.map(decode))
  return pixels
}

// Image files to pixels: decoded by the browser, made as large as is wanted by the filters that sharp has in Node. What differs from
// Node: decoders of JPEG and of lossy WebP round otherwise; images of more than three times the size that is wanted are reduced by
// the browser's own filter first; what is wholly transparent is black; files other than JPEG are turned as the browser sees fit.

import pLimit from 'p-limit'
import { messageOf, UserError } from '../core/errors.js'
import { atOnce, type CheckImages, margin, maxPixels, type Size, sizesOf } from '../driver/data/images.js'
import type { DecodeImages } from '../driver/data/rows.js'
import { type Box, boxOf, type Region } from '../driver/data/transforms.js'
import { type ImageHeader, readImageHeader } from './imageHeader.js'
import { greyOf, type Pixels, resample } from './resample.js'

// What is used of the browser's interfaces, as a library without a page's types can say it.

interface Bitmap {
  readonly width: number
  readonly height: number
  close(): void
}
interface Context {
  imageSmoothingQuality: 'high' | 'medium' | 'low'
  drawImage(image: Bitmap, ...place: readonly number[]): void
  getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray }
}
interface Page {
  createImageBitmap(image: Blob): Promise<Bitmap>
  readonly OffscreenCanvas: new (
    width: number,
    height: number,
  ) => { getContext(kind: '2d', options: { willReadFrequently: true }): Context | null }
}
const page = globalThis as unknown as Page

/** The header of a file that may be decoded. @throws UserError naming the file */
async function checked(file: string, blob: Blob): Promise<ImageHeader> {
  const header = await readImageHeader(blob).catch((error: unknown) => {
    throw broken(file, error)
  })
  const { height, width, pictures } = header
  if (height * width > maxPixels)
    throw new UserError(`${file}: has ${width}×${height} pixels; at most ${maxPixels} are decoded`)
  if (pictures > 1) throw new UserError(`${file}: has ${pictures} pictures; expected one`)
  return header
}

const broken = (file: string, error: unknown) =>
  new UserError(`${file}: is no image that can be read (${messageOf(error).trim()})`)

const needed = (blobs: readonly Blob[] | undefined): readonly Blob[] => {
  if (!blobs) throw new Error('a page opens no image files by their paths')
  return blobs
}

/** Reads the headers of image files. */
export const checkImages: CheckImages = async (files, blobs) =>
  sizesOf(
    await pLimit(atOnce).map(needed(blobs), async (blob, i): Promise<Size> => {
      const { height, width } = await checked(files[i]!, blob)
      return [height, width]
    }),
  )

/** More than this times the size that is wanted is reduced by the browser first, which is faster than we are. */
const most = 3

/** The pixels of a part of an image, reduced where they are far more than are wanted. */
function pixelsOf(bitmap: Bitmap, box: Box, height: number, width: number): Pixels {
  const [boundedHeight, boundedWidth] = [Math.min(box.height, most * height), Math.min(box.width, most * width)]
  const canvas = new page.OffscreenCanvas(boundedWidth, boundedHeight)
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (!context) throw new Error('the browser has no canvas left')
  context.imageSmoothingQuality = 'high'
  context.drawImage(bitmap, box.left, box.top, box.width, box.height, 0, 0, boundedWidth, boundedHeight)
  const { data } = context.getImageData(0, 0, boundedWidth, boundedHeight)
  return { data, height: boundedHeight, width: boundedWidth }
}

/** What of an image becomes what is wanted: a region of it, or its centre. */
function planesOf(bitmap: Bitmap, height: number, width: number, region: Region | undefined): Uint8Array {
  if (region) {
    const pixels = pixelsOf(bitmap, boxOf(region, bitmap.height, bitmap.width), height, width)
    const scales = [pixels.height / height, pixels.width / width] as const
    return resample(pixels, scales, { top: 0, left: 0, height, width })
  }
  const [outerHeight, outerWidth] = [Math.round(height * margin), Math.round(width * margin)]
  // The image covers that, and the rest is cut off on both sides. Reckoned as sharp does, so that halves are rounded alike.
  const scale = 1 / Math.min(bitmap.height / outerHeight, bitmap.width / outerWidth)
  const [newHeight, newWidth] = [Math.round(bitmap.height * scale), Math.round(bitmap.width * scale)]
  const whole = { top: 0, left: 0, height: bitmap.height, width: bitmap.width }
  const pixels = pixelsOf(bitmap, whole, newHeight, newWidth)
  const top = ((newHeight - outerHeight + 1) >> 1) + ((outerHeight - height) >> 1)
  const left = ((newWidth - outerWidth + 1) >> 1) + ((outerWidth - width) >> 1)
  const scales = [pixels.height / (bitmap.height * scale), pixels.width / (bitmap.width * scale)] as const
  return resample(pixels, scales, { top, left, height, width })
}

/** As Node's: see `DecodeImages`. @throws UserError naming the file that cannot be decoded */
export const decodeImages: DecodeImages = async (files, [channels, height, width], regions, blobs) => {
  const size = channels * height * width
  const pixels = new Uint8Array(files.length * size)
  await pLimit(atOnce).map(needed(blobs), async (blob, i) => {
    await checked(files[i]!, blob)
    const bitmap = await page.createImageBitmap(blob).catch((error: unknown) => {
      throw broken(files[i]!, error)
    })
    try {
      const planes = planesOf(bitmap, height, width, regions?.[i])
      pixels.set(channels === 1 ? greyOf(planes) : planes, i * size)
    } finally {
      bitmap.close()
    }
  })
  return pixels
}

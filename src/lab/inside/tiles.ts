// Numbers as small pictures.

import type { Filters } from './anatomy.js'

export interface Tile {
  /** Red, green, blue and opacity of each pixel, 0 to 255. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>
  readonly height: number
  readonly width: number
  /** What it shows, in words. */
  readonly label: string
}

/** Shown at most. */
export const MOST = 64

export interface Range {
  readonly least: number
  readonly most: number
}

export function rangeOf(numbers: ArrayLike<number>): Range {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < numbers.length; i++) {
    least = Math.min(least, numbers[i]!)
    most = Math.max(most, numbers[i]!)
  }
  return { least, most }
}

/** Three digits, the minus sign that readers say. */
export const numberText = (value: number): string => String(Number(value.toPrecision(3))).replace('-', '−')

/** A number of a range as a brightness. Where all are alike there is nothing to see. */
const brightness = (value: number, { least, most }: Range): number =>
  most > least ? Math.round((255 * (value - least)) / (most - least)) : 0

/** @param channels planes of red, green and blue, or one of grey */
function tileOf(channels: readonly Float32Array[], height: number, width: number, range: Range, label: string): Tile {
  const pixels = new Uint8ClampedArray(4 * height * width)
  for (let at = 0; at < height * width; at++) {
    for (let colour = 0; colour < 3; colour++)
      pixels[4 * at + colour] = brightness((channels[colour] ?? channels[0]!)[at]!, range)
    pixels[4 * at + 3] = 255
  }
  return { pixels, height, width, label }
}

/** Each filter as a tile of colours, or each of its planes in grey; 0 is the grey in the middle, in all of them. */
export function filterTiles({ shape: [count, channels, height, width], data }: Filters): readonly Tile[] {
  const { least, most } = rangeOf(data)
  const largest = Math.max(-least, most)
  const range = { least: -largest, most: largest }
  const size = height * width
  const plane = (i: number) => data.subarray(i * size, (i + 1) * size)
  const words = (numbers: Float32Array) => {
    const own = rangeOf(numbers)
    return `${numberText(own.least)} to ${numberText(own.most)}`
  }
  if (channels === 3)
    return Array.from({ length: Math.min(count, MOST) }, (_, i) => {
      const planes = [0, 1, 2].map((channel) => plane(3 * i + channel))
      const label = `filter ${i + 1}: ${['red', 'green', 'blue'].map((name, j) => `${name} ${words(planes[j]!)}`).join(', ')}`
      return tileOf(planes, height, width, range, label)
    })
  return Array.from({ length: Math.min(count * channels, MOST) }, (_, i) => {
    const name = channels === 1 ? '' : `, channel ${(i % channels) + 1}`
    return tileOf([plane(i)], height, width, range, `filter ${Math.floor(i / channels) + 1}${name}: ${words(plane(i))}`)
  })
}

/** The output of a layer for one image. */
export interface Activations {
  /** [channels, height, width], row-major. */
  readonly data: Float32Array
  readonly shape: readonly [channels: number, height: number, width: number]
}

/** Each channel in grey, all of them from the least number of the layer (black) to the most (white). */
export function mapTiles({ data, shape: [channels, height, width] }: Activations): readonly Tile[] {
  const range = rangeOf(data)
  const size = height * width
  return Array.from({ length: Math.min(channels, MOST) }, (_, i) => {
    const plane = data.subarray(i * size, (i + 1) * size)
    const own = rangeOf(plane)
    const label = `channel ${i + 1}: ${numberText(own.least)} to ${numberText(own.most)}`
    return tileOf([plane], height, width, range, label)
  })
}

/** An image as it is. @param pixels bytes, [1 or 3, height, width] */
export function imageTile(pixels: Uint8Array, height: number, width: number, label: string): Tile {
  const size = height * width
  const planes = Array.from({ length: pixels.length / size }, (_, i) =>
    Float32Array.from(pixels.subarray(i * size, (i + 1) * size)),
  )
  return tileOf(planes, height, width, { least: 0, most: 255 }, label)
}

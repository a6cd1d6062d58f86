// The paper's augmentation, on bytes before the normalisation: a black border of 4 pixels, a random crop of the
// original size, a horizontal flip with probability 1/2. (He et al. 2015, section 4.2; Lee et al. 2014)

import type { RandomStream } from '../../core/random.js'

/** Width of the black border, in pixels. */
export const borderPixels = 4

/** How one image is augmented. The crop's corner is counted from the corner of the padded image. */
export interface Crop {
  /** 0 … 2·borderPixels; borderPixels is the image in place. */
  readonly top: number
  /** 0 … 2·borderPixels */
  readonly left: number
  readonly flip: boolean
}

/** The image as it is. */
export const inPlace: Crop = { top: borderPixels, left: borderPixels, flip: false }

/** Draws a crop; always takes three draws from the stream: top, left, flip. */
export function drawCrop(random: RandomStream): Crop {
  const top = random.below(2 * borderPixels + 1)
  const left = random.below(2 * borderPixels + 1)
  return { top, left, flip: random.below(2) === 1 }
}

/**
 * Writes the cropped, and possibly flipped, image into `to`; both are planes of [height, width] bytes, one after the
 * other, and as long as each other. Needs height and width above borderPixels.
 */
export function cropImage(from: Uint8Array, to: Uint8Array, height: number, width: number, crop: Crop): void {
  const plane = height * width
  const down = crop.top - borderPixels
  const right = crop.left - borderPixels
  // A plane is one run of memory: copied shifted by whole rows and columns at once, it is right but for the rows and
  // columns that come from outside, which are then blackened. So there is one copy a plane, not one a row.
  const shift = down * width + right
  const start = Math.max(0, -shift)
  const end = Math.min(plane, plane - shift)
  for (let base = 0; base < to.length; base += plane) {
    to.set(from.subarray(base + start + shift, base + end + shift), base + start)
    if (down < 0) to.fill(0, base, base - down * width)
    if (down > 0) to.fill(0, base + plane - down * width, base + plane)
    if (right !== 0) blackenColumns(to, base, base + plane, width, right)
    // The run may begin or end within a row that is otherwise inside: what it leaves unwritten lies in a black column.
  }
  if (crop.flip) flipRows(to, width)
}

/** Blackens the columns that a shift to the right by `right` pixels (left, if negative) brings in from outside. */
function blackenColumns(image: Uint8Array, begin: number, end: number, width: number, right: number): void {
  const first = right > 0 ? width - right : 0
  const last = right > 0 ? width : -right
  for (let row = begin; row < end; row += width) {
    for (let x = row + first; x < row + last; x++) image[x] = 0
  }
}

/** Mirrors every row. */
function flipRows(image: Uint8Array, width: number): void {
  for (let row = 0; row < image.length; row += width) {
    for (let left = row, right = row + width - 1; left < right; left++, right--) {
      const value = image[left]!
      image[left] = image[right]!
      image[right] = value
    }
  }
}

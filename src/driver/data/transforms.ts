// What is done to the images of a training batch, on bytes before the normalisation.

import type { Transform } from '../../core/model/recipe.js'
import { paperAugmentation, type Recipe } from '../../core/model/recipe.js'
import { type RandomStream, randomStream } from '../../core/random.js'

/** How one image is taken. The corner of the crop is counted from that of the image, and may lie outside. */
export interface Crop {
  readonly top: number
  readonly left: number
  readonly flip: boolean
}

/** The image as it is. */
export const inPlace: Crop = { top: 0, left: 0, flip: false }

/** What a recipe says is done, one transform after the other. */
export const transformsOf = (augment: Recipe['augment']): readonly Transform[] =>
  typeof augment === 'boolean' ? (augment ? paperAugmentation : []) : augment

/** Draws how an image is taken; each transform always takes as many draws. */
export function drawCrop(transforms: readonly Transform[], random: RandomStream, alternating: () => boolean): Crop {
  let { top, left, flip } = inPlace
  for (const transform of transforms) {
    if (transform.kind === 'crop') {
      top = random.below(2 * transform.pixels + 1) - transform.pixels
      left = random.below(2 * transform.pixels + 1) - transform.pixels
    } else flip = transform.alternating ? alternating() : random.below(2) === 1
  }
  return { top, left, flip }
}

/** Whether each image is mirrored in the first epoch, where mirroring alternates. */
export const firstFlips = (count: number, seed: number): Uint8Array => {
  const random = randomStream(seed, 'flip')
  return Uint8Array.from({ length: count }, () => random.below(2))
}

/**
 * Writes the cropped, and possibly flipped, image into `to`; both are planes of [height, width] bytes, one after the
 * other, and as long as each other. What lies outside is black, or the image mirrored at its edge (the edge itself is not
 * repeated), as `torch.nn.functional.pad` reflects.
 */
export function cropImage(
  from: Uint8Array,
  to: Uint8Array,
  height: number,
  width: number,
  { top: down, left: right, flip }: Crop,
  border: 'black' | 'reflect' = 'black',
): void {
  if (border === 'reflect') reflectCrop(from, to, height, width, down, right)
  else blackCrop(from, to, height, width, down, right)
  if (flip) flipRows(to, width)
}

function blackCrop(from: Uint8Array, to: Uint8Array, height: number, width: number, down: number, right: number): void {
  const plane = height * width
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
}

/** Blackens the columns that a shift to the right by `right` pixels (left, if negative) brings in from outside. */
function blackenColumns(image: Uint8Array, begin: number, end: number, width: number, right: number): void {
  const first = right > 0 ? width - right : 0
  const last = right > 0 ? width : -right
  for (let row = begin; row < end; row += width) {
    for (let x = row + first; x < row + last; x++) image[x] = 0
  }
}

/** The place that is seen at `at` in a row of so many, mirrored at both ends. */
function mirrored(at: number, size: number): number {
  if (at < 0) return -at
  return at >= size ? 2 * size - 2 - at : at
}

function reflectCrop(
  from: Uint8Array,
  to: Uint8Array,
  height: number,
  width: number,
  down: number,
  right: number,
): void {
  const plane = height * width
  for (let base = 0; base < to.length; base += plane) {
    for (let y = 0; y < height; y++) {
      const source = base + mirrored(y + down, height) * width
      const row = base + y * width
      // What lies inside is one run; the few columns beside it are mirrored.
      const first = Math.max(0, -right)
      const last = Math.min(width, width - right)
      to.set(from.subarray(source + first + right, source + last + right), row + first)
      for (let x = 0; x < first; x++) to[row + x] = from[source + mirrored(x + right, width)]!
      for (let x = last; x < width; x++) to[row + x] = from[source + mirrored(x + right, width)]!
    }
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

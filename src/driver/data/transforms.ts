// What is done to the images of a training batch, on bytes before the normalisation.

import type { Transform } from '../../core/model/recipe.js'
import { paperAugmentation, type Recipe } from '../../core/model/recipe.js'
import { type RandomStream, randomStream } from '../../core/random.js'

/** How one image is taken. The corner of the crop is counted from that of the image, and may lie outside. */
export interface Crop {
  readonly top: number
  readonly left: number
  readonly flip: boolean
  /** What is cut out and resized before. */
  readonly region?: Region
}

/** A region of an image, before its size is known: areas (parts of the image's) and ratios to try, and where it lies, 0 … 1. */
export interface Region {
  readonly tries: readonly (readonly [area: number, ratio: number])[]
  readonly down: number
  readonly right: number
}

/** Whole pixels of an image. */
export interface Box {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** The image as it is. */
export const inPlace: Crop = { top: 0, left: 0, flip: false }

/** What a recipe says is done, one transform after the other. */
export const transformsOf = (augment: Recipe['augment']): readonly Transform[] =>
  typeof augment === 'boolean' ? (augment ? paperAugmentation : []) : augment

/** As many as torchvision's RandomResizedCrop tries. */
const TRIES = 10

function drawRegion({ scale, ratio }: Transform & { kind: 'random-resized-crop' }, random: RandomStream): Region {
  const between = ([least, most]: readonly [number, number]) => least + (most - least) * random.uniform()
  const logs = [Math.log(ratio[0]), Math.log(ratio[1])] as const
  const tries = Array.from({ length: TRIES }, () => [between(scale), Math.exp(between(logs))] as const)
  return { tries, down: random.uniform(), right: random.uniform() }
}

/** Where a region lies in an image of this size: the first that fits into it, else as much of its middle as the last ratio allows. */
export function boxOf({ tries, down, right }: Region, height: number, width: number): Box {
  const sizes = tries.map(([area, ratio]) => ({
    height: Math.max(1, Math.round(Math.sqrt((area * height * width) / ratio))),
    width: Math.max(1, Math.round(Math.sqrt(area * height * width * ratio))),
  }))
  const box = sizes.find((size) => size.height <= height && size.width <= width)
  if (box) {
    const place = (part: number, room: number) => Math.min(room, Math.floor(part * (room + 1)))
    return { ...box, top: place(down, height - box.height), left: place(right, width - box.width) }
  }
  const ratio = tries.at(-1)![1]
  const whole = {
    height: Math.max(1, Math.min(height, Math.round(width / ratio))),
    width: Math.max(1, Math.min(width, Math.round(height * ratio))),
  }
  return { ...whole, top: (height - whole.height) >> 1, left: (width - whole.width) >> 1 }
}

/**
 * A region of planes of [height, width] bytes, made as large as the planes are: linear between the pixels, whose values hold at
 * their centres.
 */
export function resizeBox(from: Uint8Array, to: Uint8Array, height: number, width: number, box: Box): void {
  const along = (size: number, begin: number, length: number) =>
    Array.from({ length: size }, (_, i) => {
      const at = Math.min(length - 1, Math.max(0, ((i + 0.5) * length) / size - 0.5))
      const low = Math.floor(at)
      return [begin + low, begin + Math.min(length - 1, low + 1), at - low] as const
    })
  const rows = along(height, box.top, box.height)
  const columns = along(width, box.left, box.width)
  const plane = height * width
  for (let base = 0; base < to.length; base += plane) {
    for (let y = 0; y < height; y++) {
      const [upper, lower, down] = rows[y]!
      for (let x = 0; x < width; x++) {
        const [left, right, across] = columns[x]!
        const row = (at: number) =>
          from[base + at * width + left]! * (1 - across) + from[base + at * width + right]! * across
        to[base + y * width + x] = Math.round(row(upper) * (1 - down) + row(lower) * down)
      }
    }
  }
}

/** Draws how an image is taken; each transform always takes as many draws. */
export function drawCrop(transforms: readonly Transform[], random: RandomStream, alternating: () => boolean): Crop {
  let { top, left, flip } = inPlace
  let region: Region | undefined
  for (const transform of transforms) {
    if (transform.kind === 'crop') {
      top = random.below(2 * transform.pixels + 1) - transform.pixels
      left = random.below(2 * transform.pixels + 1) - transform.pixels
    } else if (transform.kind === 'random-resized-crop') region = drawRegion(transform, random)
    else flip = transform.alternating ? alternating() : random.below(2) === 1
  }
  return { top, left, flip, ...(region ? { region } : {}) }
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

// Image files, and what those who decode them agree on: sharp in Node, the browser itself in a page.

/** Image files by their paths; or by their names, with what they hold. */
export interface ImageFiles {
  readonly files: readonly string[]
  readonly blobs?: readonly Blob[] | undefined
}

/** The images at these places. */
export const imagesAt = ({ files, blobs }: ImageFiles, places: ArrayLike<number>) => ({
  files: Array.from(places, (place) => files[place]!),
  ...(blobs ? { blobs: Array.from(places, (place) => blobs[place]!) } : {}),
})

/** Most pixels of an image: what unpacks to more is no photograph. */
export const maxPixels = 10 ** 8
/** Files that are open at a time. */
export const atOnce = 8
/** How much larger than the crop an image is made whose centre is taken: 256 for 224, as is usual. */
export const margin = 8 / 7

/** Height and width. */
export type Size = readonly [height: number, width: number]

/** The smallest and the largest of some images, by pixels. */
export interface Sizes {
  readonly smallest: Size
  readonly largest: Size
}

export function sizesOf(sizes: readonly Size[]): Sizes {
  const area = ([height, width]: Size) => height * width
  return {
    smallest: sizes.reduce((least, size) => (area(size) < area(least) ? size : least)),
    largest: sizes.reduce((most, size) => (area(size) > area(most) ? size : most)),
  }
}

/**
 * Looks at image files, which costs little beside what training decodes.
 * @throws UserError naming the file that is no image, or too large a one
 */
export type CheckImages = (files: readonly string[], blobs?: readonly Blob[]) => Promise<Sizes>

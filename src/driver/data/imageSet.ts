// Labelled images in memory: what readers make, and what batches are drawn from.

/** Labelled RGB images of one size; a few bytes a pixel less than floats, so that CIFAR-10 takes 150 MB. */
export interface ImageSet {
  /** Pixels 0–255, row-major [count, channels, height, width]; the channels are red, green, blue. */
  readonly images: Uint8Array
  /** The class of each image, an index into `classes`. */
  readonly labels: Uint8Array
  readonly count: number
  readonly channels: 3
  readonly height: number
  readonly width: number
  /** The name of each class. */
  readonly classes: readonly string[]
}

export type DatasetFormat = 'cifar10' | 'cifar100'

/** A training set and a test set with the same classes. */
export interface Dataset {
  readonly format: DatasetFormat
  readonly train: ImageSet
  readonly test: ImageSet
}

/** Bytes, or values, of one image of the set. */
export const imageSize = (set: ImageSet): number => set.channels * set.height * set.width

/** How many images each class has. */
export function classCounts(set: ImageSet): number[] {
  const counts = new Array<number>(set.classes.length).fill(0)
  for (const label of set.labels) counts[label]! += 1
  return counts
}

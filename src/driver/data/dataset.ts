// Data sets: named columns of tensors with a count. Readers make them, batches are drawn from them.

import type { Shape } from '../../core/graph/shape.js'
import { type Arrays, arrays, type DType, type Tensor, widthOf } from '../../core/graph/tensor.js'

interface ColumnType {
  readonly dtype: DType
  /** Of a column of labels: the name of each class. */
  readonly classes?: readonly string[]
}

/** A column in memory. */
export interface TensorColumn extends ColumnType {
  readonly kind: 'tensor'
  /** Of one example. */
  readonly shape: readonly number[]
  /** Row-major, [count, ...shape]. */
  readonly data: Tensor['data']
}

/** A column of image files, decoded when a batch needs them, in the size that the model takes. */
export interface ImageFilesColumn extends ColumnType {
  readonly kind: 'image files'
  /** [channels, height, width] by name: an input says how many it takes. One channel is grey. */
  readonly shape: Shape
  readonly dtype: 'uint8'
  /** Their paths; or their names, where `blobs` holds them. */
  readonly files: readonly string[]
  /** What they hold, where there are no paths to read it from: in a page. */
  readonly blobs?: readonly Blob[]
  /** Height and width of the smallest and the largest of them, where somebody looked. */
  readonly sizes?: { readonly smallest: readonly [number, number]; readonly largest: readonly [number, number] }
}

/** The values of one input or target, a row an example: numbers in memory, or image files that are read as they are needed. */
export type Column = TensorColumn | ImageFilesColumn

/** So many examples, each with a row in every column. */
export interface Split {
  readonly count: number
  readonly columns: Readonly<Record<string, Column>>
}

/** A training set and a test set with the same columns. */
export interface Dataset {
  /** What it was read from, such as `cifar10` or `csv`. */
  readonly format: string
  readonly train: Split
  readonly test: Split
  /** The part that was held out as the test set, where there was none. */
  readonly heldOut?: number
}

/** Labelled RGB images of one size; bytes, so that CIFAR-10 takes 150 MB. */
export interface ImageSet extends Split {
  /** Pixels 0–255, row-major [count, channels, height, width]; the channels are red, green, blue. */
  readonly images: Uint8Array
  /** The class of each image, an index into `classes`. */
  readonly labels: Uint8Array
  readonly channels: 3
  readonly height: number
  readonly width: number
  /** The name of each class. */
  readonly classes: readonly string[]
}

/** A data set for classifiers of images: the columns `images` and `labels`. */
export interface ImageDataset extends Dataset {
  readonly train: ImageSet
  readonly test: ImageSet
}

/** Absent in a page that is not isolated from others, where threads share nothing. */
const Memory = globalThis.SharedArrayBuffer ?? ArrayBuffer

/** An array whose memory threads share: a data set that is in one is not copied to the thread that makes batches. */
export const shared = <T extends DType>(dtype: T, length: number): Arrays[T] =>
  new arrays[dtype](new Memory(length * widthOf(dtype)), 0, length)

export const isShared = ({ buffer }: Tensor['data']): boolean => buffer instanceof Memory

/** A set of images as a split with the columns `images` and `labels`, which share its memory. */
export const imageSet = (set: Omit<ImageSet, 'columns'>): ImageSet => {
  const { images, labels, channels, height, width, classes } = set
  return {
    ...set,
    columns: {
      images: { kind: 'tensor', dtype: 'uint8', shape: [channels, height, width], data: images },
      labels: { kind: 'tensor', dtype: 'uint8', shape: [], data: labels, classes },
    },
  }
}

/** Bytes of one image of the set. */
export const imageSize = (set: Pick<ImageSet, 'channels' | 'height' | 'width'>): number =>
  set.channels * set.height * set.width

/** How many images each class has. */
export function classCounts({ labels, classes }: Pick<ImageSet, 'labels' | 'classes'>): number[] {
  const counts = new Array<number>(classes.length).fill(0)
  for (const label of labels) counts[label]! += 1
  return counts
}

const isSplit = (set: Split | Omit<ImageSet, 'columns'>): set is Split => 'columns' in set

/** The data set with its columns: a library user may give plain sets of images. */
export const withColumns = (data: {
  readonly format?: string
  readonly train: Split | Omit<ImageSet, 'columns'>
  readonly test: Split | Omit<ImageSet, 'columns'>
}): Dataset => {
  const split = (set: Split | Omit<ImageSet, 'columns'>) => (isSplit(set) ? set : imageSet(set))
  return { ...data, format: data.format ?? 'images', train: split(data.train), test: split(data.test) }
}

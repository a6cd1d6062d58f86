// Mini-batches: which images a training step sees and how they are augmented is a function of (seed, epoch, step)
// alone, so a resumed run sees what an uninterrupted one would, and nothing about the order has to be saved.

import { permutation, randomStream } from '../random.js'
import { borderPixels, cropImage, drawCrop } from './augment.js'
import { type ImageSet, imageSize } from './imageSet.js'

/** One mini-batch of n images. */
export interface Batch {
  /** Pixels 0–255, [n, channels, height, width]. */
  readonly images: Uint8Array
  /** Classes, [n]; 64 bits, as ONNX wants indices. */
  readonly labels: BigInt64Array
}

export interface BatchOptions {
  /** Images a batch; the last batch of an epoch holds the remainder. */
  readonly batchSize: number
  /** Seed of the order and of the augmentation. */
  readonly seed: number
  /** Crop and flip at random, as the paper does. */
  readonly augment: boolean
}

/** The mini-batches of a training set: every image exactly once an epoch, in an order of its own each epoch. */
export class Batches {
  readonly stepsPerEpoch: number
  readonly #set: ImageSet
  readonly #options: BatchOptions
  #order: { readonly epoch: number; readonly images: Uint32Array } | undefined

  constructor(set: ImageSet, options: BatchOptions) {
    checkBatchSize(options.batchSize)
    if (options.augment && Math.min(set.height, set.width) <= borderPixels) {
      throw new RangeError(`images of ${set.height}×${set.width} are too small to be cropped by ${borderPixels} pixels`)
    }
    this.#set = set
    this.#options = options
    this.stepsPerEpoch = Math.ceil(set.count / options.batchSize)
  }

  /** How many images batch `step` of an epoch holds. */
  sizeOf(step: number): number {
    return Math.min(this.#options.batchSize, this.#set.count - step * this.#options.batchSize)
  }

  /**
   * The batch of this epoch and step, both counted from 0, in arrays of its own, whose buffers may be transferred.
   * About half a millisecond for 128 CIFAR images, plus some milliseconds for the order when the epoch changes.
   */
  batch(epoch: number, step: number): Batch {
    if (!Number.isInteger(step) || step < 0 || step >= this.stepsPerEpoch) {
      throw new RangeError(`step ${step} is not one of the epoch's ${this.stepsPerEpoch}`)
    }
    const { batchSize, seed, augment } = this.#options
    const { height, width } = this.#set
    const order = this.#orderOf(epoch)
    const size = imageSize(this.#set)
    const random = randomStream(seed, 'augment', epoch, step)
    const count = this.sizeOf(step)
    const images = new Uint8Array(count * size)
    const labels = new BigInt64Array(count)
    for (let i = 0; i < count; i++) {
      const image = order[step * batchSize + i]!
      const from = this.#set.images.subarray(image * size, (image + 1) * size)
      const to = images.subarray(i * size, (i + 1) * size)
      if (augment) cropImage(from, to, height, width, drawCrop(random))
      else to.set(from)
      labels[i] = BigInt(this.#set.labels[image]!)
    }
    return { images, labels }
  }

  #orderOf(epoch: number): Uint32Array {
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, images: permutation(this.#set.count, randomStream(this.#options.seed, 'order', epoch)) }
    }
    return this.#order.images
  }
}

/** The images of a set in their order, unchanged, `batchSize` at a time and the remainder last: for evaluation. */
export function* batchesInOrder(set: ImageSet, batchSize: number): Generator<Batch> {
  checkBatchSize(batchSize)
  const size = imageSize(set)
  for (let first = 0; first < set.count; first += batchSize) {
    const end = Math.min(first + batchSize, set.count)
    // Copies, because a message to another thread would otherwise carry the whole set along.
    yield {
      images: set.images.slice(first * size, end * size),
      labels: BigInt64Array.from(set.labels.subarray(first, end), BigInt),
    }
  }
}

function checkBatchSize(batchSize: number): void {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`batch size ${batchSize}: expected a whole number from 1`)
  }
}

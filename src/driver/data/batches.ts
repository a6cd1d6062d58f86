// Mini-batches: which examples a training step sees and how they are augmented is a function of (seed, epoch, step)
// alone, so a resumed run sees what an uninterrupted one would, and nothing about the order has to be saved.

import { arrays, elementsOf, type Tensor, type Tensors, tensorOf } from '../../core/graph/tensor.js'
import type { Transform } from '../../core/model/recipe.js'
import { permutation, randomStream } from '../../core/random.js'
import type { Binding } from './bind.js'
import type { Split } from './dataset.js'
import { type Augmentation, type DecodeImages, isImages, rowsFor, shapeOf } from './rows.js'
import { drawCrop, firstFlips } from './transforms.js'

export interface BatchOptions {
  /** Examples a batch; the last batch of an epoch holds the remainder. */
  readonly batchSize: number
  /** Leaves the remainder out; false unless given. */
  readonly dropLast?: boolean | undefined
  /** Seed of the order and of the augmentation; undefined: the order of the set. */
  readonly seed?: number | undefined
  /** What is done to images; nothing unless given. */
  readonly transforms?: readonly Transform[] | undefined
}

/** How many batches an epoch has, and how large they are. */
export class Epochs {
  readonly stepsPerEpoch: number

  constructor(
    readonly count: number,
    readonly options: BatchOptions,
  ) {
    const { batchSize, dropLast = false } = options
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new RangeError(`batch size ${batchSize}: expected a whole number from 1`)
    const whole = Math.floor(count / batchSize)
    this.stepsPerEpoch = dropLast && whole > 0 ? whole : Math.ceil(count / batchSize)
  }

  /** How many examples batch `step` of an epoch holds. */
  sizeOf(step: number): number {
    return Math.min(this.options.batchSize, this.count - step * this.options.batchSize)
  }

  /** How many batches from `step` on are as large as it is, within the epoch. */
  alikeFrom(step: number): number {
    const whole = Math.floor(this.count / this.options.batchSize)
    return step < whole ? whole - step : 1
  }
}

/** The mini-batches of a split: every example at most once an epoch, in an order of its own each epoch. */
export class Batches extends Epochs {
  readonly #split: Split
  readonly #bindings: readonly Binding[]
  readonly #decode: DecodeImages | undefined
  #order: { readonly epoch: number; readonly indices: Uint32Array } | undefined
  #flips: Uint8Array | undefined

  /**
   * @param decode for columns of image files
   * @throws RangeError for a batch size that is none, or images that are too small for a transform
   */
  constructor(split: Split, bindings: readonly Binding[], options: BatchOptions, decode?: DecodeImages) {
    super(split.count, options)
    this.#decode = decode
    this.#split = split
    this.#bindings = bindings
    const reach = Math.max(
      0,
      ...(options.transforms ?? []).map((transform) => (transform.kind === 'crop' ? transform.pixels : 0)),
    )
    for (const { column, input } of bindings) {
      if (!isImages(split.columns[column]!)) continue
      const shape = shapeOf(split.columns[column]!, input)
      if (Math.min(...shape.slice(1)) <= reach)
        throw new RangeError(`images of ${shape.slice(1).join('×')} are too small to be cropped by ${reach} pixels`)
    }
  }

  /** The batch of this epoch and step, both counted from 0, by the names of the inputs; arrays of its own. */
  async batch(epoch: number, step: number): Promise<Tensors> {
    if (!Number.isInteger(step) || step < 0 || step >= this.stepsPerEpoch)
      throw new RangeError(`step ${step} is not one of the epoch's ${this.stepsPerEpoch}`)
    const { batchSize } = this.options
    const indices = this.#orderOf(epoch).subarray(step * batchSize, step * batchSize + this.sizeOf(step))
    const augmentation = this.#augmentation(epoch, step, indices)
    const entries = this.#bindings.map(async (binding): Promise<[string, Tensor]> => {
      return [binding.input.name, await rowsFor(this.#split, binding, indices, augmentation, this.#decode)]
    })
    return Object.fromEntries(await Promise.all(entries))
  }

  /** So many batches of one size, from `step` on: each input with one more axis in front. */
  async stack(epoch: number, step: number, steps: number): Promise<Tensors> {
    const batches: Tensors[] = []
    for (let i = 0; i < steps; i++) batches.push(await this.batch(epoch, step + i))
    return Object.fromEntries(
      Object.keys(batches[0]!).map((name) => [name, stacked(batches.map((batch) => batch[name]!))]),
    )
  }

  #augmentation(epoch: number, step: number, indices: Uint32Array): Augmentation | undefined {
    const { seed, transforms = [] } = this.options
    if (seed === undefined || transforms.length === 0) return undefined
    const random = randomStream(seed, 'augment', epoch, step)
    const crops = Array.from(indices, (index) =>
      drawCrop(transforms, random, () => (this.#flipped(seed)[index]! + epoch) % 2 === 1),
    )
    return { crops, transforms }
  }

  #flipped(seed: number): Uint8Array {
    this.#flips ??= firstFlips(this.count, seed)
    return this.#flips
  }

  #orderOf(epoch: number): Uint32Array {
    const { seed } = this.options
    const key = seed === undefined ? 0 : epoch
    if (this.#order?.epoch !== key) {
      const indices =
        seed === undefined
          ? Uint32Array.from({ length: this.count }, (_, i) => i)
          : permutation(this.count, randomStream(seed, 'order', epoch))
      this.#order = { epoch: key, indices }
    }
    return this.#order.indices
  }
}

/** Tensors of one type, one after the other along a new first axis. */
function stacked(values: readonly Tensor[]): Tensor {
  const { dtype, shape } = values[0]!
  const size = elementsOf(shape)
  const data = new arrays[dtype](values.length * size)
  values.forEach((value, i) => {
    // Of one type, though TypeScript cannot tell.
    data.set(value.data as never, i * size)
  })
  return tensorOf(dtype, [values.length, ...shape], data)
}

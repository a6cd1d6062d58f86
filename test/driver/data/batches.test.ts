// Mini-batches: what an epoch holds, determinism, and the augmentation beside a plain per-pixel one.
import { describe, expect, test } from 'vitest'
import type { Tensor, Tensors } from '../../../src/core/graph/tensor.js'
import { paperAugmentation, type Transform } from '../../../src/core/model/recipe.js'
import { randomStream } from '../../../src/core/random.js'
import { Batches, Epochs } from '../../../src/driver/data/batches.js'
import type { Binding } from '../../../src/driver/data/bind.js'
import { type Column, type ImageSet, imageSet, type Split } from '../../../src/driver/data/dataset.js'
import { type Crop, cropImage, drawCrop } from '../../../src/driver/data/transforms.js'
import { randomSet } from './support.js'

/** The place seen at `at`, mirrored at both ends without repeating them. */
const mirrored = (at: number, size: number) => (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at)

/** The augmentation as its text says it, on one image, pixel by pixel. */
function naive(image: Uint8Array, height: number, width: number, crop: Crop, border: 'black' | 'reflect'): Uint8Array {
  const out = new Uint8Array(image.length)
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const fromY = y + crop.top
        const fromX = (crop.flip ? width - 1 - x : x) + crop.left
        const inside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width
        const at = (row: number, column: number) => image[(c * height + row) * width + column]!
        out[(c * height + y) * width + x] =
          border === 'reflect' ? at(mirrored(fromY, height), mirrored(fromX, width)) : inside ? at(fromY, fromX) : 0
      }
    }
  }
  return out
}

const bindings: readonly Binding[] = [
  { input: { name: 'x', dtype: 'uint8', shape: ['batch', 3, 32, 32] }, column: 'images' },
  { input: { name: 'y', dtype: 'int64', shape: ['batch'], classes: 10 }, column: 'labels' },
]
const pixels = (batch: Tensors) => batch.x!.data as Uint8Array
const classes = (batch: Tensors) => batch.y!.data as BigInt64Array

describe('augmentation', () => {
  describe.each(['black', 'reflect'] as const)('%s', (border) => {
    test.each([
      [32, 32],
      [5, 9],
      [12, 7],
    ])('every crop and flip of %i×%i images equals the per-pixel one', (height, width) => {
      const { images } = randomSet(1, height, width)
      for (let top = -4; top <= 4; top++) {
        for (let left = -4; left <= 4; left++) {
          for (const flip of [false, true]) {
            // What was in the buffer before must not show.
            const out = new Uint8Array(images.length).fill(77)
            cropImage(images, out, height, width, { top, left, flip }, border)
            expect(out, `${top} ${left} ${flip}`).toEqual(naive(images, height, width, { top, left, flip }, border))
          }
        }
      }
    })
  })
  test('draws are uniform: 81 corners, half of the images flipped', () => {
    const random = randomStream(1, 'test')
    const corners = new Array<number>(81).fill(0)
    let flipped = 0
    const n = 81_000
    for (let i = 0; i < n; i++) {
      const { top, left, flip } = drawCrop(paperAugmentation, random, () => false)
      corners[(top + 4) * 9 + left + 4]! += 1
      flipped += flip ? 1 : 0
    }
    // Chi-square with 80 degrees of freedom: below 125 in 99.9 % of cases.
    expect(corners.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(125)
    expect(Math.abs(flipped / n - 0.5)).toBeLessThan(4 * (0.5 / Math.sqrt(n)))
  })
  test('an alternating flip mirrors each image in every other epoch, about half of them in the first', async () => {
    const set = randomSet(200)
    const transforms: Transform[] = [{ kind: 'flip', alternating: true }]
    const batches = new Batches(set, bindings, { batchSize: 200, seed: 3, transforms })
    const keyOf = (image: Uint8Array) => [...image.subarray(0, 3072)].join()
    const plain = new Map(Array.from({ length: 200 }, (_, i) => [keyOf(set.images.subarray(i * 3072)), i]))
    const flips = [0, 1, 2].map(async (epoch) => {
      const images = pixels(await batches.batch(epoch, 0))
      const seen = Array.from({ length: 200 }, (_, i) => plain.get(keyOf(images.subarray(i * 3072))))
      return new Set(seen.filter((i) => i !== undefined))
    })
    const [first, second, third] = await Promise.all(flips)
    expect(Math.abs(first!.size - 100)).toBeLessThan(40)
    expect(third).toEqual(first)
    expect([...first!].filter((i) => second!.has(i))).toEqual([])
    expect(first!.size + second!.size).toBe(200)
  })
})

describe('Batches', () => {
  const set = randomSet(50)
  const options = { batchSize: 16, seed: 3, transforms: paperAugmentation }
  /** Images of a batch, each as a key into the set's. */
  const keys = new Map(Array.from({ length: 50 }, (_, i) => [image(set.images, i).join(), i]))
  function image(images: Uint8Array, i: number) {
    return images.subarray(i * 3072, (i + 1) * 3072)
  }
  const batchesOf = (changed = {}, own: Split = set) => new Batches(own, bindings, { ...options, ...changed })

  test('every image once an epoch with its label, the remainder last, another order each epoch', async () => {
    const batches = batchesOf({ transforms: [] })
    expect(batches.stepsPerEpoch).toBe(4)
    const orders: number[][] = []
    for (const epoch of [0, 1]) {
      const seen: number[] = []
      for (let step = 0; step < 4; step++) {
        const batch = await batches.batch(epoch, step)
        const labels = classes(batch)
        expect(labels.length).toBe(step < 3 ? 16 : 2)
        expect(labels.length).toBe(batches.sizeOf(step))
        expect(batch.x!.shape).toEqual([labels.length, 3, 32, 32])
        for (const [i, label] of labels.entries()) {
          const index = keys.get(image(pixels(batch), i).join())!
          expect(label).toBe(BigInt(set.labels[index]!))
          seen.push(index)
        }
      }
      expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i))
      orders.push(seen)
    }
    expect(orders[0]).not.toEqual(orders[1])
    expect(orders[0]).not.toEqual(Array.from({ length: 50 }, (_, i) => i))
  })
  test('without a seed the order is that of the set, in every epoch', async () => {
    const batches = new Batches(set, bindings, { batchSize: 16 })
    for (const epoch of [0, 1]) {
      const batch = await batches.batch(epoch, 1)
      expect([...pixels(batch)]).toEqual([...set.images.subarray(16 * 3072, 32 * 3072)])
    }
  })
  test("CIFAR-10's 50,000 images in batches of 128: 391 steps, 80 in the last, or 390 without it", () => {
    const epochs = new Epochs(50_000, { batchSize: 128 })
    expect([epochs.stepsPerEpoch, epochs.sizeOf(389), epochs.sizeOf(390)]).toEqual([391, 128, 80])
    expect(new Epochs(50_000, { batchSize: 128, dropLast: true }).stepsPerEpoch).toBe(390)
    // A set that fills no batch has one.
    expect(new Epochs(50, { batchSize: 128, dropLast: true }).stepsPerEpoch).toBe(1)
    expect([0, 1, 2].map((step) => new Epochs(11, { batchSize: 4 }).alikeFrom(step))).toEqual([2, 1, 1])
  })
  test('augmented batches: the per-pixel augmentation of the plain ones, drawn in the order of the batch', async () => {
    const plain = await batchesOf({ transforms: [] }).batch(2, 1)
    const augmented = await batchesOf().batch(2, 1)
    const random = randomStream(3, 'augment', 2, 1)
    for (let i = 0; i < 16; i++) {
      const crop = { top: random.below(9) - 4, left: random.below(9) - 4, flip: random.below(2) === 1 }
      expect(image(pixels(augmented), i)).toEqual(naive(image(pixels(plain), i), 32, 32, crop, 'black'))
    }
    expect(augmented.y).toEqual(plain.y)
  })
  test('a batch depends on seed, epoch and step alone, not on what was asked before', async () => {
    const one = batchesOf()
    for (const [epoch, step] of [
      [0, 0],
      [5, 2],
      [1, 3],
    ] as const)
      await one.batch(epoch, step)
    expect(await one.batch(0, 1)).toEqual(await batchesOf().batch(0, 1))
    const first = await one.batch(0, 1)
    expect((await batchesOf({ seed: 4 }).batch(0, 1)).x).not.toEqual(first.x)
    // The buffer is the batch's own.
    pixels(first).fill(0)
    expect(await one.batch(0, 1)).toEqual(await batchesOf().batch(0, 1))
  })
  test('batches of one size stacked are those batches, one after the other', async () => {
    const [stack, first, second] = await Promise.all([
      batchesOf().stack(1, 0, 2),
      batchesOf().batch(1, 0),
      batchesOf().batch(1, 1),
    ])
    expect(stack.x!.shape).toEqual([2, 16, 3, 32, 32])
    expect([...pixels(stack)]).toEqual([...pixels(first), ...pixels(second)])
    expect(stack.y!.shape).toEqual([2, 16])
    expect([...classes(stack)]).toEqual([...classes(first), ...classes(second)])
  })
  test('wrong arguments', async () => {
    expect(() => batchesOf({ batchSize: 0 })).toThrow('batch size 0: expected a whole number from 1')
    expect(() => batchesOf({ batchSize: 1.5 })).toThrow('batch size 1.5: expected')
    expect(() => batchesOf({}, randomSet(2, 4, 8))).toThrow('images of 4×8 are too small to be cropped by 4 pixels')
    for (const step of [-1, 4, 0.5])
      await expect(batchesOf().batch(0, step)).rejects.toThrow(`step ${step} is not one of the epoch's 4`)
  })
})

describe('columns of any kind', () => {
  const column = (dtype: Column['dtype'], shape: readonly number[], data: Tensor['data']): Column => ({
    kind: 'tensor',
    dtype,
    shape,
    data,
  })
  const split: Split = {
    count: 3,
    columns: {
      pictures: column(
        'uint8',
        [2, 2],
        Uint8Array.from({ length: 12 }, (_, i) => i),
      ),
      height: column('float64', [], Float64Array.of(1.5, -2, 0.25)),
      answers: column('bool', [2], Uint8Array.of(1, 0, 0, 1, 1, 1)),
      kind: column('int32', [], Int32Array.of(7, 1, 0)),
    },
  }
  test('come in the type and with the axes of one that the input has', async () => {
    const batches = new Batches(
      split,
      [
        { input: { name: 'image', dtype: 'uint8', shape: ['batch', 1, 2, 2] }, column: 'pictures' },
        { input: { name: 'y', dtype: 'float32', shape: ['batch', 1] }, column: 'height' },
        { input: { name: 't', dtype: 'float32', shape: ['batch', 2] }, column: 'answers' },
        { input: { name: 'label', dtype: 'int64', shape: ['batch'] }, column: 'kind' },
      ],
      { batchSize: 2 },
    )
    expect(await batches.batch(0, 0)).toEqual({
      image: { dtype: 'uint8', shape: [2, 1, 2, 2], data: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7) },
      y: { dtype: 'float32', shape: [2, 1], data: Float32Array.of(1.5, -2) },
      t: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) },
      label: { dtype: 'int64', shape: [2], data: BigInt64Array.of(7n, 1n) },
    })
    expect((await batches.batch(0, 1)).label!.data).toEqual(BigInt64Array.of(0n))
  })
})

test('a set of images is a split that shares its memory', () => {
  const { columns: _, ...plain }: ImageSet = randomSet(4)
  const set = imageSet(plain)
  expect(set.columns.images).toMatchObject({ kind: 'tensor', dtype: 'uint8', shape: [3, 32, 32] })
  set.labels[2] = 9
  expect((set.columns.labels as { data: Uint8Array }).data[2]).toBe(9)
})

// Mini-batches: what an epoch holds, determinism, and the augmentation beside a plain per-pixel one.
import { describe, expect, test } from 'vitest'
import { randomStream } from '../../../src/core/random.js'
import { borderPixels, type Crop, cropImage, drawCrop } from '../../../src/driver/data/augment.js'
import { Batches } from '../../../src/driver/data/batches.js'
import { randomSet } from './support.js'

/** The paper's augmentation as its text says it, on one image, pixel by pixel. */
function naive(image: Uint8Array, height: number, width: number, crop: Crop): Uint8Array {
  const out = new Uint8Array(image.length)
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const fromY = y + crop.top - 4
        const fromX = (crop.flip ? width - 1 - x : x) + crop.left - 4
        const inside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width
        out[(c * height + y) * width + x] = inside ? image[(c * height + fromY) * width + fromX]! : 0
      }
    }
  }
  return out
}

describe('augmentation', () => {
  test.each([
    [32, 32],
    [5, 9],
    [12, 7],
  ])('every crop and flip of %i×%i images equals the per-pixel one', (height, width) => {
    const { images } = randomSet(1, height, width)
    for (let top = 0; top <= 2 * borderPixels; top++) {
      for (let left = 0; left <= 2 * borderPixels; left++) {
        for (const flip of [false, true]) {
          // What was in the buffer before must not show.
          const out = new Uint8Array(images.length).fill(77)
          cropImage(images, out, height, width, { top, left, flip })
          expect(out, `${top} ${left} ${flip}`).toEqual(naive(images, height, width, { top, left, flip }))
        }
      }
    }
  })
  test('draws are uniform: 81 corners, half of the images flipped', () => {
    const random = randomStream(1, 'test')
    const corners = new Array<number>(81).fill(0)
    let flipped = 0
    const n = 81_000
    for (let i = 0; i < n; i++) {
      const { top, left, flip } = drawCrop(random)
      corners[top * 9 + left]! += 1
      flipped += flip ? 1 : 0
    }
    // Chi-square with 80 degrees of freedom: below 125 in 99.9 % of cases.
    expect(corners.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(125)
    expect(Math.abs(flipped / n - 0.5)).toBeLessThan(4 * (0.5 / Math.sqrt(n)))
  })
})

describe('Batches', () => {
  const set = randomSet(50)
  const options = { batchSize: 16, seed: 3, augment: true }
  /** Images of a batch, each as a key into the set's. */
  const keys = new Map(Array.from({ length: 50 }, (_, i) => [image(set.images, i).join(), i]))
  function image(images: Uint8Array, i: number) {
    return images.subarray(i * 3072, (i + 1) * 3072)
  }

  test('every image once an epoch with its label, the remainder last, another order each epoch', () => {
    const batches = new Batches(set, { ...options, augment: false })
    expect(batches.stepsPerEpoch).toBe(4)
    const orders = [0, 1].map((epoch) => {
      const seen: number[] = []
      for (let step = 0; step < 4; step++) {
        const { images, labels } = batches.batch(epoch, step)
        expect(labels.length).toBe(step < 3 ? 16 : 2)
        expect(labels.length).toBe(batches.sizeOf(step))
        expect(images.length).toBe(labels.length * 3072)
        for (const [i, label] of labels.entries()) {
          const index = keys.get(image(images, i).join())!
          expect(label).toBe(BigInt(set.labels[index]!))
          seen.push(index)
        }
      }
      expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i))
      return seen
    })
    expect(orders[0]).not.toEqual(orders[1])
    expect(orders[0]).not.toEqual(Array.from({ length: 50 }, (_, i) => i))
  })
  test("CIFAR-10's 50,000 images in batches of 128: 391 steps, 80 in the last", () => {
    const wide = { ...randomSet(1), count: 50_000 }
    const batches = new Batches(wide, { ...options, batchSize: 128 })
    expect([batches.stepsPerEpoch, batches.sizeOf(389), batches.sizeOf(390)]).toEqual([391, 128, 80])
  })
  test('augmented batches: the per-pixel augmentation of the plain ones, drawn in the order of the batch', () => {
    const plain = new Batches(set, { ...options, augment: false }).batch(2, 1)
    const augmented = new Batches(set, options).batch(2, 1)
    const random = randomStream(3, 'augment', 2, 1)
    for (let i = 0; i < 16; i++) {
      const crop = { top: random.below(9), left: random.below(9), flip: random.below(2) === 1 }
      expect(image(augmented.images, i)).toEqual(naive(image(plain.images, i), 32, 32, crop))
    }
    expect(augmented.labels).toEqual(plain.labels)
  })
  test('a batch depends on seed, epoch and step alone, not on what was asked before', () => {
    const one = new Batches(set, options)
    for (const [epoch, step] of [
      [0, 0],
      [5, 2],
      [1, 3],
    ] as const)
      one.batch(epoch, step)
    expect(one.batch(0, 1)).toEqual(new Batches(set, options).batch(0, 1))
    const { images } = one.batch(0, 1)
    expect(new Batches(set, { ...options, seed: 4 }).batch(0, 1).images).not.toEqual(images)
    // The buffer is the batch's own.
    images.fill(0)
    expect(one.batch(0, 1)).toEqual(new Batches(set, options).batch(0, 1))
  })
  test('a batch of 128 takes a fraction of a training step', () => {
    const batches = new Batches(randomSet(1024), { ...options, batchSize: 128 })
    const times: number[] = []
    for (let i = 0; i < 80; i++) {
      const started = performance.now()
      batches.batch(0, i % 8)
      times.push(performance.now() - started)
    }
    // About 0.5 ms where this was written; a step of the smallest network takes some 350.
    expect(times.sort((a, b) => a - b)[40]).toBeLessThan(5)
  })
  test('wrong arguments', () => {
    expect(() => new Batches(set, { ...options, batchSize: 0 })).toThrow('batch size 0: expected a whole number from 1')
    expect(() => new Batches(set, { ...options, batchSize: 1.5 })).toThrow('batch size 1.5: expected')
    expect(() => new Batches(randomSet(2, 4, 8), options)).toThrow(
      'images of 4×8 are too small to be cropped by 4 pixels',
    )
    const batches = new Batches(set, options)
    for (const step of [-1, 4, 0.5]) {
      expect(() => batches.batch(0, step)).toThrow(`step ${step} is not one of the epoch's 4`)
    }
  })
})

test('a batch is cut from where its cuts say', () => {
  const set = randomSet(11, 7, 6)
  const batches = new Batches(set, { batchSize: 4, seed: 3, augment: true })
  const size = 3 * 7 * 6
  for (const step of [0, 2]) {
    const { indices, crops } = batches.cuts(2, step)
    const { images } = batches.batch(2, step)
    indices.forEach((image, i) => {
      const cut = new Uint8Array(size)
      cropImage(set.images.subarray(image * size, (image + 1) * size), cut, 7, 6, crops[i]!)
      expect([...images.subarray(i * size, (i + 1) * size)]).toEqual([...cut])
    })
  }
  expect([0, 1, 2].map((step) => batches.alikeFrom(step))).toEqual([2, 1, 1])
})

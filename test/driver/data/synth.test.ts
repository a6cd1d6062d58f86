// The synthetic set: deterministic, balanced, not to be told by colours or by a linear rule; written and read back.
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { md5, readChecksums } from '../../../src/driver/data/checksums.js'
import { readCifar } from '../../../src/driver/data/cifar.js'
import { classCounts, type ImageSet } from '../../../src/driver/data/dataset.js'
import { patternNames, synthesize } from '../../../src/driver/data/synth.js'
import { writeCifar10 } from '../../../src/driver/data/writeCifar.js'
import { refusal, temporaryFolder } from './support.js'

describe('synthesize', () => {
  test('the same seed gives the same bytes, another seed or set others', () => {
    const options = { train: 30, test: 30, seed: 4 }
    const once = synthesize(options)
    expect(synthesize(options)).toEqual(once)
    expect(md5(once.test.images)).not.toBe(md5(once.train.images))
    expect(md5(synthesize({ ...options, seed: 5 }).train.images)).not.toBe(md5(once.train.images))
  })
  test('each class has as many images as any other', () => {
    const { train, test } = synthesize({ train: 103, test: 40, seed: 0, classes: 4 })
    expect(classCounts(train)).toEqual([26, 26, 26, 25])
    expect(classCounts(test)).toEqual([10, 10, 10, 10])
    expect(train.classes).toEqual(patternNames.slice(0, 4))
    expect([...test.labels.subarray(0, 8)]).not.toEqual([0, 1, 2, 3, 0, 1, 2, 3])
  })
  test('neither mean colours nor mean images tell the class', () => {
    const { train, test } = synthesize({ train: 2000, test: 500, seed: 1 })
    const pixels = (set: ImageSet, i: number) => Float64Array.from(set.images.subarray(i * 3072, (i + 1) * 3072))
    const colours = (set: ImageSet, i: number) => {
      const image = pixels(set, i)
      return [0, 1, 2].flatMap((channel) => {
        const plane = image.subarray(channel * 1024, (channel + 1) * 1024)
        const mean = plane.reduce((sum, value) => sum + value, 0) / 1024
        return [mean, Math.sqrt(plane.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 1024)]
      })
    }
    for (const features of [pixels, colours]) {
      // Chance is 90 %.
      expect(nearestMeanError(train, test, features)).toBeGreaterThan(0.78)
    }
  })
  test('thousands of images a second', () => {
    const started = performance.now()
    synthesize({ train: 1000, test: 100, seed: 2 })
    // About 0.2 s where this was written.
    expect(performance.now() - started).toBeLessThan(2000)
  })
  test('wrong arguments', () => {
    const options = { train: 10, test: 10, seed: 0 }
    expect(() => synthesize({ ...options, classes: 11 })).toThrow('11 classes: expected a whole number from 2 to 10')
    expect(() => synthesize({ ...options, test: 0 })).toThrow('0 images: expected a whole number from 1')
  })
})

/** The share of test images whose nearest class mean, in these features, is that of another class. */
function nearestMeanError(train: ImageSet, test: ImageSet, features: (set: ImageSet, i: number) => ArrayLike<number>) {
  const counts = classCounts(train)
  const means = counts.map(() => new Array<number>(features(train, 0).length).fill(0))
  for (let i = 0; i < train.count; i++) {
    const mean = means[train.labels[i]!]!
    const values = features(train, i)
    for (let k = 0; k < mean.length; k++) mean[k]! += values[k]! / counts[train.labels[i]!]!
  }
  let wrong = 0
  for (let i = 0; i < test.count; i++) {
    const values = features(test, i)
    const distances = means.map((mean) => mean.reduce((sum, value, k) => sum + (value - values[k]!) ** 2, 0))
    if (distances.indexOf(Math.min(...distances)) !== test.labels[i]) wrong++
  }
  return wrong / test.count
}

describe('writeCifar10', () => {
  const dataset = synthesize({ train: 13, test: 4, seed: 9 })

  test('the official files, which read back the same, and their checksums', async () => {
    const dir = join(temporaryFolder(), 'new', 'set')
    await writeCifar10(dir, dataset)
    expect(await readCifar(dir)).toEqual(dataset)
    expect(readdirSync(dir).sort()).toEqual([
      'MD5SUMS',
      'batches.meta.txt',
      ...[1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`),
      'test_batch.bin',
    ])
    const sums = await readChecksums(join(dir, 'MD5SUMS'))
    expect(sums?.size).toBe(6)
    for (const [name, sum] of sums ?? []) expect(md5(readFileSync(join(dir, name)))).toBe(sum)
    expect(readdirSync(join(dir, '..'))).toEqual(['set'])
  })
  test('an empty folder will do, any other is refused', async () => {
    const dir = temporaryFolder()
    await writeCifar10(dir, dataset)
    expect(existsSync(join(dir, 'test_batch.bin'))).toBe(true)
    expect(await refusal(writeCifar10(dir, dataset))).toBe(
      `UserError: ${dir}: is not empty; expected a folder that is new or empty`,
    )
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    expect(await refusal(writeCifar10(file, dataset))).toBe(
      `UserError: ${file}: is a file; expected a folder that is new or empty`,
    )
  })
  test('too few images for five files', async () => {
    const few = synthesize({ train: 4, test: 1, seed: 9 })
    expect(await refusal(writeCifar10(join(temporaryFolder(), 'x'), few))).toBe(
      'RangeError: 4 training images do not fill 5 files',
    )
  })
  test('a failure leaves nothing behind', async () => {
    const parent = temporaryFolder()
    symlinkSync('nowhere', join(parent, 'x'))
    expect(await refusal(writeCifar10(join(parent, 'x'), dataset))).toMatch(/ENOTDIR: not a directory, rename/)
    expect(readdirSync(parent)).toEqual(['x'])
  })
})

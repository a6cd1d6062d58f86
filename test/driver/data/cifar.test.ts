// The readers: both formats, the real CIFAR-10, and every way in which a folder can be wrong.
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cifarLayouts, filesOf, readCifar } from '../../../src/driver/data/cifar.js'
import { classCounts } from '../../../src/driver/data/dataset.js'
import { realCifar10, record, refusal, temporaryFolder, tinyCifar10, tinyCifar100 } from './support.js'

describe('readCifar', () => {
  test('CIFAR-10: the records of all files in order', async () => {
    const { format, train, test } = await readCifar(tinyCifar10())
    expect(format).toBe('cifar10')
    expect(train).toMatchObject({ count: 10, channels: 3, height: 32, width: 32 })
    expect([...train.labels]).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 5])
    expect(train.images.length).toBe(10 * 3072)
    const firstPixels = Array.from({ length: 10 }, (_, i) => [train.images[i * 3072], train.images[i * 3072 + 3071]])
    expect(firstPixels.flat()).toEqual([0, 1, 10, 11, 20, 21, 30, 31, 40, 41].flatMap((value) => [value, value]))
    expect([...test.labels]).toEqual([5, 6])
    expect(test.classes).toEqual(Array.from({ length: 10 }, (_, i) => `kind ${i}`))
    expect(classCounts(train)).toEqual([1, 2, 2, 2, 2, 1, 0, 0, 0, 0])
  })
  test('CIFAR-100: the fine labels', async () => {
    const { format, train, test } = await readCifar(tinyCifar100())
    expect(format).toBe('cifar100')
    expect([...train.labels, ...test.labels]).toEqual([99, 0, 42])
    expect([train.images[0], train.images[3071], train.images[3072], test.images[0]]).toEqual([1, 1, 2, 3])
    expect(train.classes[99]).toBe('fine 99')
  })
  test.each(['cifar10', 'cifar100'] as const)('the parent folder of %s', async (format) => {
    const dir = temporaryFolder()
    const folder = join(dir, cifarLayouts[format].folder)
    mkdirSync(folder)
    if (format === 'cifar10') tinyCifar10(folder)
    else tinyCifar100(folder)
    expect((await readCifar(dir)).format).toBe(format)
  })
  test.runIf(realCifar10)('the real CIFAR-10', async () => {
    const { train, test } = await readCifar(realCifar10!)
    expect([train.count, test.count]).toEqual([50_000, 10_000])
    expect(classCounts(train)).toEqual(new Array(10).fill(5000))
    expect(classCounts(test)).toEqual(new Array(10).fill(1000))
    expect([0, 3, 9].map((i) => train.classes[i])).toEqual(['airplane', 'cat', 'truck'])
    // The published first images: a frog, whose first red value is 59; a cat in the test set, 158.
    expect([train.classes[train.labels[0]!], train.images[0]]).toEqual(['frog', 59])
    expect([test.classes[test.labels[0]!], test.images[0]]).toEqual(['cat', 158])
    // The normalisation constants of the paper are the mean and deviation of the training set's channels.
    const constants = [
      [0.49139968, 0.24703223],
      [0.48215841, 0.24348513],
      [0.44653091, 0.26158784],
    ]
    for (const [channel, [mean, deviation]] of constants.entries()) {
      let sum = 0
      let squares = 0
      for (let start = channel * 1024; start < train.images.length; start += 3072) {
        for (let at = start; at < start + 1024; at++) {
          sum += train.images[at]!
          squares += train.images[at]! ** 2
        }
      }
      const n = train.count * 1024
      expect(sum / n / 255).toBeCloseTo(mean!, 7)
      expect(Math.sqrt(squares / n - (sum / n) ** 2) / 255).toBeCloseTo(deviation!, 7)
    }
  })
})

describe('a folder that is no data set', () => {
  test('not there', async () => {
    expect(await refusal(readCifar('/no/such'))).toBe(
      'UserError: /no/such: there is no such folder; `rdm-data fetch cifar10` downloads CIFAR-10',
    )
  })
  test('other files: says what was looked for', async () => {
    const dir = temporaryFolder()
    writeFileSync(join(dir, 'notes.txt'), '')
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${dir}: no data set found; looked for data_batch_1.bin … data_batch_5.bin, test_batch.bin and ` +
        'batches.meta.txt (CIFAR-10), or train.bin, test.bin and fine_label_names.txt (CIFAR-100), here and in ' +
        'cifar-10-batches-bin and cifar-100-binary; `rdm-data fetch cifar10` downloads CIFAR-10',
    )
  })
  test('some files missing', async () => {
    const dir = tinyCifar10()
    rmSync(join(dir, 'data_batch_2.bin'))
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${dir}: looks like CIFAR-10, but data_batch_2.bin is missing`,
    )
    rmSync(join(dir, 'batches.meta.txt'))
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${dir}: looks like CIFAR-10, but data_batch_2.bin, batches.meta.txt are missing ` +
        '(batches.meta.txt: the names of the classes, one a line)',
    )
  })
  test('a folder in the place of a file', async () => {
    const dir = tinyCifar100()
    rmSync(join(dir, 'test.bin'))
    mkdirSync(join(dir, 'test.bin'))
    expect(await refusal(readCifar(dir))).toBe(`UserError: ${dir}: looks like CIFAR-100, but test.bin is missing`)
  })
})

describe('bad files', () => {
  test('truncated', async () => {
    const dir = tinyCifar10()
    const path = join(dir, 'data_batch_3.bin')
    truncateSync(path, 3073 + 100)
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${path}: truncated or not CIFAR-10: its 3173 bytes are no whole number of records of 3073 bytes ` +
        '(1 records and 100 bytes)',
    )
    truncateSync(path, 0)
    expect(await refusal(readCifar(dir))).toBe(`UserError: ${path}: is empty; expected records of 3073 bytes`)
  })
  test('a label out of range', async () => {
    const ten = tinyCifar10()
    writeFileSync(join(ten, 'test_batch.bin'), Buffer.concat([record([9], 0), record([10], 0)]))
    expect(await refusal(readCifar(ten))).toBe(
      `UserError: ${join(ten, 'test_batch.bin')}: record 1 (counted from 0) has label 10; expected 0 to 9, as ` +
        'batches.meta.txt names 10 classes',
    )
    const hundred = tinyCifar100()
    writeFileSync(join(hundred, 'train.bin'), record([5, 100], 0))
    expect(await refusal(readCifar(hundred))).toMatch(/train\.bin: record 0 .* has label 100; expected 0 to 99/)
  })
  test('larger than memory should hold, in one file or together', async () => {
    const dir = tinyCifar10()
    // Sparse files: they take no room.
    truncateSync(join(dir, 'data_batch_2.bin'), 3073 * 349_000)
    truncateSync(join(dir, 'data_batch_4.bin'), 3073 * 1000)
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${join(dir, 'data_batch_4.bin')}: brings the set to ${3073 * 350_004} bytes; at most 1073741824 are ` +
        'read into memory',
    )
  })
  test.runIf(process.platform === 'linux')('a file that says one size and has another', async () => {
    const dir = tinyCifar10()
    rmSync(join(dir, 'batches.meta.txt'))
    symlinkSync('/proc/version', join(dir, 'batches.meta.txt'))
    expect(await refusal(readCifar(dir))).toMatch(/batches\.meta\.txt: had 0 bytes, but \d+ when it was read$/)
  })
  test.runIf(process.platform === 'linux')('a file that fails to be read', async () => {
    const dir = tinyCifar10()
    rmSync(join(dir, 'batches.meta.txt'))
    symlinkSync('/proc/self/mem', join(dir, 'batches.meta.txt'))
    expect(await refusal(readCifar(dir))).toMatch(/batches\.meta\.txt: cannot be read: E/)
  })
  test('names of classes that are none', async () => {
    const dir = tinyCifar10()
    const path = join(dir, filesOf(cifarLayouts.cifar10).at(-1)!)
    const write = (text: string) => writeFileSync(path, text)
    write('one\n')
    expect(await refusal(readCifar(dir))).toBe(`UserError: ${path}: 1 names of classes; expected 2 to 256, one a line`)
    write('x\n'.repeat(257))
    expect(await refusal(readCifar(dir))).toMatch(/257 names of classes; expected 2 to 256/)
    write('cat\n\u001b[31mdog\n')
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${path}: name 2 holds control characters; expected plain text`,
    )
    write('x'.repeat(70_000))
    expect(await refusal(readCifar(dir))).toBe(
      `UserError: ${path}: 70000 bytes are too many for names of classes, one a line`,
    )
  })
  test('a dangling link is a missing file', async () => {
    const dir = tinyCifar10()
    renameSync(join(dir, 'test_batch.bin'), join(dir, 'moved'))
    symlinkSync(join(dir, 'nowhere'), join(dir, 'test_batch.bin'))
    expect(await refusal(readCifar(dir))).toMatch(/looks like CIFAR-10, but test_batch.bin is missing$/)
  })
})

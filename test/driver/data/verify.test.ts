// Verification: what it counts, and everything it finds wrong.
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatChecksums, md5, md5OfFile, officialMd5, readChecksums } from '../../../src/driver/data/checksums.js'
import { readCifar } from '../../../src/driver/data/cifar.js'

import { verifyDataset } from '../../../src/driver/data/verify.js'
import { realCifar10, record, refusal, temporaryFolder, tinyCifar10, tinyCifar100 } from './support.js'

describe('verifyDataset', () => {
  test('counts images and classes; files whose checksums nobody knows', async () => {
    const dir = tinyCifar10()
    const report = await verifyDataset(dir)
    expect(report).toMatchObject({ folder: dir, format: 'cifar10', train: 10, test: 2, official: false, problems: [] })
    expect(report.classes.map(({ train }) => train)).toEqual([1, 2, 2, 2, 2, 1, 0, 0, 0, 0])
    expect(report.classes[6]).toEqual({ name: 'kind 6', train: 0, test: 1 })
    expect(report.files[5]).toEqual({
      name: 'test_batch.bin',
      bytes: 6146,
      records: 2,
      md5: md5(readFileSync(join(dir, 'test_batch.bin'))),
      official: false,
      listed: undefined,
    })
  })
  test('CIFAR-100, with MD5SUMS', async () => {
    const dir = tinyCifar100()
    const sums = new Map([['train.bin', await md5OfFile(join(dir, 'train.bin'))]])
    writeFileSync(join(dir, 'MD5SUMS'), formatChecksums(sums))
    const report = await verifyDataset(dir)
    expect(report).toMatchObject({ format: 'cifar100', train: 2, test: 1, official: false, problems: [] })
    expect(report.files.map(({ listed }) => listed)).toEqual([true, undefined])
    expect(report.classes[99]).toEqual({ name: 'fine 99', train: 1, test: 0 })
  })
  test('CIFAR-100 with its labels in the wrong order', async () => {
    const dir = tinyCifar100()
    writeFileSync(join(dir, 'train.bin'), Buffer.concat([record([3, 0], 1), record([99, 19], 2)]))
    const problem = `${join(dir, 'train.bin')}: record 1 (counted from 0) has coarse label 99; expected 0 to 19: the coarse label comes first, then the fine one`
    expect((await verifyDataset(dir)).problems).toEqual([problem])
    expect(await refusal(readCifar(dir))).toBe(`UserError: ${problem}`)
  })
  test('all that is wrong, not the first thing alone', async () => {
    const dir = tinyCifar10()
    const at = (name: string) => join(dir, name)
    truncateSync(at('data_batch_1.bin'), 3073 + 7)
    writeFileSync(at('data_batch_2.bin'), record([200], 0))
    truncateSync(at('data_batch_3.bin'), 2 ** 30 + 1)
    writeFileSync(at('MD5SUMS'), `${'0'.repeat(32)}  test_batch.bin\n`)
    const { problems, train } = await verifyDataset(dir)
    expect(problems).toEqual([
      `${at('data_batch_1.bin')}: truncated or not CIFAR-10: its 3080 bytes are no whole number of records of 3073 bytes (1 records and 7 bytes)`,
      `${at('data_batch_2.bin')}: record 0 (counted from 0) has label 200; expected 0 to 9, as batches.meta.txt names 10 classes`,
      `${at('data_batch_3.bin')}: 1073741825 bytes; at most 1073741824 are read`,
      `${at('test_batch.bin')}: md5 ${await md5OfFile(at('test_batch.bin'))}; MD5SUMS lists ${'0'.repeat(32)}`,
    ])
    expect(train).toBe(1 + 1 + 0 + 2 + 2)
  })
  test('no data set, no names of classes: refused', async () => {
    expect(await refusal(verifyDataset('/no/such'))).toMatch(/^UserError: \/no\/such: there is no such folder/)
    const dir = tinyCifar10()
    writeFileSync(join(dir, 'batches.meta.txt'), '')
    expect(await refusal(verifyDataset(dir))).toMatch(/0 names of classes; expected 2 to 256/)
  })
  test.runIf(realCifar10)('the real CIFAR-10, and a copy of it with one bit flipped', async () => {
    const report = await verifyDataset(realCifar10!)
    expect(report).toMatchObject({ train: 50_000, test: 10_000, official: true, problems: [] })
    expect(report.classes.every(({ train, test }) => train === 5000 && test === 1000)).toBe(true)

    // Two official files among four small ones are enough for the check.
    const dir = tinyCifar10()
    await cp(join(realCifar10!, 'data_batch_1.bin'), join(dir, 'data_batch_1.bin'))
    const bytes = readFileSync(join(realCifar10!, 'test_batch.bin'))
    bytes[5_000_000]! ^= 1
    writeFileSync(join(dir, 'test_batch.bin'), bytes)
    const damaged = await verifyDataset(dir)
    expect(damaged.official).toBe(false)
    expect(damaged.problems).toHaveLength(5)
    expect(damaged.problems[4]).toBe(
      `${join(dir, 'test_batch.bin')}: md5 ${md5(bytes)}; the official file, as data_batch_1.bin is, has ` +
        `${officialMd5.cifar10['test_batch.bin']}`,
    )
  })
})

describe('MD5SUMS', () => {
  test('md5sum files, with and without the star of binary mode', async () => {
    const path = join(temporaryFolder(), 'MD5SUMS')
    writeFileSync(path, `${'A'.repeat(32)} *a b.bin\r\n\n${'0'.repeat(32)}  c.bin`)
    expect(await readChecksums(path)).toEqual(
      new Map([
        ['a b.bin', 'a'.repeat(32)],
        ['c.bin', '0'.repeat(32)],
      ]),
    )
    expect(await readChecksums(`${path}.none`)).toBe(undefined)
  })
  test('a file that is something else', async () => {
    const path = join(temporaryFolder(), 'MD5SUMS')
    writeFileSync(path, `${'0'.repeat(32)}  c.bin\nhello\n`)
    expect(await refusal(readChecksums(path))).toBe(
      `UserError: ${path}: line 2 is not an md5, two spaces and a file name`,
    )
    writeFileSync(path, 'x'.repeat(70_000))
    expect(await refusal(readChecksums(path))).toBe(
      `UserError: ${path}: 70000 bytes are too many for a list of checksums`,
    )
  })
  test.runIf(realCifar10)("the built-in checksums are those of CIFAR-10's own list", async () => {
    expect(Object.fromEntries((await readChecksums(join(realCifar10!, 'MD5SUMS'))) ?? [])).toEqual(officialMd5.cifar10)
  })
})

// The reader for MNIST's files: what it takes, and what it refuses.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readDataset } from '../../../src/driver/data/readers.js'
import { idx, refusal, temporaryFolder } from './support.js'

const images = (count: number, first: number) =>
  idx(
    [count, 2, 3],
    Uint8Array.from({ length: count * 6 }, (_, i) => first + i),
  )
const labels = (...values: number[]) => idx([values.length], Uint8Array.from(values))

const names = {
  trainImages: 'train-images-idx3-ubyte',
  trainLabels: 'train-labels-idx1-ubyte',
  testImages: 't10k-images-idx3-ubyte',
  testLabels: 't10k-labels-idx1-ubyte',
}

/** A folder of three training and two test images of 2×3 pixels. */
function tinyMnist(rename = (name: string) => name, pack = (bytes: Buffer): Buffer => bytes): string {
  const dir = temporaryFolder()
  const write = (name: string, bytes: Buffer) => writeFileSync(join(dir, rename(name)), pack(bytes))
  write(names.trainImages, images(3, 0))
  write(names.trainLabels, labels(0, 2, 1))
  write(names.testImages, images(2, 100))
  write(names.testLabels, labels(3, 0))
  return dir
}

describe('reading', () => {
  test.each([
    ['plain', (name: string) => name, (bytes: Buffer) => bytes],
    ['by gzip', (name: string) => `${name}.gz`, (bytes: Buffer) => gzipSync(bytes)],
    ['with dots', (name: string) => name.replace('-idx', '.idx'), (bytes: Buffer) => bytes],
    [
      'of EMNIST',
      (name: string) => `emnist-digits-${name.replace('t10k', 'test')}.gz`,
      (bytes: Buffer) => gzipSync(bytes),
    ],
  ])('%s', async (_, rename, pack) => {
    const { format, train, test } = await readDataset(tinyMnist(rename, pack))
    expect({ format, counts: [train.count, test.count] }).toEqual({ format: 'idx', counts: [3, 2] })
    expect(train.columns.images).toMatchObject({ kind: 'tensor', dtype: 'uint8', shape: [1, 2, 3] })
    const data = train.columns.images?.kind === 'tensor' ? [...(train.columns.images.data as Uint8Array)] : []
    expect(data).toEqual(Array.from({ length: 18 }, (_, i) => i))
    expect(train.columns.labels).toMatchObject({ dtype: 'uint8', shape: [], classes: ['0', '1', '2', '3'] })
    expect(test.columns.labels).toMatchObject({ data: Uint8Array.from([3, 0]), classes: ['0', '1', '2', '3'] })
  })
  test('a file that is there plain and packed is read plain', async () => {
    const dir = tinyMnist()
    writeFileSync(join(dir, `${names.trainImages}.gz`), 'no gzip')
    expect((await readDataset(dir)).train.count).toBe(3)
  })
})

describe('refusals name the file and what was expected', () => {
  /** What is said when one file is this. */
  async function refused(name: string, bytes: Buffer | undefined): Promise<string> {
    const dir = tinyMnist()
    rmSync(join(dir, name.replace(/\.gz$/, '')))
    if (bytes) writeFileSync(join(dir, name), bytes)
    return (await refusal(readDataset(dir))).replaceAll(`${dir}/`, '').replaceAll(dir, 'DIR')
  }
  const whole = images(3, 0)
  test.each([
    [
      'a missing file',
      names.testLabels,
      undefined,
      'DIR: looks like MNIST, but t10k-labels-idx1-ubyte is missing, with or without .gz',
    ],
    [
      'an empty file',
      names.trainImages,
      Buffer.alloc(0),
      `${names.trainImages}: is damaged or no IDX file: it ends within its header`,
    ],
    [
      'another format',
      names.trainImages,
      Buffer.from('<html>log in'),
      `${names.trainImages}: is damaged or no IDX file: it does not begin with two zero bytes and a type`,
    ],
    [
      'other numbers',
      names.trainImages,
      idx([3, 2, 3], new Uint8Array(72), 13),
      `${names.trainImages}: holds float32; only bytes (uint8) are read`,
    ],
    [
      'a truncated file',
      names.trainImages,
      whole.subarray(0, 30),
      `${names.trainImages}: is damaged or no IDX file: its header says [3, 2, 3], which its 30 bytes are not`,
    ],
    [
      'a longer file',
      names.trainImages,
      Buffer.concat([whole, Buffer.alloc(1)]),
      `${names.trainImages}: is damaged or no IDX file: its header says [3, 2, 3], which its 35 bytes are not`,
    ],
    [
      'a header that promises too much',
      names.trainImages,
      idx([2 ** 31, 2 ** 31, 4], new Uint8Array(0)),
      `${names.trainImages}: its header says [2147483648, 2147483648, 4]; at most 1073741824 bytes are read into memory`,
    ],
    [
      'a small packed file that promises a gigabyte',
      `${names.trainImages}.gz`,
      gzipSync(idx([2 ** 20, 2 ** 5, 2 ** 5], new Uint8Array(0))),
      / is damaged or no IDX file: its header says \[1048576, 32, 32\], which its \d+ bytes are not$/,
    ],
    [
      'a packed file of more than it promises',
      `${names.trainImages}.gz`,
      gzipSync(idx([3, 2, 3], new Uint8Array(2 ** 20))),
      `${names.trainImages}.gz: is damaged or no IDX file: its header says [3, 2, 3], and there are more bytes`,
    ],
    [
      'a packed file of less',
      `${names.trainImages}.gz`,
      gzipSync(whole.subarray(0, 20)),
      `${names.trainImages}.gz: is damaged or no IDX file: its header says [3, 2, 3], and there are 4 bytes`,
    ],
    [
      'a packed file that breaks off',
      `${names.trainImages}.gz`,
      gzipSync(whole).subarray(0, -10),
      `${names.trainImages}.gz: is damaged or no IDX file: unexpected end of file`,
    ],
    [
      'labels for other images',
      names.trainLabels,
      labels(1, 2),
      `${names.trainLabels}: has 2 labels for the 3 images of ${names.trainImages}`,
    ],
    [
      'axes that images do not have',
      names.trainImages,
      idx([18], new Uint8Array(18)),
      / it has 1 axes; expected 3 or 4$/,
    ],
    [
      'test images of another size',
      names.testImages,
      idx([2, 3, 3], new Uint8Array(18)),
      `${names.testImages}: has images of 3×3; those to train on have 2×3`,
    ],
  ])('%s', async (_, name, bytes, message) => {
    const said = await refused(name, bytes)
    if (message instanceof RegExp) expect(said).toMatch(message)
    else expect(said).toBe(`UserError: ${message}`)
  })
  test('several sets in a folder, a part to hold out, and a folder without any', async () => {
    const dir = tinyMnist()
    writeFileSync(join(dir, `emnist-letters-${names.trainImages}`), whole)
    expect(await refusal(readDataset(dir))).toMatch(
      /holds several data sets \(emnist-letters, \)|holds several data sets/,
    )
    expect(await refusal(readDataset(tinyMnist(), { holdOut: 0.1 }))).toMatch(
      /: has a test set already: leave out --hold-out$/,
    )
    const empty = join(temporaryFolder(), 'empty')
    mkdirSync(empty)
    expect(await refusal(readDataset(empty))).toMatch(
      /: no data set found; looked for data_batch_1.bin .*; train-images-idx3-ubyte/,
    )
  })
})

// What the tests of data share: temporary folders, and small data sets in them.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterAll } from 'vitest'
import { randomStream } from '../../../src/core/random.js'
import { cifarLayouts, filesOf, pixelBytes } from '../../../src/driver/data/cifar.js'
import { type ImageSet, imageSet } from '../../../src/driver/data/dataset.js'

const official = fileURLToPath(new URL('../../../../shared/cifar-10-batches-bin', import.meta.url))

/** The folder of the real CIFAR-10, where there is one. */
export const realCifar10: string | undefined = existsSync(official) ? official : undefined

const made: string[] = []
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true })
})

/** A new empty folder, removed after the tests of the file. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'rdm-data-'))
  made.push(dir)
  return dir
}

/** Random images of random classes. */
export function randomSet(count: number, height = 32, width = 32, classes = 10): ImageSet {
  const random = randomStream(5, 'test', count, height, width)
  return imageSet({
    images: Uint8Array.from({ length: count * 3 * height * width }, () => random.below(256)),
    labels: Uint8Array.from({ length: count }, () => random.below(classes)),
    count,
    channels: 3,
    height,
    width,
    classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
  })
}

/** One record: its label bytes, then pixels that are all `value`. */
export const record = (labels: readonly number[], value: number): Buffer =>
  Buffer.concat([Buffer.from(labels), Buffer.alloc(pixelBytes, value)])

/** A CIFAR-10 folder with two images a file, whose pixels say which: file f (0–5), record r has pixels 10f + r. */
export function tinyCifar10(dir: string = temporaryFolder()): string {
  const { train, test, classes } = cifarLayouts.cifar10
  for (const [f, name] of [...train, ...test].entries()) {
    writeFileSync(join(dir, name), Buffer.concat([record([f], 10 * f), record([f + 1], 10 * f + 1)]))
  }
  writeFileSync(join(dir, classes), `${Array.from({ length: 10 }, (_, i) => `kind ${i}`).join('\n')}\n\n`)
  return dir
}

/** A CIFAR-100 folder with two training images and one test image. */
export function tinyCifar100(dir: string = temporaryFolder()): string {
  const [train, test, classes] = filesOf(cifarLayouts.cifar100)
  writeFileSync(join(dir, train!), Buffer.concat([record([19, 99], 1), record([3, 0], 2)]))
  writeFileSync(join(dir, test!), record([7, 42], 3))
  writeFileSync(join(dir, classes!), Array.from({ length: 100 }, (_, i) => `fine ${i}`).join('\r\n'))
  return dir
}

/** The text of the error of a rejected promise. */
export const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => String(error),
  )

/** An IDX file of bytes. */
export function idx(shape: readonly number[], bytes: Uint8Array, type = 8): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length)
  head.set([0, 0, type, shape.length])
  shape.forEach((size, i) => {
    head.writeUInt32BE(size, 4 + 4 * i)
  })
  return Buffer.concat([head, bytes])
}

/** A .npy file. */
export function npy(header: string, data: Uint8Array): Buffer {
  const head = Buffer.alloc(10)
  head.write('\x93NUMPY\x01\x00', 'latin1')
  head.writeUInt16LE(header.length, 8)
  return Buffer.concat([head, Buffer.from(header), data])
}
export const npyHeader = (descr: string, shape: string, order = 'False') =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': (${shape}), }`

export interface ZipEntry {
  readonly name: string
  readonly content: Buffer
  /** What is said of it otherwise than it is. */
  readonly size?: number
  readonly checksum?: number
  readonly packed?: Buffer
}

/** A zip archive, honest unless told otherwise. */
export function zip(...entries: readonly ZipEntry[]): Buffer {
  const pieces: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content, size = content.length, checksum = crc32(content), packed } of entries) {
    const data = packed ?? deflateRawSync(content)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(checksum, 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, rest, Buffer.from(name)]))
    pieces.push(local)
    offset += local.length
  }
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...pieces, ...directory, end])
}

// Good files of every kind, small ones.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { create } from 'tar'
import { tensor } from '../../dist/src/core/graph/tensor.js'
import { randomStream } from '../../dist/src/core/random.js'
import { officialArchives } from '../../dist/src/driver/data/fetch.js'

const bytesOf = (count, name, below = 256) => {
  const random = randomStream(3, name)
  return Uint8Array.from({ length: count }, () => random.below(below))
}
export const utf8 = (text) => new Uint8Array(Buffer.from(text))

function npyOf(descr, shape, data) {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`.padEnd(117)
  return new Uint8Array(
    Buffer.concat([Buffer.from('\x93NUMPY\x01\0\x76\0', 'latin1'), Buffer.from(`${header}\n`), data]),
  )
}

function idx(shape, data) {
  const head = Buffer.alloc(4 + 4 * shape.length)
  head.set([0, 0, 8, shape.length])
  for (const [i, size] of shape.entries()) head.writeUInt32BE(size, 4 + 4 * i)
  return new Uint8Array(Buffer.concat([head, data]))
}

/** Records of CIFAR: labels, then pixels. */
function records(count, labelBytes, classes, name) {
  const data = bytesOf(count * (labelBytes + 3072), name)
  for (let at = 0; at < data.length; at += labelBytes + 3072)
    for (let k = 0; k < labelBytes; k++) data[at + k] %= classes
  return data
}
const names = (count) => utf8(Array.from({ length: count }, (_, i) => `class${i}\n`).join(''))

export function cifar10() {
  const parts = [1, 2, 3, 4, 5].map((i) => [`data_batch_${i}.bin`, records(2, 1, 10, `batch${i}`)])
  return { ...Object.fromEntries(parts), 'test_batch.bin': records(2, 1, 10, 'test'), 'batches.meta.txt': names(10) }
}
export const cifar100 = () => ({
  'train.bin': records(3, 2, 20, 'train'),
  'test.bin': records(2, 2, 20, 'test'),
  'fine_label_names.txt': names(100),
})

export function mnist(pack = (bytes) => bytes, ending = '') {
  const part = (prefix, count) => ({
    [`${prefix}-images-idx3-ubyte${ending}`]: new Uint8Array(pack(idx([count, 8, 8], bytesOf(count * 64, prefix)))),
    [`${prefix}-labels-idx1-ubyte${ending}`]: new Uint8Array(pack(idx([count], bytesOf(count, prefix, 10)))),
  })
  return { ...part('train', 12), ...part('t10k', 5) }
}

const floats = (count, name) => new Uint8Array(Float32Array.from(bytesOf(count, name)).buffer)
export const arrays = () => [
  ['x.npy', npyOf('<f4', [12, 3], floats(36, 'x'))],
  ['y.npy', npyOf('|u1', [12], bytesOf(12, 'y', 4))],
  ['z.npy', npyOf('<i2', [12, 2], bytesOf(48, 'z'))],
]

const lines = (count, name) =>
  Array.from(bytesOf(count, name), (value, i) => `${value / 7},${i % 5},${['red', 'green', 'blue'][value % 3]}`)
export const csv = (count, name) => utf8(['size,rooms,colour', ...lines(count, name), ''].join('\n'))

export async function pictures() {
  const { default: sharp } = await import('sharp')
  const raw = { width: 9, height: 7, channels: 3 }
  const picture = (name, format) =>
    sharp(Buffer.from(bytesOf(9 * 7 * 3, name)), { raw })
      .toFormat(format)
      .toBuffer()
  const files = {}
  for (const part of ['train', 'test'])
    for (const kind of ['cat', 'dog'])
      for (const format of ['png', 'jpeg', 'webp'])
        files[`${part}/${kind}/${format}.${format}`] = new Uint8Array(await picture(`${part}${kind}`, format))
  return files
}

export const tensors = () => ({
  x: tensor('float32', [12, 3], bytesOf(36, 'x')),
  y: tensor('int64', [12], bytesOf(12, 'y', 4)),
})

export async function archive(folder) {
  const layout = officialArchives.cifar10.layout
  const from = join(folder, 'archive')
  write(join(from, layout.folder), cifar10())
  const file = join(folder, 'archive.tar.gz')
  await create({ gzip: true, cwd: from, file, portable: true }, [layout.folder])
  const bytes = new Uint8Array(readFileSync(file))
  rmSync(from, { recursive: true })
  rmSync(file)
  return { [`${layout.folder}.tar.gz.part`]: bytes }
}

/** Puts files into a folder, which is made. */
export function write(folder, files) {
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), bytes)
  }
}

export function filesIn(folder) {
  const found = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    found.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return [path.slice(folder.length + 1), new Uint8Array(readFileSync(path))]
    }),
  )
}

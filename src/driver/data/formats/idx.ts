// Reader for the files of MNIST and its kin: Fashion-MNIST, KMNIST, EMNIST, and whatever else is in the IDX format
// (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type, the number of axes, the size of each, then the numbers.
// The files are untrusted: the header and the size of the file are compared before there is memory for the numbers.

import { messageOf, UserError } from '../../../core/errors.js'
import { elementsOf } from '../../../core/graph/tensor.js'
import { type Dataset, type Split, shared } from '../dataset.js'
import { checkNoHoldOut } from '../splits.js'
import { mostDeflated, openBytes } from './bytes.js'
import { type FileTree, maxBytes, namesIn, sizeOf } from './fileTree.js'
import type { Reader } from './reader.js'

const types: Readonly<Record<number, string>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float32',
  14: 'float64',
}

/** `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, `emnist-letters-test-images-idx3-ubyte`. */
const fileName = /^(?:(.+)-)?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?$/

interface IdxFiles {
  readonly train: { readonly images: string; readonly labels: string }
  readonly test: { readonly images: string; readonly labels: string }
}

/**
 * Finds the four files in a folder; undefined where there are none of them.
 * @throws UserError for a data set that is not complete, or where there are several
 */
async function findFiles(files: FileTree, folder: string): Promise<IdxFiles | undefined> {
  const found = new Map<string, string>()
  const prefixes = new Set<string>()
  for (const name of await namesIn(files, folder)) {
    const [match, prefix = '', part, what, packed] = fileName.exec(name) ?? []
    if (match === undefined) continue
    prefixes.add(prefix)
    const role = `${part === 'train' ? 'train' : 'test'} ${what}`
    // A file that is there unpacked, too, need not be unpacked.
    if (packed === undefined || !found.has(role)) found.set(role, files.join(folder, name))
  }
  if (found.size === 0) return undefined
  if (prefixes.size > 1)
    throw new UserError(
      `${folder}: holds several data sets (${[...prefixes].join(', ')}); put the four files of one into a folder of their own`,
    )
  const file = (role: string): string => {
    const path = found.get(role)
    if (path !== undefined) return path
    const [part, what] = role.split(' ')
    const usual = `${part === 'train' ? 'train' : 't10k'}-${what}-idx${what === 'images' ? 3 : 1}-ubyte`
    throw new UserError(`${folder}: looks like MNIST, but ${usual} is missing, with or without .gz`)
  }
  return {
    train: { images: file('train images'), labels: file('train labels') },
    test: { images: file('test images'), labels: file('test labels') },
  }
}

interface IdxArray {
  readonly shape: readonly number[]
  /** In memory that threads share. */
  readonly data: Uint8Array
}

/** Reads one file of bytes. */
async function readIdx(files: FileTree, path: string, axes: readonly number[]): Promise<IdxArray> {
  const gzip = path.endsWith('.gz')
  const size = (await sizeOf(files, path)) ?? 0
  const reader = openBytes(files, path, { gzip })
  const fail = (reason: string): never => {
    throw new UserError(`${path}: is damaged or no IDX file: ${reason}`)
  }
  const take = async (length: number): Promise<DataView> => {
    const bytes = new Uint8Array(length)
    if ((await reader.fill(bytes)) < length) fail('it ends within its header')
    return new DataView(bytes.buffer)
  }
  try {
    const head = await take(4)
    const [zero, type, rank] = [head.getUint16(0), head.getUint8(2), head.getUint8(3)]
    if (zero !== 0 || types[type] === undefined) fail('it does not begin with two zero bytes and a type')
    if (type !== 8) throw new UserError(`${path}: holds ${types[type]}; only bytes (uint8) are read`)
    if (!axes.includes(rank)) fail(`it has ${rank} axes; expected ${axes.join(' or ')}`)
    const sizes = await take(4 * rank)
    const shape = Array.from({ length: rank }, (_, i) => sizes.getUint32(4 * i))
    const elements = elementsOf(shape)
    const said = `its header says [${shape.join(', ')}]`
    if (elements > maxBytes) throw new UserError(`${path}: ${said}; at most ${maxBytes} bytes are read into memory`)
    if (gzip ? elements > size * mostDeflated : 4 + 4 * rank + elements !== size)
      fail(`${said}, which its ${size} bytes are not`)
    const data = shared('uint8', elements)
    const filled = await reader.fill(data)
    if (filled < elements) fail(`${said}, and there are ${filled} bytes`)
    if (!(await reader.ended())) fail(`${said}, and there are more bytes`)
    return { shape, data }
  } catch (error) {
    if (error instanceof UserError) throw error
    return fail(messageOf(error))
  } finally {
    await reader.close()
  }
}

interface Pair {
  readonly images: IdxArray
  readonly labels: IdxArray
}

async function readPair(files: FileTree, paths: IdxFiles['train']): Promise<Pair> {
  const images = await readIdx(files, paths.images, [3, 4])
  const labels = await readIdx(files, paths.labels, [1])
  if (images.shape[0] !== labels.shape[0])
    throw new UserError(
      `${paths.labels}: has ${labels.shape[0]} labels for the ${images.shape[0]} images of ${paths.images}`,
    )
  return { images, labels }
}

async function readDigits(files: FileTree, folder: string): Promise<Dataset> {
  const paths = (await findFiles(files, folder))!
  const [train, test] = [await readPair(files, paths.train), await readPair(files, paths.test)]
  const [shape, testShape] = [train, test].map(({ images }) => images.shape.slice(1))
  if (`${shape}` !== `${testShape}`)
    throw new UserError(
      `${paths.test.images}: has images of ${testShape!.join('×')}; those to train on have ${shape!.join('×')}`,
    )
  const most = [train, test].reduce((most, { labels }) => labels.data.reduce((a, b) => Math.max(a, b), most), 0)
  const classes = Array.from({ length: most + 1 }, (_, i) => `${i}`)
  const split = ({ images, labels }: Pair): Split => ({
    count: labels.data.length,
    columns: {
      // Grey images have one channel.
      images: {
        kind: 'tensor',
        dtype: 'uint8',
        shape: shape!.length === 2 ? [1, ...shape!] : shape!,
        data: images.data,
      },
      labels: { kind: 'tensor', dtype: 'uint8', shape: [], data: labels.data, classes },
    },
  })
  return { format: 'idx', train: split(train), test: split(test) }
}

export const idxReader: Reader = {
  format: 'idx',
  looksFor:
    'train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (MNIST), with or without .gz',
  recognizes: async (files, path) => (await findFiles(files, path)) !== undefined,
  async read(files, path, options) {
    checkNoHoldOut(path, options)
    return readDigits(files, path)
  },
}

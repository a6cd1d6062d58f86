// Reader for arrays that NumPy wrote: one file of several (.npz), or a folder of .npy files
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
// The files are untrusted: headers and sizes are compared before there is memory for the numbers, what unpacks to more than it says
// is refused, and pickles are never read.

import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import { messageOf, UserError } from '../../core/errors.js'
import {
  bytesOf,
  type DType,
  elementsOf,
  type Tensor,
  type Tensors,
  tensorOf,
  widthOf,
} from '../../core/graph/tensor.js'
import { ByteReader, mostDeflated, openBytes } from './byteReader.js'
import { type Dataset, shared } from './dataset.js'
import { findPair, maxBytes, namesIn, sizeOf } from './paths.js'
import type { Reader, ReadOptions } from './reader.js'
import { checkAlike, checkNoHoldOut, datasetOf, splitOf } from './splits.js'

/** Most arrays of a file, and most bytes of the header of one. */
const maxArrays = 10_000
const maxHeader = 2 ** 16

/** What an element is read as, and how many bytes it has; `from` where the file has another type, which a wider one holds. */
interface Element {
  readonly dtype: DType
  readonly width: number
  readonly from?: new (buffer: ArrayBuffer) => Int8Array | Int16Array | Uint16Array | Uint32Array
}

const elements: Readonly<Record<string, Element>> = {
  ...Object.fromEntries(
    (
      [
        ['f2', 'float16'],
        ['f4', 'float32'],
        ['f8', 'float64'],
        ['i4', 'int32'],
        ['i8', 'int64'],
        ['u1', 'uint8'],
        ['b1', 'bool'],
      ] as const
    ).map(([code, dtype]) => [code, { dtype, width: widthOf(dtype) }]),
  ),
  i1: { dtype: 'int32', width: 1, from: Int8Array },
  i2: { dtype: 'int32', width: 2, from: Int16Array },
  u2: { dtype: 'int32', width: 2, from: Uint16Array },
  u4: { dtype: 'int64', width: 4, from: Uint32Array },
}

interface Header extends Element {
  readonly shape: readonly number[]
  readonly isFortran: boolean
  readonly isSwapped: boolean
}

/** Reads the header's text, the repr of a Python dictionary: nothing of it is evaluated. */
function parseHeader(text: string, name: string, fail: (reason: string) => never): Header {
  const [, descr] = /'descr':\s*'([^']*)'/.exec(text) ?? []
  const [, order] = /'fortran_order':\s*(True|False)/.exec(text) ?? []
  const [, sizes] = /'shape':\s*\(([\d\s,]*)\)/.exec(text) ?? []
  if (order === undefined || sizes === undefined) fail('its header does not say order and shape')
  if (descr === undefined) throw new UserError(`${name}: holds records of several fields; expected an array of numbers`)
  const [, endian, code] = /^([<>|=]?)([a-zA-Z]\d*)/.exec(descr) ?? []
  if (code?.startsWith('O'))
    throw new UserError(`${name}: holds Python objects, which are never read; save an array of numbers`)
  const element = code !== undefined && Object.hasOwn(elements, code) ? elements[code]! : undefined
  if (!element)
    throw new UserError(
      `${name}: holds '${descr}'; expected numbers of at most 8 bytes: float, int, uint8 to uint32 or bool`,
    )
  const shape = sizes!
    .split(',')
    .map((size) => size.trim())
    .filter((size) => size !== '')
    .map(Number)
  if (shape.length > 32 || !shape.every(Number.isSafeInteger)) fail(`its header says [${shape.join(', ')}]`)
  return { ...element, shape, isFortran: order === 'True', isSwapped: endian === '>' }
}

/** Row-major, of what is column-major. */
function transposed<T extends Tensor['data']>(data: T, shape: readonly number[], into: T): T {
  const place = shape.map(() => 0)
  for (let to = 0; to < data.length; to++) {
    let from = 0
    for (let axis = shape.length - 1; axis >= 0; axis--) from = from * shape[axis]! + place[axis]!
    into[to] = data[from]!
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis]! === shape[axis]; axis--) place[axis] = 0
  }
  return into
}

function swapBytes(bytes: Uint8Array, width: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (width === 2) buffer.swap16()
  if (width === 4) buffer.swap32()
  if (width === 8) buffer.swap64()
}

/** Memory that is left for arrays. */
class Budget {
  #left = maxBytes

  take(bytes: number, name: string): void {
    this.#left -= bytes
    if (!(this.#left >= 0))
      throw new UserError(
        `${name}: brings the arrays to more than ${maxBytes} bytes, which are the most that are read into memory`,
      )
  }
}

/**
 * Reads one array.
 * @param size bytes of the file, as it is said to be when it is unpacked
 * @param name for messages
 * @param checksum of the bytes, where it is known
 */
async function readArray(
  reader: ByteReader,
  size: number,
  name: string,
  budget: Budget,
  checksum?: number,
): Promise<Tensor> {
  const fail = (reason: string): never => {
    throw new UserError(`${name}: is damaged or no array of NumPy: ${reason}`)
  }
  let sum = 0
  const take = async (bytes: Uint8Array): Promise<Buffer> => {
    if ((await reader.fill(bytes)) < bytes.length) fail('it ends too early')
    if (checksum !== undefined) sum = crc32(bytes, sum)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  try {
    const magic = await take(new Uint8Array(8))
    if (magic.toString('latin1', 0, 6) !== '\x93NUMPY') fail('it does not begin as one')
    const isFirst = magic[6] === 1
    const length = await take(new Uint8Array(isFirst ? 2 : 4))
    const headerBytes = isFirst ? length.readUInt16LE() : length.readUInt32LE()
    if (headerBytes > maxHeader) fail(`a header of ${headerBytes} bytes`)
    const header = parseHeader((await take(new Uint8Array(headerBytes))).toString('utf8'), name, fail)
    const { dtype, width, from, shape, isFortran, isSwapped } = header
    const count = elementsOf(shape)
    const begin = 8 + length.length + headerBytes
    if (begin + count * width !== size)
      fail(`its header says [${shape.join(', ')}] of ${width} bytes each, which its ${size} bytes are not`)
    budget.take(count * Math.max(width, widthOf(dtype)), name)
    const data = shared(dtype, count)
    const raw = from ? new Uint8Array(count * width) : bytesOf(data)
    await take(raw)
    if (!(await reader.ended())) fail('there are more bytes than it says')
    if (checksum !== undefined && sum !== checksum) fail('its checksum is another')
    if (isSwapped) swapBytes(raw, width)
    if (from) {
      const values = new from(raw.buffer as ArrayBuffer)
      for (let i = 0; i < count; i++) data[i] = dtype === 'int64' ? BigInt(values[i]!) : values[i]!
    }
    // Held as 0 and 1, whatever the file has.
    if (dtype === 'bool') for (let i = 0; i < count; i++) data[i] = Number(data[i] !== 0)
    const isTurned = isFortran && shape.length > 1
    return tensorOf(dtype, shape, isTurned ? transposed(data, shape, shared(dtype, count) as typeof data) : data)
  } catch (error) {
    if (error instanceof UserError) throw error
    return fail(messageOf(error))
  } finally {
    reader.close()
  }
}

async function entriesOf(zip: ZipFile, path: string): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of zip.eachEntry()) {
    if (entries.push(entry) > maxArrays) throw new UserError(`${path}: holds more than ${maxArrays} arrays`)
  }
  return entries
}

/** All arrays of an .npz file, by their names. */
async function readNpz(path: string): Promise<Tensors> {
  const budget = new Budget()
  let zip: ZipFile | undefined
  try {
    zip = await openPromise(path, { lazyEntries: true, autoClose: false })
    const tensors = new Map<string, Tensor>()
    for (const entry of await entriesOf(zip, path)) {
      const { fileName, compressedSize, uncompressedSize } = entry
      const name = fileName.replace(/\.npy$/, '')
      const inFile = `${path}: ${JSON.stringify(fileName)}`
      if (name === fileName) throw new UserError(`${inFile}: is no array; expected names that end in .npy`)
      if (tensors.has(name)) throw new UserError(`${inFile}: is there twice`)
      if (uncompressedSize > maxBytes || uncompressedSize > mostDeflated * (compressedSize + 1))
        throw new UserError(
          `${inFile}: says that its ${compressedSize} bytes unpack to ${uncompressedSize}; that is too much`,
        )
      const reader = new ByteReader(await zip.openReadStreamPromise(entry))
      tensors.set(name, await readArray(reader, uncompressedSize, inFile, budget, entry.crc32))
    }
    return Object.fromEntries(tensors)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${path}: is damaged or no .npz file: ${messageOf(error)}`)
  } finally {
    zip?.close()
  }
}

async function readNpy(paths: readonly string[]): Promise<Tensors> {
  const budget = new Budget()
  const tensors: [string, Tensor][] = []
  for (const path of paths) {
    const name = /([^/\\]*)\.npy$/.exec(path)![1]!
    tensors.push([name, await readArray(openBytes(path), (await sizeOf(path)) ?? 0, path, budget)])
  }
  return Object.fromEntries(tensors)
}

/** The .npy files at a path: the file itself, or those of the folder. */
const npyFiles = async (path: string): Promise<readonly string[]> =>
  (await sizeOf(path)) !== undefined
    ? [path].filter((name) => name.endsWith('.npy'))
    : (await namesIn(path)).filter((name) => name.endsWith('.npy')).map((name) => join(path, name))

async function read(path: string, options: ReadOptions): Promise<Dataset> {
  const found = await findPair(path, ['.npz'])
  if (!found) return datasetOf('npy', path, await readNpy(await npyFiles(path)), options)
  if ('file' in found) return datasetOf('npz', path, await readNpz(path), options)
  checkNoHoldOut(path, options)
  const train = splitOf(found.train, await readNpz(found.train))
  const test = splitOf(found.test, await readNpz(found.test))
  checkAlike([found.train, found.test], train, test)
  return { format: 'npz', train, test }
}

export const numpyReader: Reader = {
  format: 'npz',
  looksFor: 'arrays of NumPy (.npz), train.npz and test.npz, or .npy files',
  recognizes: async (path) => (await findPair(path, ['.npz'])) !== undefined || (await npyFiles(path)).length > 0,
  read,
}

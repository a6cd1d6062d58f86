// Reader for arrays that NumPy wrote: one file of several (.npz), or a folder of .npy files
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
// The files are untrusted: headers and sizes are compared before there is memory for the numbers, what unpacks to more than it says
// is refused, and pickles are never read.

import { messageOf, UserError } from '../../../core/errors.js'
import {
  bytesOf,
  type DType,
  elementsOf,
  type Tensor,
  type Tensors,
  tensorOf,
  widthOf,
} from '../../../core/graph/tensor.js'
import { type Dataset, shared } from '../dataset.js'
import { checkAlike, checkNoHoldOut, datasetOf, type ReadOptions, splitOf } from '../splits.js'
import { type ByteReader, mostDeflated, openBytes } from './bytes.js'
import { type FileTree, findPair, maxBytes, namesIn, sizeOf } from './fileTree.js'
import type { Reader } from './reader.js'
import { type ZipEntry, zipEntries } from './zip.js'

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
  for (let at = 0; at < bytes.length; at += width) {
    for (let [low, high] = [at, at + width - 1]; low < high; low++, high--) {
      const byte = bytes[low]!
      bytes[low] = bytes[high]!
      bytes[high] = byte
    }
  }
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
 */
async function readArray(reader: ByteReader, size: number, name: string, budget: Budget): Promise<Tensor> {
  const fail = (reason: string): never => {
    throw new UserError(`${name}: is damaged or no array of NumPy: ${reason}`)
  }
  const take = async (bytes: Uint8Array): Promise<DataView> => {
    if ((await reader.fill(bytes)) < bytes.length) fail('it ends too early')
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  try {
    const magic = new Uint8Array(8)
    await take(magic)
    if (String.fromCharCode(...magic.subarray(0, 6)) !== '\x93NUMPY') fail('it does not begin as one')
    const isFirst = magic[6] === 1
    const length = await take(new Uint8Array(isFirst ? 2 : 4))
    const headerBytes = isFirst ? length.getUint16(0, true) : length.getUint32(0, true)
    if (headerBytes > maxHeader) fail(`a header of ${headerBytes} bytes`)
    const header = parseHeader(new TextDecoder().decode(await take(new Uint8Array(headerBytes))), name, fail)
    const { dtype, width, from, shape, isFortran, isSwapped } = header
    const count = elementsOf(shape)
    const begin = 8 + length.byteLength + headerBytes
    if (begin + count * width !== size)
      fail(`its header says [${shape.join(', ')}] of ${width} bytes each, which its ${size} bytes are not`)
    budget.take(count * Math.max(width, widthOf(dtype)), name)
    const data = shared(dtype, count)
    const raw = from ? new Uint8Array(count * width) : bytesOf(data)
    await take(raw)
    if (!(await reader.ended())) fail('there are more bytes than it says')
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
    await reader.close()
  }
}

async function entriesOf(files: FileTree, path: string): Promise<ZipEntry[]> {
  const entries: ZipEntry[] = []
  for await (const entry of zipEntries(files, path, (await sizeOf(files, path)) ?? 0)) {
    if (entries.push(entry) > maxArrays) throw new UserError(`${path}: holds more than ${maxArrays} arrays`)
  }
  return entries
}

/** All arrays of an .npz file, by their names. */
async function readNpz(files: FileTree, path: string): Promise<Tensors> {
  const budget = new Budget()
  try {
    const tensors = new Map<string, Tensor>()
    for (const entry of await entriesOf(files, path)) {
      const { packedSize, size } = entry
      const name = entry.name.replace(/\.npy$/, '')
      const inFile = `${path}: ${JSON.stringify(entry.name)}`
      if (name === entry.name) throw new UserError(`${inFile}: is no array; expected names that end in .npy`)
      if (tensors.has(name)) throw new UserError(`${inFile}: is there twice`)
      if (size > maxBytes || size > mostDeflated * (packedSize + 1))
        throw new UserError(`${inFile}: says that its ${packedSize} bytes unpack to ${size}; that is too much`)
      tensors.set(name, await readArray(await entry.open(), size, inFile, budget))
    }
    return Object.fromEntries(tensors)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${path}: is damaged or no .npz file: ${messageOf(error)}`)
  }
}

async function readNpy(files: FileTree, paths: readonly string[]): Promise<Tensors> {
  const budget = new Budget()
  const tensors: [string, Tensor][] = []
  for (const path of paths) {
    const name = /([^/\\]*)\.npy$/.exec(path)![1]!
    tensors.push([name, await readArray(openBytes(files, path), (await sizeOf(files, path)) ?? 0, path, budget)])
  }
  return Object.fromEntries(tensors)
}

/** The .npy files at a path: the file itself, or those of the folder. */
const npyFiles = async (files: FileTree, path: string): Promise<readonly string[]> =>
  (await sizeOf(files, path)) !== undefined
    ? [path].filter((name) => name.endsWith('.npy'))
    : (await namesIn(files, path)).filter((name) => name.endsWith('.npy')).map((name) => files.join(path, name))

async function read(files: FileTree, path: string, options: ReadOptions): Promise<Dataset> {
  const found = await findPair(files, path, ['.npz'])
  if (!found) return datasetOf('npy', path, await readNpy(files, await npyFiles(files, path)), options)
  if ('file' in found) return datasetOf('npz', path, await readNpz(files, path), options)
  checkNoHoldOut(path, options)
  const train = splitOf(found.train, await readNpz(files, found.train))
  const test = splitOf(found.test, await readNpz(files, found.test))
  checkAlike([found.train, found.test], train, test)
  return { format: 'npz', train, test }
}

export const numpyReader: Reader = {
  format: 'npz',
  looksFor: 'arrays of NumPy (.npz), train.npz and test.npz, or .npy files',
  recognizes: async (files, path) =>
    (await findPair(files, path, ['.npz'])) !== undefined || (await npyFiles(files, path)).length > 0,
  read,
}

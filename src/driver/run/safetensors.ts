// The safetensors file format (https://github.com/huggingface/safetensors): 8 bytes with the length of the header,
// little-endian; the header, JSON with dtype, shape and data offsets of each tensor and a string map `__metadata__`;
// then the data, without holes. Reading is strict, for a file may come from anywhere.
import { z } from 'zod'
import { messageOf, UserError } from '../../core/errors.js'
import {
  arrays,
  type DType,
  elementsOf,
  isSmall,
  type SmallDType,
  type Tensors,
  tensorOf,
  widthOf,
} from '../../core/graph/tensor.js'

export interface SafetensorsFile {
  readonly tensors: Tensors
  readonly metadata: Readonly<Record<string, string>>
}

const typeNames: Readonly<Record<Exclude<DType, SmallDType>, string>> = {
  float64: 'F64',
  int64: 'I64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
}
const dtypes = Object.fromEntries(Object.entries(typeNames).map(([dtype, name]) => [name, dtype as DType]))

const METADATA = '__metadata__'
/** A tensor of that name, or of it and dots, is written with one dot more: the header has one place for each name. */
const written = (name: string): string => (/^__metadata__\.*$/.test(name) ? `${name}.` : name)
const nameOf = (entry: string): string => (/^__metadata__\.+$/.test(entry) ? entry.slice(0, -1) : entry)

// The bound of the reference implementation.
const maxHeader = 100_000_000

const size = z.int().min(0)
const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(size).max(64),
  data_offsets: z.tuple([size, size]),
})
const metadataSchema = z.record(z.string(), z.string())

/** The file's bytes. The same tensors and metadata give the same bytes, in whatever order they come. */
export function encodeSafetensors({ tensors, metadata }: SafetensorsFile): Uint8Array {
  // Widest elements first keeps every tensor aligned to its element size.
  const width = (name: string) => widthOf(tensors[name]!.dtype)
  const names = Object.keys(tensors).sort((a, b) => width(b) - width(a) || (a < b ? -1 : 1))
  const header: [string, unknown][] = [[METADATA, metadata]]
  let end = 0
  for (const name of names) {
    const { dtype, shape, data } = tensors[name]!
    if (isSmall(dtype)) throw new UserError(`"${name}" is ${dtype}, which is not kept here; cast it to float32`)
    header.push([written(name), { dtype: typeNames[dtype], shape, data_offsets: [end, end + data.byteLength] }])
    end += data.byteLength
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  const start = 8 + Math.ceil(text.length / 8) * 8
  const file = new Uint8Array(start + end)
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true)
  file.set(text, 8)
  // The padding of the header is spaces.
  file.fill(0x20, 8 + text.length, start)
  let offset = start
  for (const name of names) {
    const { buffer, byteOffset, byteLength } = tensors[name]!.data
    file.set(new Uint8Array(buffer, byteOffset, byteLength), offset)
    offset += byteLength
  }
  return file
}

/**
 * Reads a file's bytes; `path` is for messages.
 * @throws UserError when anything about the file is not as the format says.
 */
export function decodeSafetensors(file: Uint8Array, path: string): SafetensorsFile {
  const fail: Fail = failing(path)
  if (file.length < 8) fail(`it has ${file.length} bytes, fewer than the 8 that hold the length of the header`)
  const headerLength = lengthOfHeader(file, file.length, fail)
  const header = parseHeader(file.subarray(8, 8 + headerLength), fail)
  const data = file.subarray(8 + headerLength)

  const entries: { name: string; dtype: DType; shape: number[]; begin: number; end: number }[] = []
  let metadata: Record<string, string> = {}
  for (const [key, value] of Object.entries(header)) {
    if (key === METADATA) {
      metadata = metadataSchema.safeParse(value).data ?? fail('its metadata is not a map of strings')
      continue
    }
    const name = nameOf(key)
    const entry = entrySchema.safeParse(value).data ?? fail(`the header's entry of tensor "${name}" is malformed`)
    const dtype = Object.hasOwn(dtypes, entry.dtype)
      ? dtypes[entry.dtype]!
      : fail(`"${name}" has the unknown type ${entry.dtype}`)
    const [begin, end] = entry.data_offsets
    const bytesOfShape = elementsOf(entry.shape) * widthOf(dtype)
    if (end - begin !== bytesOfShape) {
      fail(`"${name}" takes ${end - begin} bytes, but ${entry.dtype} [${entry.shape.join(', ')}] needs ${bytesOfShape}`)
    }
    entries.push({ name, dtype, shape: entry.shape, begin, end })
  }

  entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const { name, begin, end } of entries) {
    if (begin !== covered) fail(`the data of "${name}" start at ${begin}, expected ${covered}`)
    covered = end
  }
  if (covered !== data.length) fail(`its tensors take ${covered} bytes, the file has ${data.length}`)

  const tensors = entries.map(({ name, dtype, shape, begin, end }) => {
    const copy = new Uint8Array(data.subarray(begin, end)).buffer
    return [name, tensorOf(dtype, shape, new arrays[dtype](copy, 0, elementsOf(shape)))] as const
  })
  return { tensors: Object.fromEntries(tensors), metadata }
}

type Fail = (reason: string) => never

/** The length of a header that a file of so many bytes begins with. */
export function lengthOfHeader({ buffer, byteOffset }: Uint8Array, size: number, fail: Fail): number {
  const length = Number(new DataView(buffer, byteOffset, 8).getBigUint64(0, true))
  if (length > maxHeader || 8 + length > size) fail(`a header of ${length} bytes does not fit a file of ${size}`)
  return length
}

/** The metadata that a header holds. */
export function metadataIn(bytes: Uint8Array, fail: Fail): Readonly<Record<string, string>> {
  const { [METADATA]: metadata = {} } = parseHeader(bytes, fail)
  return metadataSchema.safeParse(metadata).data ?? fail('its metadata is not a map of strings')
}

/** What is wrong with a file, as an error that names it. */
export const failing =
  (path: string): Fail =>
  (reason) => {
    throw new UserError(`${path} is damaged or no safetensors file: ${reason}`)
  }

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const header: unknown = JSON.parse(text)
    if (typeof header === 'object' && header !== null && !Array.isArray(header)) return { ...header }
  } catch (error) {
    return fail(`its header is not JSON (${messageOf(error)})`)
  }
  return fail('its header is not a JSON object')
}

// The bytes of a file and ONNX's messages, by the schema. Code that protobuf's own tools generate would pack the numbers which ONNX
// lists one by one (rten 0.27 reads no others), and make an object of each packed int64.

import { messageOf } from '../errors.js'
import type { ArrayConstructor } from '../graph/tensor.js'
import { Reader, Writer } from './bytes.js'
import { type Decoded, type Integer, type Message, type MessageName, messages, type ScalarName } from './schema.js'

/** Messages nest a few levels in each graph that a node holds. */
const MAX_DEPTH = 100
/** A million nodes with their types come to this; an empty message of two bytes takes a hundred in memory. */
const MAX_MESSAGES = 10_000_000

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

const wireTypes: Readonly<Record<ScalarName, number>> = {
  int32: VARINT,
  int64: VARINT,
  uint64: VARINT,
  float: FIXED32,
  double: FIXED64,
  string: DELIMITED,
  bytes: DELIMITED,
}

interface Field {
  readonly name: string
  readonly number: number
  readonly type: ScalarName | MessageName
  readonly form: 'one' | 'list' | 'packed'
}

/** What the schema says of a message: its fields by their numbers, in the order of these, and one without any. */
interface Layout {
  readonly fields: ReadonlyMap<number, Field>
  readonly reversed: readonly Field[]
  readonly blank: Readonly<Record<string, unknown>>
}

const isMessage = (type: ScalarName | MessageName): type is MessageName => Object.hasOwn(messages, type)

const NONE: readonly never[] = Object.freeze([])

function layoutOf(message: Readonly<Record<string, readonly [number, string]>>): Layout {
  const fields = Object.entries(message).map(([name, [number, said]]): Field => {
    const form = said.endsWith('[]') ? 'list' : said.startsWith('packed ') ? 'packed' : 'one'
    const type = said.replace('packed ', '').replace('[]', '') as Field['type']
    return { name, number, type, form }
  })
  const blank = fields.map(({ name, form }) => [name, form === 'list' ? NONE : undefined])
  fields.sort((a, b) => a.number - b.number)
  return {
    fields: new Map(fields.map((field) => [field.number, field])),
    reversed: fields.toReversed(),
    blank: Object.fromEntries(blank),
  }
}

const layouts = Object.fromEntries(
  Object.entries(messages).map(([name, message]) => [name, layoutOf(message)]),
) as Readonly<Record<MessageName, Layout>>

/** A varint of 64 bits, whichever sign it stands for. */
function readVarint(reader: Reader, signed: boolean): Integer {
  const from = reader.pos
  reader.skip()
  const length = reader.pos - from
  if (length > 10) throw new Error(`a number at byte ${from} has more than 10 bytes`)
  if (length <= 7) {
    let value = 0
    for (let at = reader.pos - 1; at >= from; at--) value = value * 128 + (reader.buf[at]! & 0x7f)
    return value
  }
  let wide = 0n
  for (let at = reader.pos - 1; at >= from; at--) wide = (wide << 7n) | BigInt(reader.buf[at]! & 0x7f)
  const value = signed ? BigInt.asIntN(64, wide) : BigInt.asUintN(64, wide)
  const narrow = Number(value)
  return Number.isSafeInteger(narrow) ? narrow : value
}

const readers: Readonly<Record<ScalarName, (reader: Reader) => unknown>> = {
  int32: (reader) => reader.int32(),
  int64: (reader) => readVarint(reader, true),
  uint64: (reader) => readVarint(reader, false),
  float: (reader) => reader.float(),
  double: (reader) => reader.double(),
  string: (reader) => reader.string(),
  bytes: (reader) => reader.bytes(),
}

/** How many varints these bytes hold: each ends with a byte below 128. */
function countVarints(bytes: Uint8Array): number {
  let count = 0
  for (const byte of bytes) if (byte < 0x80) count++
  return count
}

/** The typed array that holds packed numbers, and those of a field's contents. */
const packedArrays: Readonly<Partial<Record<Field['type'], (content: Uint8Array) => ArrayLike<number | bigint>>>> = {
  float: (content) => aligned(Float32Array, content),
  double: (content) => aligned(Float64Array, content),
  int32: (content) => filled(new Int32Array(countVarints(content)), content, (reader) => reader.int32()),
  int64: (content) =>
    filled(new BigInt64Array(countVarints(content)), content, (reader) => BigInt(readVarint(reader, true))),
  uint64: (content) =>
    filled(new BigUint64Array(countVarints(content)), content, (reader) => BigInt(readVarint(reader, false))),
}

/** The numbers that bytes hold: a view where the array can begin at them, else a copy. Not by `slice`, which in Node may give a view. */
export function aligned<A>(array: ArrayConstructor<A>, bytes: Uint8Array): A {
  const { BYTES_PER_ELEMENT: width } = array
  const { buffer, byteOffset, length } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes)
  return new array(buffer, byteOffset, length / width)
}

function filled<A extends { [at: number]: N; readonly length: number }, N>(
  array: A,
  content: Uint8Array,
  read: (reader: Reader) => N,
): A {
  const reader = new Reader(content)
  for (let at = 0; at < array.length; at++) array[at] = read(reader)
  if (reader.pos !== content.length) throw new Error('a list of packed numbers ends within one')
  return array
}

/** Bytes that are not the message that they should be. */
export class WireError extends Error {
  override name = 'WireError'
  /** @param from where the field of the outermost message begins that cannot be read */
  constructor(
    message: string,
    readonly from: number,
  ) {
    super(message)
  }
}

class Decoder {
  private readonly reader: Reader
  /** Where the last field of the outermost message begins. */
  from = 0
  private count = 0

  constructor(bytes: Uint8Array) {
    this.reader = new Reader(bytes)
  }

  /**
   * A message from here to `end`.
   * @param before what an earlier part of the file says of the same message, which a later adds to
   */
  message(name: MessageName, end: number, depth: number, before?: Record<string, unknown>): Record<string, unknown> {
    const { reader } = this
    const { fields, blank } = layouts[name]
    if (depth > MAX_DEPTH) throw new Error(`its messages nest more than ${MAX_DEPTH} levels deep`)
    if (++this.count > MAX_MESSAGES) throw new Error(`it has more than ${MAX_MESSAGES} messages`)
    const message = before ?? { ...blank }
    /** Packed numbers that come in several parts. */
    let numbers: Map<Field, (number | bigint)[]> | undefined
    while (reader.pos < end) {
      if (depth === 0) this.from = reader.pos
      const tag = reader.uint32()
      const [number, wire] = [tag >>> 3, tag & 7]
      const field = fields.get(number)
      if (number === 0) throw new Error(`no field begins at byte ${reader.pos - 1}`)
      if (!field) {
        reader.skipType(wire)
        continue
      }
      const { type, form } = field
      if (isMessage(type)) {
        if (wire !== DELIMITED) throw misplaced(name, field, wire)
        const inner = this.end(end, name, field)
        if (form === 'list') push(message, field, this.message(type, inner, depth + 1))
        else {
          const known = message[field.name] as Record<string, unknown> | undefined
          message[field.name] = this.message(type, inner, depth + 1, known)
        }
        continue
      }
      const isWhole = wire === wireTypes[type]
      if (!isWhole && (wire !== DELIMITED || form === 'one')) throw misplaced(name, field, wire)
      if (isWhole && form !== 'packed') {
        const value = readers[type](reader)
        if (form === 'list') push(message, field, value)
        else message[field.name] = value
        continue
      }
      const from = reader.pos
      const part = isWhole ? [readers[type](reader) as number | bigint] : this.packed(type, end, name, field)
      if (reader.pos > end) throw new Error(`the field ${field.name} at byte ${from} is longer than its ${name}`)
      if (form === 'list') for (const value of Array.from(part)) push(message, field, narrow(value))
      else if (message[field.name] == null && !numbers?.has(field) && !isWhole) message[field.name] = part
      else {
        numbers ??= new Map()
        const earlier = message[field.name] as ArrayLike<number | bigint> | undefined
        const list = numbers.get(field) ?? Array.from(earlier ?? [])
        for (let at = 0; at < part.length; at++) list.push(part[at]!)
        numbers.set(field, list)
      }
    }
    if (reader.pos > end) throw new Error(`a field of ${name} ends at byte ${reader.pos}, beyond its end at ${end}`)
    for (const [field, list] of numbers ?? []) message[field.name] = list
    return message
  }

  /** Where a delimited field ends. */
  private end(outer: number, name: MessageName, field: Field): number {
    const length = this.reader.uint32()
    const end = this.reader.pos + length
    if (end <= outer) return end
    const missing = end - this.reader.len
    const cut = missing > 0 ? `: ${missing} bytes are missing` : ''
    throw new Error(`${field.name} of ${name} ends at byte ${end}, beyond the end at ${outer}${cut}`)
  }

  private packed(type: ScalarName, outer: number, name: MessageName, field: Field): ArrayLike<number | bigint> {
    const { reader } = this
    const end = this.end(outer, name, field)
    const content = reader.buf.subarray(reader.pos, end)
    reader.pos = end
    const width = type === 'float' ? 4 : 8
    if (wireTypes[type] !== VARINT && content.length % width !== 0)
      throw new Error(`${field.name} of ${name} has ${content.length} bytes, expected a multiple of ${width}`)
    return packedArrays[type]!(content)
  }
}

const narrow = (value: number | bigint): Integer =>
  typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value

function push(message: Record<string, unknown>, { name }: Field, value: unknown): void {
  const list = message[name] as unknown[]
  if (list.length === 0) message[name] = [value]
  else list.push(value)
}

const misplaced = (name: MessageName, field: Field, wire: number): Error =>
  new Error(`${field.name} of ${name} has the wire type ${wire}, which is that of another field`)

/**
 * The message that bytes hold. Its bytes, raw data of tensors too, are views of them. Fields that the schema does not know
 * are left out.
 * @throws WireError when they are not that message
 */
export function decodeMessage<M extends MessageName>(bytes: Uint8Array, name: M): Decoded<M> {
  const decoder = new Decoder(bytes)
  try {
    return decoder.message(name, bytes.length, 0) as Decoded<M>
  } catch (error) {
    // Of the bytes, or where groups of an unknown field nest without end.
    throw new WireError(messageOf(error), decoder.from)
  }
}

const writers: Readonly<Record<ScalarName, (writer: Writer, value: never) => void>> = {
  int32: (writer, value: number) => writer.int64(value | 0),
  int64: (writer, value: Integer) => writer.int64(value),
  uint64: (writer, value: Integer) => writer.int64(value),
  float: (writer, value: number) => writer.float(value),
  double: (writer, value: number) => writer.double(value),
  string: (writer, value: string) => writer.string(value),
  bytes: (writer, value: Uint8Array) => writer.bytes(value),
}

const tagOf = ({ number }: Field, wire: number): number => ((number << 3) | wire) >>> 0

/** Writes a message, before what the writer has: the last field first, and of each the last value. */
function write(writer: Writer, name: MessageName, message: Readonly<Record<string, unknown>>): Writer {
  /** What `contents` writes, and before it how much that is. */
  const delimited = (field: Field, contents: () => void): void => {
    const behind = writer.length
    contents()
    writer.varint(writer.length - behind)
    writer.varint(tagOf(field, DELIMITED))
  }
  for (const field of layouts[name].reversed) {
    const value = message[field.name]
    if (value === undefined || value === null) continue
    const { type, form } = field
    const values = (form === 'one' ? [value] : value) as ArrayLike<never>
    if (form === 'packed') {
      if (values.length > 0) delimited(field, () => writePacked(writer, type as ScalarName, values))
      continue
    }
    for (let at = values.length - 1; at >= 0; at--) {
      if (isMessage(type)) delimited(field, () => write(writer, type, values[at]!))
      else {
        writers[type](writer, values[at]!)
        writer.varint(tagOf(field, wireTypes[type]))
      }
    }
  }
  return writer
}

function writePacked(writer: Writer, type: ScalarName, values: ArrayLike<never>): void {
  if (type === 'float') writer.raw(new Uint8Array(Float32Array.from(values).buffer))
  else if (type === 'double') writer.raw(new Uint8Array(Float64Array.from(values).buffer))
  else for (let at = values.length - 1; at >= 0; at--) writers[type](writer, values[at]!)
}

/** The bytes of a message, as ONNX's own library writes them. */
export const encodeMessage = <M extends MessageName>(name: M, message: Message<M>): Uint8Array =>
  write(new Writer(), name, message).finish()

/** What becomes of the contents of a field: other bytes, in parts, or nothing. */
export type Edit = (content: Uint8Array) => readonly Uint8Array[] | undefined
export const drop: Edit = () => undefined

export type Edits<M extends MessageName> = { readonly [Field in keyof (typeof messages)[M]]?: Edit }

const delimited = (field: Field, parts: readonly Uint8Array[]): Uint8Array[] => {
  const head = new Writer()
  head.varint(parts.reduce((sum, part) => sum + part.length, 0))
  head.varint(tagOf(field, DELIMITED))
  return [head.finish(), ...parts]
}

/**
 * An encoded message with some fields changed. All others stay as they are: those too that the schema does not know, which
 * would be lost by decoding and encoding.
 * @param edits of fields that are messages, texts or bytes; of others nothing but `drop`
 * @returns parts, to be put together by `joined`
 */
export function editMessage<M extends MessageName>(bytes: Uint8Array, name: M, edits: Edits<M>): Uint8Array[] {
  const { fields } = layouts[name]
  const byName: Readonly<Record<string, Edit | undefined>> = edits
  const reader = new Reader(bytes)
  const result: Uint8Array[] = []
  let kept = 0
  while (reader.pos < bytes.length) {
    const from = reader.pos
    const tag = reader.uint32()
    const field = fields.get(tag >>> 3)
    const edit = field && byName[field.name]
    const content = edit && (tag & 7) === DELIMITED ? reader.bytes() : undefined
    if (!content) reader.skipType(tag & 7)
    if (!edit) continue
    result.push(bytes.subarray(kept, from))
    kept = reader.pos
    const parts = edit(content ?? NO_BYTES)
    if (parts) result.push(...delimited(field, parts))
  }
  result.push(bytes.subarray(kept))
  return result
}

const NO_BYTES = new Uint8Array()

/** A field that holds bytes, a text or a message. */
export const encodeField = <M extends MessageName>(
  name: M,
  field: keyof (typeof messages)[M],
  ...content: readonly Uint8Array[]
): Uint8Array[] => {
  const found = [...layouts[name].fields.values()].find((one) => one.name === field)
  return found ? delimited(found, content) : []
}

export function joined(all: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of all) {
    result.set(part, at)
    at += part.length
  }
  return result
}

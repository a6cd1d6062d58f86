// The bytes of a model in the form that ONNX's own library gives them. ONNX's schema (proto2) lists the dimensions of a tensor
// and the numbers of an attribute one by one; the library that encodes here packs them, as proto3 does. Full protobuf parsers
// take both, small ones that were written for ONNX alone need not: rten 0.27 refuses packed dimensions.

import { UserError } from '../errors.js'

/** What the length-delimited fields of a message hold, by number: a message, or packed numbers; others stay as they are. */
interface Message {
  readonly [field: number]: () => Message | 'varints' | 'floats'
}

const tensor: Message = { 1: () => 'varints' }
const attribute: Message = {
  5: () => tensor,
  6: () => graph,
  7: () => 'floats',
  8: () => 'varints',
}
const node: Message = { 5: () => attribute }
const graph: Message = { 1: () => node, 5: () => tensor }
const localFunction: Message = { 7: () => node }
const trainingInfo: Message = { 1: () => graph, 2: () => graph }
const model: Message = { 7: () => graph, 20: () => trainingInfo, 25: () => localFunction }

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

/** Where the varint that begins at `at` ends. */
function varintEnd(bytes: Uint8Array, at: number): number {
  let end = at
  while (bytes[end]! >= 0x80) end++
  return end + 1
}

/** A varint below 2^32. */
function readVarint(bytes: Uint8Array, at: number): number {
  let value = 0
  for (let i = varintEnd(bytes, at) - 1; i >= at; i--) value = value * 128 + (bytes[i]! & 0x7f)
  return value
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Uint8Array.of(...bytes, rest)
}

const size = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => sum + part.length, 0)

/** One field for each of the packed numbers. */
function* unpacked(field: number, kind: 'varints' | 'floats', bytes: Uint8Array): Generator<Uint8Array> {
  const tag = varint(field * 8 + (kind === 'varints' ? VARINT : FIXED32))
  for (let at = 0; at < bytes.length; ) {
    const end = kind === 'varints' ? varintEnd(bytes, at) : at + 4
    yield tag
    yield bytes.subarray(at, end)
    at = end
  }
}

/** The parts of an encoded message, its numbers one by one. */
function parts(bytes: Uint8Array, message: Message): Uint8Array[] {
  const result: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at)
    const [field, wire] = [Math.floor(tag / 8), tag % 8]
    const from = varintEnd(bytes, at)
    const end = endOf(bytes, wire, from)
    if (wire !== DELIMITED) {
      result.push(bytes.subarray(at, end))
      at = end
      continue
    }
    const begin = varintEnd(bytes, from)
    const content = bytes.subarray(begin, end)
    const holds = Object.hasOwn(message, field) ? message[field]!() : undefined
    if (holds === undefined) result.push(bytes.subarray(at, end))
    else if (typeof holds === 'string') for (const part of unpacked(field, holds, content)) result.push(part)
    else {
      const inner = parts(content, holds)
      result.push(bytes.subarray(at, from), varint(size(inner)))
      for (const part of inner) result.push(part)
    }
    at = end
  }
  return result
}

/** What becomes of the contents of a field: other bytes, or nothing. */
export type Edit = (content: Uint8Array) => Uint8Array | undefined
export const drop: Edit = () => undefined

/**
 * An encoded message with some fields changed. All others stay as they are: those too that a library for reading ONNX does not
 * know, which would be lost by decoding and encoding.
 * @param edits by number of the field; of one that is no message, no text and no bytes nothing but `drop`
 */
export function editMessage(bytes: Uint8Array, edits: Readonly<Record<number, Edit>>): Uint8Array {
  const result: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at)
    const [field, wire] = [Math.floor(tag / 8), tag % 8]
    const from = varintEnd(bytes, at)
    const edit = Object.hasOwn(edits, field) ? edits[field] : undefined
    const begin = wire === DELIMITED ? varintEnd(bytes, from) : from
    const end = endOf(bytes, wire, from)
    if (!edit) result.push(bytes.subarray(at, end))
    else {
      const content = edit(bytes.subarray(begin, end))
      if (content) result.push(bytes.subarray(at, from), varint(content.length), content)
    }
    at = end
  }
  return joined(result)
}

/** Where a field ends whose value begins at `from`. */
function endOf(bytes: Uint8Array, wire: number, from: number): number {
  switch (wire) {
    case VARINT:
      return varintEnd(bytes, from)
    case FIXED64:
      return from + 8
    case FIXED32:
      return from + 4
    case DELIMITED:
      return varintEnd(bytes, from) + readVarint(bytes, from)
    default:
      throw new UserError(`a field of the file has the wire type ${wire}, which ONNX does not use; write the file anew`)
  }
}

/** The field of a message that holds bytes. */
export const bytesField = (field: number, content: Uint8Array): Uint8Array =>
  joined([varint(field * 8 + DELIMITED), varint(content.length), content])

function joined(all: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(size(all))
  let at = 0
  for (const part of all) {
    result.set(part, at)
    at += part.length
  }
  return result
}

/** An encoded ModelProto with all numbers one by one: byte for byte what ONNX's own library writes. */
export function unpackedModel(bytes: Uint8Array): Uint8Array {
  return joined(parts(bytes, model))
}

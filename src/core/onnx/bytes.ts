// Single values of protobuf's wire format (https://protobuf.dev/programming-guides/encoding), in their order: what messages are made of.

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false
  return true
}

/** Takes values from bytes. Every one throws a RangeError where the bytes end within it. */
export class Reader {
  pos = 0
  readonly #view: DataView

  constructor(readonly buf: Uint8Array) {
    this.#view = new DataView(buf.buffer, buf.byteOffset, buf.byteLength)
  }

  get len(): number {
    return this.buf.length
  }

  /** Where the next so many bytes begin, which are behind then. */
  #take(length: number): number {
    const from = this.pos
    if (from + length > this.len) throw new RangeError(`index out of range: ${from} + ${length} > ${this.len}`)
    this.pos += length
    return from
  }

  /** The lower 32 bits of a varint. */
  uint32(): number {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.buf[this.#take(1)]!
      // Of a longer one, such as a negative number, the rest says nothing.
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new Error(`a number at byte ${this.pos - 10} has more than 10 bytes`)
  }

  int32(): number {
    return this.uint32() | 0
  }

  float(): number {
    return this.#view.getFloat32(this.#take(4), true)
  }

  double(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  /** A view of them. */
  bytes(): Uint8Array {
    const length = this.uint32()
    const from = this.#take(length)
    return this.buf.subarray(from, this.pos)
  }

  string(): string {
    return decoder.decode(this.bytes())
  }

  /** Goes past a varint. */
  skip(): void {
    while (this.buf[this.#take(1)]! >= 0x80);
  }

  /** Goes past a field of this wire type. */
  skipType(wire: number): void {
    if (wire === 0) this.skip()
    else if (wire === 1) this.#take(8)
    else if (wire === 2) this.#take(this.uint32())
    else if (wire === 5) this.#take(4)
    else if (wire === 3)
      for (let inner = this.uint32() & 7; inner !== 4; inner = this.uint32() & 7) this.skipType(inner)
    else throw new Error(`invalid wire type ${wire} at offset ${this.pos}`)
  }
}

/** Least and most bytes of a block that holds small values together; what is large is not copied into one. */
const [leastBlock, mostBlock] = [2 ** 6, 2 ** 13]
const large = 2 ** 10

/** Puts values one before the other, the last first: what is said before a message, its length, is known then. */
export class Writer {
  /** All but the first one, the last first. */
  readonly #parts: Uint8Array[] = []
  /** The first part grows into this from its end. */
  #block = new Uint8Array(leastBlock)
  #begin = leastBlock
  #next = 2 * leastBlock
  #length = 0

  /** Bytes that are written. */
  get length(): number {
    return this.#length
  }

  /** Room for so many bytes: where they begin in the block. */
  #room(length: number): number {
    if (length > this.#begin) {
      this.#seal()
      this.#begin = Math.max(this.#next, length)
      this.#block = new Uint8Array(this.#begin)
      this.#next = Math.min(2 * this.#next, mostBlock)
    }
    this.#begin -= length
    this.#length += length
    return this.#begin
  }

  #seal(): void {
    this.#parts.push(this.#block.subarray(this.#begin))
    this.#block = this.#block.subarray(0, this.#begin)
  }

  /** Bytes as they are: large ones are not copied until all is put together. */
  raw(bytes: Uint8Array): void {
    if (bytes.length < large) {
      const at = this.#room(bytes.length)
      this.#block.set(bytes, at)
    } else {
      this.#seal()
      this.#parts.push(bytes)
      this.#length += bytes.length
    }
  }

  /** A whole number from 0 that float64 holds. */
  varint(value: number): void {
    let length = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++
    let at = this.#room(length)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#block[at++] = (rest % 0x80) | 0x80
    this.#block[at] = rest
  }

  /** A whole number of 64 bits: negative ones take ten bytes. */
  int64(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) {
      this.varint(value)
      return
    }
    const bytes: number[] = []
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    bytes.push(Number(rest))
    this.raw(Uint8Array.from(bytes))
  }

  float(value: number): void {
    this.raw(new Uint8Array(Float32Array.of(value).buffer))
  }

  double(value: number): void {
    this.raw(new Uint8Array(Float64Array.of(value).buffer))
  }

  /** Bytes, and before them how many they are. */
  bytes(bytes: Uint8Array): void {
    this.raw(bytes)
    this.varint(bytes.length)
  }

  string(text: string): void {
    // Names, nearly all there is, are ASCII: their characters are their bytes, and the encoder's call takes longer than they do.
    if (text.length >= large || !isAscii(text)) {
      this.bytes(encoder.encode(text))
      return
    }
    const at = this.#room(text.length)
    for (let i = 0; i < text.length; i++) this.#block[at + i] = text.charCodeAt(i)
    this.varint(text.length)
  }

  /** All of it, in memory of its own. */
  finish(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#length)
    all.set(this.#block.subarray(this.#begin))
    let at = this.#block.length - this.#begin
    for (const part of this.#parts.toReversed()) {
      all.set(part, at)
      at += part.length
    }
    return all
  }
}

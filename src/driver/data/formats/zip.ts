// Zip archives (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), as .npz files are: their directory is read first, then
// each file where it lies. Files are stored or deflated, not encrypted, and in one archive.
// Archives are untrusted: what unpacks to more than the directory says is refused on the way.

import { ByteReader, readRange, unpacked } from './bytes.js'
import type { FileTree } from './fileTree.js'

/** A file in an archive. */
export interface ZipEntry {
  readonly name: string
  readonly packedSize: number
  /** As the directory says it. */
  readonly size: number
  /** Its bytes, which are as many as it says, and have the checksum that it says, or an Error is thrown. */
  open(): Promise<ByteReader>
}

const endSize = 22
const locatorSize = 20
const maxComment = 2 ** 16 - 1
const [localMark, entryMark, endMark, end64Mark, locatorMark] = [
  0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50,
]

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) => new DataView(buffer, byteOffset, byteLength)
const uint64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true))

async function take(reader: ByteReader, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  if ((await reader.fill(bytes)) < length) throw new Error('unexpected end of file')
  return bytes
}

/** The bytes of a record at some place of an archive, which begins with this mark. */
async function recordAt(files: FileTree, path: string, at: number, length: number, mark: number): Promise<DataView> {
  const bytes = await readRange(files, path, at, at + length)
  if (bytes.length < length) throw new Error('unexpected end of file')
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== mark) throw new Error('what its directory points at is something else')
  return view
}

/** Where the directory begins, and how many files it lists: said at the end, before a comment. */
async function findDirectory(files: FileTree, path: string, size: number): Promise<{ offset: number; count: number }> {
  const from = Math.max(0, size - endSize - maxComment - locatorSize)
  const view = viewOf(await readRange(files, path, from, size))
  let at = view.byteLength - endSize
  const isEnd = () =>
    view.getUint32(at, true) === endMark && view.getUint16(at + 20, true) === view.byteLength - at - endSize
  while (at >= 0 && !isEnd()) at--
  if (at < 0) throw new Error('it has no directory; either it is no zip archive, or it is truncated')
  if (view.getUint16(at + 4, true) !== 0) throw new Error('it is one of several archives')
  const locator = at - locatorSize
  if (locator < 0 || view.getUint32(locator, true) !== locatorMark)
    return { offset: view.getUint32(at + 16, true), count: view.getUint16(at + 10, true) }
  const large = await recordAt(files, path, uint64(view, locator + 8), 56, end64Mark)
  return { offset: uint64(large, 48), count: uint64(large, 32) }
}

/** What an entry says in 64 bits, where 32 are too few: only what does not fit is there, in this order. */
function widened(extra: DataView, fields: readonly number[]): readonly number[] {
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue
    let next = at + 4
    const end = Math.min(next + extra.getUint16(at + 2, true), extra.byteLength)
    return fields.map((field) => {
      if (field !== 2 ** 32 - 1) return field
      next += 8
      if (next > end) throw new Error('its directory lacks the size of a large file')
      return uint64(extra, next - 8)
    })
  }
  return fields
}

/** Archives are unpacked elsewhere, too: names that lead out of a folder are a sign that somebody means ill. */
function checkName(name: string): void {
  if (/^([a-zA-Z]:|\/)/.test(name)) throw new Error(`absolute path: ${name}`)
  if (name.split('/').includes('..')) throw new Error(`invalid relative path: ${name}`)
}

/** The files of an archive of this size, in the order of its directory. Throws an Error for what is none. */
export async function* zipEntries(files: FileTree, path: string, size: number): AsyncGenerator<ZipEntry, void> {
  const { offset, count } = await findDirectory(files, path, size)
  const reader = new ByteReader(files.bytes(path, offset))
  try {
    for (let i = 0; i < count; i++) yield await nextEntry(reader, files, path, size)
  } finally {
    await reader.close()
  }
}

async function nextEntry(reader: ByteReader, files: FileTree, path: string, total: number): Promise<ZipEntry> {
  const view = viewOf(await take(reader, 46))
  if (view.getUint32(0, true) !== entryMark) throw new Error('its directory is damaged')
  const [flags, method] = [view.getUint16(8, true), view.getUint16(10, true)]
  const checksum = view.getUint32(16, true)
  const name = new TextDecoder().decode(await take(reader, view.getUint16(28, true))).replaceAll('\\', '/')
  const extra = viewOf(await take(reader, view.getUint16(30, true)))
  await take(reader, view.getUint16(32, true))
  const [size, packedSize, offset] = widened(
    extra,
    [24, 20, 42].map((at) => view.getUint32(at, true)),
  ) as [number, number, number]
  checkName(name)
  if (flags & 1) throw new Error(`${name} is encrypted`)
  if (method !== 0 && method !== 8) throw new Error(`${name} is packed by method ${method}; expected deflate`)
  if (method === 0 && packedSize !== size)
    throw new Error(`${name} is said to have ${size} bytes, and to be stored in ${packedSize}`)

  async function open(): Promise<ByteReader> {
    const local = await recordAt(files, path, offset, 30, localMark)
    const begin = offset + 30 + local.getUint16(26, true) + local.getUint16(28, true)
    if (begin + packedSize > total) throw new Error('it is said to be longer than the archive')
    const pieces = files.bytes(path, begin, begin + packedSize)
    return new ByteReader(checked(method === 8 ? unpacked(pieces, 'deflate-raw') : pieces, size, checksum))
  }
  return { name, packedSize, size, open }
}

/** Bytes that are as many as was said, and have the checksum that was said. */
async function* checked(
  pieces: AsyncIterable<Uint8Array>,
  size: number,
  checksum: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let [count, sum] = [0, 0]
  for await (const piece of pieces) {
    count += piece.length
    if (count > size) throw new Error(`too many bytes in the stream; expected ${size}`)
    sum = crc32(piece, sum)
    yield piece
  }
  if (count < size) throw new Error(`not enough bytes in the stream; expected ${size}, there are ${count}`)
  if (sum !== checksum) throw new Error('its checksum is wrong')
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** CRC-32 of what has this CRC-32, and these bytes after it. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let value = ~before
  for (let i = 0; i < bytes.length; i++) value = table[(value ^ bytes[i]!) & 255]! ^ (value >>> 8)
  return ~value >>> 0
}

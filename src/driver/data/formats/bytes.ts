// Bytes of a file in their order, unpacked on the way: what they announce can be judged before there is memory for it.

import { messageOf, UserError } from '../../../core/errors.js'
import type { FileTree } from './fileTree.js'

/** What deflate makes of a run of zeros: nothing is packed more tightly. */
export const mostDeflated = 1032

/** Takes bytes as they come, and never holds more than one piece of them. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  #left: Uint8Array = new Uint8Array(0)

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** How many bytes came: fewer than `target` holds at the end. */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      if (this.#left.length === 0) {
        const { done, value } = await this.#pieces.next()
        if (done) break
        this.#left = value
      }
      const piece = this.#left.subarray(0, target.length - filled)
      target.set(piece, filled)
      filled += piece.length
      this.#left = this.#left.subarray(piece.length)
    }
    return filled
  }

  /** Whether there is nothing more. */
  async ended(): Promise<boolean> {
    return (await this.fill(new Uint8Array(1))) === 0
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }
}

/** Bytes that are unpacked at a time: a browser makes all of them that there are to be, at worst 64 MiB. */
const packedAtOnce = 2 ** 16

/** Bytes that are taken as they are asked for, in pieces of that size. */
function streamOf(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]()
  let left: Uint8Array = new Uint8Array(0)
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      while (left.length === 0) {
        const { done, value } = await iterator.next()
        if (done) return controller.close()
        left = value
      }
      controller.enqueue(left.subarray(0, packedAtOnce))
      left = left.subarray(packedAtOnce)
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

/** What is wrong with packed bytes, in zlib's own words, which browsers put into sentences of theirs. */
const reasonOf = (error: unknown): string =>
  messageOf(error)
    .replace(/^The compressed data was not valid: (.*?)\.?$/, '$1')
    .replace(/^Compressed input was truncated\.$/, 'unexpected end of file')

/** Unpacks bytes on their way. */
export async function* unpacked(
  pieces: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'deflate-raw',
): AsyncGenerator<Uint8Array, void, undefined> {
  const { readable, writable } = new DecompressionStream(format)
  // Whoever reads what comes out sees the error.
  streamOf(pieces)
    .pipeTo(writable as WritableStream<Uint8Array>)
    .catch(() => {})
  const reader = (readable as ReadableStream<Uint8Array>).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new Error(reasonOf(error), { cause: error })
      })
      if (done) return
      yield value
    }
  } finally {
    // What was wrong has been said by now.
    await reader.cancel().catch(() => {})
  }
}

/** The bytes of a file; unpacked, where it is packed by gzip. */
export const openBytes = (files: FileTree, path: string, { gzip = false } = {}): ByteReader =>
  new ByteReader(gzip ? unpacked(files.bytes(path), 'gzip') : files.bytes(path))

/** Some bytes of a file: fewer, where it ends before. */
export async function readRange(files: FileTree, path: string, begin: number, end: number): Promise<Uint8Array> {
  const reader = new ByteReader(files.bytes(path, begin, end))
  try {
    const bytes = new Uint8Array(end - begin)
    return bytes.subarray(0, await reader.fill(bytes))
  } finally {
    await reader.close()
  }
}

/** Reads a file that has this size, which the caller has found acceptable. */
export async function readBytes(files: FileTree, path: string, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let count = 0
  try {
    for await (const piece of files.bytes(path)) {
      if (count + piece.length <= size) bytes.set(piece, count)
      count += piece.length
    }
  } catch (error) {
    throw new UserError(`${path}: cannot be read: ${messageOf(error)}`)
  }
  if (count !== size) throw new UserError(`${path}: had ${size} bytes, but ${count} when it was read`)
  return bytes
}

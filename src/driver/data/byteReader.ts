// Bytes of a file in their order, unpacked on the way: what they announce can be judged before there is memory for it.

import { createReadStream } from 'node:fs'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

/** What deflate makes of a run of zeros: nothing is packed more tightly. */
export const mostDeflated = 1032

/** Takes bytes from a stream, and never holds more than one piece of it. */
export class ByteReader {
  readonly #stream: Readable
  readonly #pieces: AsyncIterator<Uint8Array>
  #left: Uint8Array = new Uint8Array(0)

  constructor(stream: Readable) {
    this.#stream = stream
    this.#pieces = stream[Symbol.asyncIterator]()
  }

  /** How many bytes came: fewer than `target` holds at the end of the stream. */
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

  close(): void {
    this.#stream.destroy()
  }
}

/** The bytes of a file; unpacked, where it is packed by gzip. */
export function openBytes(path: string, { gzip = false } = {}): ByteReader {
  const file = createReadStream(path)
  // Whoever reads the end of the pipe sees the error.
  return new ByteReader(gzip ? pipeline(file, createGunzip(), () => {}) : file)
}

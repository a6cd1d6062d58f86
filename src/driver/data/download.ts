// Downloads one file of known size and checksum. It grows in a part file, from which an interrupted download goes on.

import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { messageOf, UserError } from '../../core/errors.js'
import { md5OfFile } from './checksums.js'

export interface Source {
  /** An http or https address. */
  readonly url: string
  readonly bytes: number
  /** In hexadecimal. */
  readonly md5: string
}

export interface DownloadOptions {
  /** Called with the bytes so far, those of an earlier download included. */
  readonly onProgress?: (received: number) => void
  /** Gives up when nothing arrives for so long, in milliseconds; a minute if not given. */
  readonly stallMs?: number
}

const again = 'run the same command again to go on from there'

/**
 * Downloads the file into `part`, going on from what is already there, and checks it. Throws a UserError when that
 * fails, and keeps the part file unless it is useless.
 */
export async function download(source: Source, part: string, options: DownloadOptions = {}): Promise<void> {
  const size = (await stat(part).catch(() => undefined))?.size ?? 0
  // Longer than the file: it is a part of something else.
  const have = size > source.bytes ? 0 : size
  if (have < source.bytes) await transfer(source, part, have, options)
  const actual = await md5OfFile(part)
  if (actual !== source.md5) {
    await rm(part)
    throw new UserError(
      `${source.url}: md5 of what came is ${actual}; expected ${source.md5}; it is deleted: run the same command again ` +
        'to download it anew',
    )
  }
}

async function transfer(source: Source, part: string, have: number, options: DownloadOptions): Promise<void> {
  const stallMs = options.stallMs ?? 60_000
  let { response, ended } = await request(source.url, have, stallMs)
  if (have > 0 && !continues(response, have, source.bytes)) {
    // The server cannot go on from there. With status 200 it sends the whole file, otherwise we ask for that.
    have = 0
    if (response.statusCode !== 200) {
      response.destroy()
      ;({ response, ended } = await request(source.url, 0, stallMs))
    }
  }
  try {
    if (response.statusCode !== (have > 0 ? 206 : 200)) {
      throw new UserError(
        `${source.url}: the server answers ${response.statusCode} ${response.statusMessage}; try again later, or give another ` +
          'address with --from',
      )
    }
    const offered = response.headers['content-length']
    if (offered !== undefined && have + Number(offered) !== source.bytes) {
      throw new UserError(`${source.url}: the server offers ${have + Number(offered)} bytes; expected ${source.bytes}`)
    }
    const file = await open(part, have > 0 ? 'a' : 'w')
    try {
      await receive(source, response, file, part, have, options, ended)
    } finally {
      await file.close()
    }
  } finally {
    response.destroy()
  }
}

/** Whether the response is the rest of the file from byte `have` on. */
const continues = (response: IncomingMessage, have: number, bytes: number) =>
  response.statusCode === 206 && response.headers['content-range'] === `bytes ${have}-${bytes - 1}/${bytes}`

async function receive(
  source: Source,
  response: IncomingMessage,
  file: FileHandle,
  part: string,
  have: number,
  options: DownloadOptions,
  ended: () => string,
): Promise<void> {
  let received = have
  const broken = (why: string) =>
    new UserError(`${source.url}: ${why} after ${received} of ${source.bytes} bytes; ${again}`)
  const chunks: AsyncIterator<Buffer> = response[Symbol.asyncIterator]()
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw broken(ended() || `the connection broke off (${messageOf(error)})`)
    })
    if (next.done) break
    if (received + next.value.length > source.bytes) {
      await rm(part, { force: true })
      throw new UserError(`${source.url}: the server sends more than the expected ${source.bytes} bytes`)
    }
    await file.appendFile(next.value).catch((error: unknown) => {
      throw new UserError(
        `${part}: cannot be written after ${received} of ${source.bytes} bytes: ${messageOf(error)}; ${again}`,
      )
    })
    received += next.value.length
    options.onProgress?.(received)
  }
  if (received < source.bytes) throw broken('the server stopped')
}

/**
 * Asks for the file from byte `from` on, following redirects. `ended` says why we ended the connection ourselves, if
 * we did. (Not `fetch`, which would unpack the archive when a server calls gzip its content encoding.)
 */
async function request(
  url: string,
  from: number,
  stallMs: number,
  redirects = 5,
): Promise<{ response: IncomingMessage; ended: () => string }> {
  const address = new URL(url)
  const get = { 'http:': getHttp, 'https:': getHttps }[address.protocol]
  if (!get) throw new UserError(`${url}: expected an http or https address`)
  let why = ''
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { 'user-agent': 'rdm-data', ...(from > 0 ? { range: `bytes=${from}-` } : {}) }
    const sent = get(address, { headers, timeout: stallMs }, resolve)
    sent.on('timeout', () => {
      why = `nothing arrived for ${stallMs / 1000} s`
      sent.destroy(new Error(why))
    })
    sent.on('error', (error: NodeJS.ErrnoException) => {
      reject(new UserError(`${url}: cannot be reached: ${error.message || error.code}`))
    })
  })
  const location = response.headers.location
  if (response.statusCode! >= 300 && response.statusCode! < 400 && location !== undefined) {
    response.destroy()
    if (redirects === 0) throw new UserError(`${url}: too many redirects`)
    return request(new URL(location, address).href, from, stallMs, redirects - 1)
  }
  return { response, ended: () => why }
}

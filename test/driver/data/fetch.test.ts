// Download and unpacking, from a server on this machine that can be told to misbehave.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { create } from 'tar'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { md5 } from '../../../src/driver/data/checksums.js'
import { cifarLayouts } from '../../../src/driver/data/cifar.js'
import {
  type Archive,
  type FileSet,
  fetchDataset,
  fetchFiles,
  officialArchives,
  officialFiles,
} from '../../../src/driver/data/fetch.js'
import { verifyDataset } from '../../../src/driver/data/verify.js'
import { idx, randomSet, refusal, temporaryFolder, tinyCifar10, tinyCifar100 } from './support.js'

const folder = cifarLayouts.cifar10.folder
const partName = `${folder}.tar.gz.part`

/** A tar.gz of the folder named so, after `prepare` has changed what is in it. */
function archiveOf(name: string, fill: (dir: string) => void): Buffer {
  const root = temporaryFolder()
  mkdirSync(join(root, name))
  fill(join(root, name))
  create({ file: join(root, 'archive.tar.gz'), cwd: root, gzip: true, sync: true, portable: true }, [name])
  return readFileSync(join(root, 'archive.tar.gz'))
}

const good = archiveOf(folder, (dir) => {
  tinyCifar10(dir)
  // Does not compress, so that the archive is long enough to be broken off.
  writeFileSync(join(dir, 'readme.html'), randomSet(1).images)
  writeFileSync(join(dir, 'surprise.sh'), 'echo')
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void
let handler: Handler
/** The Range header of each request. */
let ranges: (string | undefined)[] = []
const server = createServer((request, response) => {
  ranges.push(request.headers.range)
  handler(request, response)
})
let origin = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  origin = typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : ''
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  ranges = []
  handler = whole(good)
})

/** Ignores ranges. */
const whole =
  (body: Buffer): Handler =>
  (_, response) =>
    response.writeHead(200, { 'content-length': body.length }).end(body)

/** Serves ranges as a proper server does. */
const ranged =
  (body: Buffer): Handler =>
  (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (start === 0) return whole(body)(request, response)
    response
      .writeHead(206, {
        'content-range': `bytes ${start}-${body.length - 1}/${body.length}`,
        'content-length': body.length - start,
      })
      .end(body.subarray(start))
  }

/** Sends some of the body and hangs up. */
const breaksAfter =
  (body: Buffer, bytes: number): Handler =>
  (_, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, bytes), () => setTimeout(() => response.destroy(), 20))
  }

const archive = (body: Buffer = good, path = '/archive.tar.gz'): Archive => ({
  layout: cifarLayouts.cifar10,
  url: `${origin}${path}`,
  bytes: body.length,
  md5: md5(body),
})

describe('a download that works', () => {
  test('downloads, checks, unpacks the data files alone, writes their checksums, removes the archive', async () => {
    const dir = join(temporaryFolder(), 'new')
    const seen: number[] = []
    const { fresh, dataset, ...rest } = await fetchDataset(archive(), dir, { onProgress: (bytes) => seen.push(bytes) })
    expect({ fresh, rest }).toEqual({ fresh: true, rest: { folder: join(dir, folder) } })
    expect([dataset.train.count, dataset.test.count]).toEqual([10, 2])
    expect(readdirSync(dir)).toEqual([folder])
    expect(readdirSync(join(dir, folder))).toEqual(expect.arrayContaining(['readme.html', 'MD5SUMS']))
    expect(readdirSync(join(dir, folder))).not.toContain('surprise.sh')
    expect((await verifyDataset(dir)).files.every(({ listed }) => listed)).toBe(true)
    expect(seen.at(-1)).toBe(good.length)

    expect(await fetchDataset(archive(), dir)).toMatchObject({ fresh: false, dataset: { format: 'cifar10' } })
    expect(ranges).toEqual([undefined])
  })
  test('CIFAR-100', async () => {
    const layout = cifarLayouts.cifar100
    const body = archiveOf(layout.folder, tinyCifar100)
    handler = whole(body)
    expect(await fetchDataset({ ...archive(body), layout }, temporaryFolder())).toMatchObject({
      dataset: { format: 'cifar100', train: { count: 2 } },
    })
  })
  test('follows redirects', async () => {
    handler = (request, response) =>
      request.url === '/old' ? response.writeHead(302, { location: '/new' }).end() : whole(good)(request, response)
    expect(await fetchDataset(archive(good, '/old'), temporaryFolder())).toMatchObject({ fresh: true })
  })
  test('a body of unknown length, and one that calls gzip its encoding, are taken as they are', async () => {
    handler = (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(good)
    expect(await fetchDataset(archive(), temporaryFolder())).toMatchObject({ fresh: true })
  })
  test('the official archives', () => {
    expect(Object.values(officialArchives).map(({ url, bytes, md5 }) => [url, bytes, md5])).toEqual([
      ['https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz', 170052171, 'c32a1d4ab5d03f1284b67883e8d87530'],
      ['https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz', 168513733, '03b5dce01913d631647c71ecec9e9cb8'],
    ])
  })
})

describe('files that stay as they are', () => {
  const images = (count: number) => gzipSync(idx([count, 2, 2], randomSet(1).images.subarray(0, 4 * count)))
  const labels = (count: number) => gzipSync(idx([count], new Uint8Array(count)))
  const contents: Readonly<Record<string, Buffer>> = {
    'train-images-idx3-ubyte.gz': images(500),
    'train-labels-idx1-ubyte.gz': labels(500),
    't10k-images-idx3-ubyte.gz': images(20),
    't10k-labels-idx1-ubyte.gz': labels(20),
  }
  const set = (changes: Partial<FileSet> = {}): FileSet => ({
    folder: 'digits',
    url: `${origin}/`,
    files: Object.entries(contents).map(([name, bytes]) => ({ name, bytes: bytes.length, md5: md5(bytes) })),
    ...changes,
  })
  const serve: Handler = (request, response) => ranged(contents[request.url!.slice(1)]!)(request, response)

  test('downloads all of them, and nothing a second time', async () => {
    const dir = temporaryFolder()
    handler = serve
    const seen: number[] = []
    const { folder, dataset, fresh } = await fetchFiles(set(), dir, { onProgress: (bytes) => seen.push(bytes) })
    expect({ folder, fresh, counts: [dataset.train.count, dataset.test.count] }).toEqual({
      folder: join(dir, 'digits'),
      fresh: true,
      counts: [500, 20],
    })
    expect(readdirSync(dir)).toEqual(['digits'])
    expect(seen.at(-1)).toBe(Object.values(contents).reduce((sum, { length }) => sum + length, 0))
    expect(await fetchFiles(set(), dir)).toMatchObject({ fresh: false })
    expect(ranges).toHaveLength(4)
  })
  test('goes on where it broke off', async () => {
    const dir = temporaryFolder()
    handler = (request, response) =>
      request.url!.includes('t10k-images')
        ? breaksAfter(contents[request.url!.slice(1)]!, 30)(request, response)
        : serve(request, response)
    expect(await refusal(fetchFiles(set(), dir))).toMatch(/t10k-images-idx3-ubyte.gz: the connection broke off/)
    expect(readdirSync(dir)).toEqual(['digits.part'])
    handler = serve
    ranges = []
    expect(await fetchFiles(set(), dir)).toMatchObject({ fresh: true })
    expect(ranges).toEqual(['bytes=30-', undefined])
  })
  test('another file is refused by its checksum', async () => {
    handler = serve
    const files = set().files.map((file) => ({ ...file, md5: '0'.repeat(32) }))
    expect(await refusal(fetchFiles(set({ files }), temporaryFolder()))).toMatch(
      /: md5 of what came is [0-9a-f]{32}; expected 0{32}/,
    )
  })
  test('the official files', () => {
    const said = Object.values(officialFiles).flatMap(({ url, files }) =>
      files.map(({ name, md5 }) => `${md5} ${url}${name}`),
    )
    const [mnist, fashion] = [
      'https://ossci-datasets.s3.amazonaws.com/mnist/',
      'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    ]
    expect(said).toEqual([
      `f68b3c2dcbeaaa9fbdd348bbdeb94873 ${mnist}train-images-idx3-ubyte.gz`,
      `d53e105ee54ea40749a09fcbcd1e9432 ${mnist}train-labels-idx1-ubyte.gz`,
      `9fb629c4189551a2d022fa330f9573f3 ${mnist}t10k-images-idx3-ubyte.gz`,
      `ec29112dd5afa0611ce80d1b7f02629c ${mnist}t10k-labels-idx1-ubyte.gz`,
      `8d4fb7e6c68d591d4c3dfef9ec88bf0d ${fashion}train-images-idx3-ubyte.gz`,
      `25c81989df183df01b3e8a0aad5dffbe ${fashion}train-labels-idx1-ubyte.gz`,
      `bef4ecab320f06d8554ea6380940ec79 ${fashion}t10k-images-idx3-ubyte.gz`,
      `bb300cfdad3c16e7a12a480ee83cd310 ${fashion}t10k-labels-idx1-ubyte.gz`,
    ])
  })
})

describe('resuming', () => {
  /** A folder with a part file of these bytes. */
  function withPart(bytes: Buffer): string {
    const dir = temporaryFolder()
    writeFileSync(join(dir, partName), bytes)
    return dir
  }
  const half = good.subarray(0, good.length >> 1)

  test('an interrupted download goes on where it broke off', async () => {
    const dir = temporaryFolder()
    handler = breaksAfter(good, 1000)
    expect(await refusal(fetchDataset(archive(), dir))).toBe(
      `UserError: ${origin}/archive.tar.gz: the connection broke off (aborted) after 1000 of ${good.length} bytes; ` +
        'run the same command again to go on from there',
    )
    expect(readFileSync(join(dir, partName))).toEqual(good.subarray(0, 1000))
    handler = ranged(good)
    expect(await fetchDataset(archive(), dir)).toMatchObject({ fresh: true })
    expect(ranges).toEqual([undefined, 'bytes=1000-'])
  })
  test('a server without ranges sends all of it again', async () => {
    expect(await fetchDataset(archive(), withPart(half))).toMatchObject({ fresh: true })
    expect(ranges).toEqual([`bytes=${half.length}-`])
  })
  test('a server that refuses the range, or sends another, is asked for all of it', async () => {
    for (const [status, range] of [
      [416, `bytes */${good.length}`],
      [206, `bytes 0-${good.length - 1}/${good.length}`],
    ] as const) {
      ranges = []
      handler = (request, response) =>
        request.headers.range
          ? response.writeHead(status, { 'content-range': range }).end('x')
          : whole(good)(request, response)
      expect(await fetchDataset(archive(), withPart(half))).toMatchObject({ fresh: true })
      expect(ranges).toEqual([`bytes=${half.length}-`, undefined])
    }
  })
  test('a part file longer than the file is of something else', async () => {
    expect(await fetchDataset(archive(), withPart(Buffer.concat([good, good])))).toMatchObject({ fresh: true })
    expect(ranges).toEqual([undefined])
  })
  test('a complete part file needs no server', async () => {
    expect(await fetchDataset(archive(), withPart(good))).toMatchObject({ fresh: true })
    expect(ranges).toEqual([])
  })
  test('a part file of something else is found out by its checksum, and deleted', async () => {
    handler = ranged(good)
    const dir = withPart(Buffer.alloc(100))
    expect(await refusal(fetchDataset(archive(), dir))).toMatch(
      /archive\.tar\.gz: md5 of what came is [0-9a-f]{32}; expected [0-9a-f]{32}; it is deleted: run the same command again to download it anew$/,
    )
    expect(readdirSync(dir)).toEqual([])
    expect(await fetchDataset(archive(), dir)).toMatchObject({ fresh: true })
  })
})

describe('a download that fails: one line, and nothing but the part file left', () => {
  const failure = async (options = {}, from = archive(), dir = temporaryFolder()) => {
    const message = await refusal(fetchDataset(from, dir, options))
    return { message: message.replace(origin, ''), left: readdirSync(dir) }
  }

  test('no server', async () => {
    const { message } = await failure({}, { ...archive(), url: 'http://127.0.0.1:1/x' })
    expect(message).toBe('UserError: http://127.0.0.1:1/x: cannot be reached: connect ECONNREFUSED 127.0.0.1:1')
  })
  test('an address of another kind', async () => {
    const { message } = await failure({}, { ...archive(), url: 'ftp://127.0.0.1/x' })
    expect(message).toBe('UserError: ftp://127.0.0.1/x: expected an http or https address')
  })
  test('an error of the server', async () => {
    handler = (_, response) => response.writeHead(503).end('busy')
    expect(await failure()).toEqual({
      message:
        'UserError: /archive.tar.gz: the server answers 503 Service Unavailable; try again later, or give another address with --from',
      left: [],
    })
  })
  test('redirects without end', async () => {
    handler = (_, response) => response.writeHead(301, { location: '/archive.tar.gz' }).end()
    expect((await failure()).message).toBe('UserError: /archive.tar.gz: too many redirects')
    expect(ranges).toHaveLength(6)
  })
  test('another file: shorter, longer, longer than it said', async () => {
    handler = whole(Buffer.from('<html>log in</html>'))
    expect(await failure()).toEqual({
      message: `UserError: /archive.tar.gz: the server offers 19 bytes; expected ${good.length}`,
      left: [],
    })
    handler = (_, response) => response.writeHead(200).end(Buffer.concat([good, good]))
    expect(await failure()).toEqual({
      message: `UserError: /archive.tar.gz: the server sends more than the expected ${good.length} bytes`,
      left: [],
    })
    handler = (_, response) => response.writeHead(200).end(good.subarray(0, 500))
    expect(await failure()).toEqual({
      message:
        `UserError: /archive.tar.gz: the server stopped after 500 of ${good.length} bytes; ` +
        'run the same command again to go on from there',
      left: [partName],
    })
  })
  test('a server that falls silent, before or within the body', async () => {
    handler = () => {}
    expect((await failure({ stallMs: 100 })).message).toBe(
      'UserError: /archive.tar.gz: cannot be reached: nothing arrived for 0.1 s',
    )
    handler = (_, response) => {
      response.writeHead(200, { 'content-length': good.length })
      response.write(good.subarray(0, 300))
    }
    expect(await failure({ stallMs: 100 })).toEqual({
      message:
        `UserError: /archive.tar.gz: nothing arrived for 0.1 s after 300 of ${good.length} bytes; ` +
        'run the same command again to go on from there',
      left: [partName],
    })
  })
  test.runIf(existsSync('/dev/full'))('a full disk', async () => {
    const dir = temporaryFolder()
    const part = join(dir, partName)
    symlinkSync('/dev/full', part)
    expect((await failure({}, archive(), dir)).message).toBe(
      `UserError: ${part}: cannot be written after 0 of ${good.length} bytes: ENOSPC: no space left on device, write; ` +
        'run the same command again to go on from there',
    )
  })
  test('a folder of that name that is no data set', async () => {
    const dir = temporaryFolder()
    mkdirSync(join(dir, folder))
    writeFileSync(join(dir, folder, 'mine.txt'), '')
    const { message, left } = await failure({}, archive(), dir)
    expect(message).toMatch(/cifar-10-batches-bin: is there already, but is no complete data set \(.*\); move it away$/)
    expect(left).toEqual([folder])
  })
  test('an archive that is none, or holds something else', async () => {
    const junk = Buffer.from('this is no archive')
    handler = whole(junk)
    expect((await failure({}, archive(junk))).message).toMatch(/cannot be unpacked into .*: TAR_BAD_ARCHIVE/)
    const other = archiveOf(folder, (dir) => {
      tinyCifar10(dir)
      rmSync(join(dir, 'data_batch_1.bin'))
      symlinkSync('/etc/passwd', join(dir, 'data_batch_1.bin'))
    })
    handler = whole(other)
    const { message, left } = await failure({}, archive(other))
    expect(message).toMatch(/cannot be unpacked into .*looks like CIFAR-10, but data_batch_1\.bin is missing$/)
    // The archive passed its checksum: it is kept for another try.
    expect(left).toEqual([partName])
  })
})

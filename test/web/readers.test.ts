// Readers of data sets in a page: bundled for a browser they ask for nothing of Node, and in Chromium they read what Node reads, byte
// for byte, and refuse what Node refuses, in the same words.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import { build } from 'rolldown'
import sharp, { type Sharp } from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tensor } from '../../src/core/graph/tensor.js'
import type { BatchOptions } from '../../src/driver/data/batches.js'
import { bindColumns } from '../../src/driver/data/bind.js'
import type { Dataset } from '../../src/driver/data/dataset.js'
import { Batches } from '../../src/driver/data/fileBatches.js'
import { decodeImages } from '../../src/driver/data/imageFiles.js'
import { readDataset } from '../../src/driver/data/readers.js'
import type { ReadOptions } from '../../src/driver/data/splits.js'
import { encodeSafetensors } from '../../src/driver/run/safetensors.js'
import { type OpenPage, openPageWith } from '../../tools/browser.mjs'
import { idx, npy, npyHeader, temporaryFolder, tinyCifar10, tinyCifar100, zip } from '../driver/data/support.js'
import { hasBrowser, openPage } from '../support/browser.js'

const root = join(import.meta.dirname, '..', '..')
const site = mkdtempSync(join(tmpdir(), 'rdm-readers-'))
afterAll(() => rmSync(site, { recursive: true }))

const asked: string[] = []
beforeAll(async () => {
  await build({
    input: join(root, 'test', 'web', 'readersEntry.ts'),
    output: { dir: site, format: 'esm', entryFileNames: 'readers.js' },
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    platform: 'browser',
    logLevel: 'silent',
    external: (id) => {
      if (/^node:|^(fs|path|crypto|os|util|url|stream|zlib|buffer|events|worker_threads)$/.test(id)) asked.push(id)
      return false
    },
  })
  writeFileSync(
    join(site, 'index.html'),
    `<!doctype html><title>readers</title><body style="margin:0"><div id="drop" style="width:400px;height:400px"></div>
    <input type="file" id="folder" webkitdirectory><input type="file" id="files" multiple>
    <script type="module">
      import * as readers from './readers.js'
      Object.assign(window, { readers, describe: ${told.toString()} })
      const drop = document.querySelector('#drop')
      drop.ondragover = (event) => event.preventDefault()
      drop.ondrop = (event) => {
        event.preventDefault()
        window.dropped = readers.droppedFiles(event.dataTransfer)
      }
    </script>`,
  )
})

/** All that is in a data set, as plain values. Written so that it runs in a page as it stands. */
function told({ format, train, test, heldOut }: Dataset) {
  return JSON.stringify({
    format,
    heldOut,
    splits: [train, test].map(({ count, columns }) => ({
      count,
      columns: Object.entries(columns).map(([name, column]) => {
        const { kind, dtype, shape, classes } = column
        const type = { name, kind, dtype, shape, classes }
        if (column.kind === 'image files') return { ...type, sizes: column.sizes, files: column.files }
        const { buffer, byteOffset, byteLength } = column.data
        return { ...type, bytes: [...new Uint8Array(buffer, byteOffset, byteLength)] }
      }),
    })),
  })
}

const write = (path: string, content: Uint8Array | string): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

/** A folder with these files. */
function folderOf(files: Readonly<Record<string, Uint8Array | string>>): string {
  const dir = join(temporaryFolder(), 'data')
  mkdirSync(dir)
  for (const [name, content] of Object.entries(files)) write(join(dir, name), content)
  return dir
}

const bytes = (...values: number[]) => npy(npyHeader("'|u1'", `${values.length},`), Uint8Array.from(values))
const mnist = (pack = (content: Buffer): Buffer => content, ending = '') => ({
  [`train-images-idx3-ubyte${ending}`]: pack(
    idx(
      [3, 2, 3],
      Uint8Array.from({ length: 18 }, (_, i) => i),
    ),
  ),
  [`train-labels-idx1-ubyte${ending}`]: pack(idx([3], Uint8Array.of(0, 2, 1))),
  [`t10k-images-idx3-ubyte${ending}`]: pack(
    idx(
      [2, 2, 3],
      Uint8Array.from({ length: 12 }, (_, i) => 200 + i),
    ),
  ),
  [`t10k-labels-idx1-ubyte${ending}`]: pack(idx([2], Uint8Array.of(1, 0))),
})
const floats = new Uint8Array(Float32Array.from({ length: 300 }, Math.sqrt).buffer)
const arrays = {
  tensors: {
    x: tensor('float32', [5, 2], Array.from({ length: 10 }, Math.sin)),
    y: tensor('int64', [5], [4, 3, 2, 1, 0]),
  },
  metadata: {},
}
const table = `a;b;kind\n${Array.from({ length: 3000 }, (_, i) => `${i};"${i / 7}";kïnd ${i % 3}`).join('\r\n')}\n`
const wide = Buffer.from('\uFEFFa\tkïnd\r\n1\tx\r\n2\tü\r\n', 'utf16le')
const numpyFixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../driver/data/numpy/${name}.npz`, import.meta.url)))

describe('the readers', () => {
  it('bundled for a browser, ask for no module of Node', () => {
    expect(asked).toEqual([])
    const scripts = readdirSync(site).filter((name) => name.endsWith('.js'))
    for (const name of scripts)
      expect(readFileSync(join(site, name), 'utf8')).not.toMatch(/(from|import|require)[\s(]*["']node:/)
    const folder = join(root, 'src', 'driver', 'data', 'formats')
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name), 'utf8'), name).not.toMatch(/\b(Buffer|process)\b|from 'node:/)
  })
})

describe.runIf(hasBrowser)('in Chromium', () => {
  let opened: OpenPage
  beforeAll(async () => {
    opened = await openPage('index.html', site)
    await opened.page.waitForFunction('window.readers')
  })
  afterAll(async () => {
    await opened.close()
  })

  /** Reads in the page: what it made of the files, or how it refused them. */
  const inPage = (files: string, options: ReadOptions = {}): Promise<string> =>
    opened.page.evaluate(`(async () => {
      const data = await readers.readDataset(await ${files}, ${JSON.stringify(options)})
      window.data = data
      return describe(data)
    })().catch(String)`)
  /** By a field that takes a folder, or files. */
  async function chosen(path: string | string[], options?: ReadOptions): Promise<string> {
    const field = Array.isArray(path) ? '#files' : '#folder'
    await opened.page.setInputFiles(field, path)
    return inPage(`readers.chosenFiles(document.querySelector('${field}').files)`, options)
  }
  /** By a drop from outside the browser. */
  async function dropped(path: string, options?: ReadOptions): Promise<string> {
    const client = await opened.page.context().newCDPSession(opened.page)
    const data = { items: [], files: [path], dragOperationsMask: 1 }
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
      await client.send('Input.dispatchDragEvent', { type, x: 50, y: 50, data })
    await opened.page.waitForFunction('window.dropped')
    return inPage('dropped', options)
  }
  const inNode = async (path: string, options?: ReadOptions) =>
    readDataset(path, options).then(told, (error: unknown) => String(error))
  /** Paths begin with the folder that is given. */
  const cut = (text: string, path: string) => text.replaceAll(`${dirname(path)}/`, '')

  it.each<[string, () => string, ReadOptions?]>([
    ['CIFAR-10', () => tinyCifar10()],
    ['CIFAR-100, in the folder of its archive', () => dirname(tinyCifar100(join(mkdirs('cifar-100-binary'))))],
    ['MNIST', () => folderOf(mnist())],
    ['MNIST, packed', () => folderOf(mnist((content) => gzipSync(content), '.gz'))],
    [
      'an .npz file of every type',
      () => folderOf({ 'train.npz': numpyFixture('types'), 'test.npz': numpyFixture('types') }),
    ],
    [
      '.npy files',
      () => folderOf({ 'x.npy': npy(npyHeader("'<f4'", '100, 3'), floats), 'y.npy': bytes(...Array(100).keys()) }),
    ],
    ['tables', () => folderOf({ 'train.csv': table, 'test.csv': table.slice(0, 2000).replace(/\r\n[^\n]*$/, '') })],
    ['a table in UTF-16', () => folderOf({ 'train.csv': wide, 'test.csv': wide })],
    [
      'safetensors',
      () => folderOf({ 'train.safetensors': encodeSafetensors(arrays), 'test.safetensors': encodeSafetensors(arrays) }),
    ],
  ])('%s: chosen and dropped, byte for byte', async (_, make, options) => {
    const path = make()
    const expected = await inNode(path, options)
    expect(expected).toMatch(/^\{/)
    expect(await chosen(path, options)).toBe(expected)
    expect(await dropped(path, options)).toBe(expected)
  })

  it('one file of which a part is held out, and several files together', async () => {
    const dir = folderOf({ 'data.csv': table, 'data.npz': numpyFixture('splits') })
    for (const [name, options] of [
      ['data.csv', { holdOut: 0.3, seed: 4 }],
      ['data.npz', {}],
    ] as const)
      expect(await chosen([join(dir, name)], options)).toBe(await inNode(join(dir, name), options))
    const four = folderOf(mnist())
    expect(await chosen(readdirSync(four).map((name) => join(four, name)))).toBe(await inNode(four))
  })

  it('a page that is not isolated from others, whose threads share no memory', async () => {
    const { page, close } = await openPageWith({ path: 'index.html', folders: [site], headers: {} })
    try {
      await page.waitForFunction('window.readers')
      const path = folderOf(mnist())
      await page.setInputFiles('#folder', path)
      const said = await page.evaluate(`(async () => {
        const files = readers.chosenFiles(document.querySelector('#folder').files)
        return [typeof SharedArrayBuffer, describe(await readers.readDataset(files))]
      })()`)
      expect(said).toEqual(['undefined', await inNode(path)])
    } finally {
      await close()
    }
  })

  it("a folder of the page's own storage", async () => {
    const text = 'a,b\n1,x\n2,y\n3,x\n'
    await opened.page.evaluate(`(async () => {
      const storage = await navigator.storage.getDirectory()
      const folder = await storage.getDirectoryHandle('tables', { create: true })
      for (const name of ['train.csv', 'test.csv', '.hidden.csv']) {
        const file = await (await folder.getFileHandle(name, { create: true })).createWritable()
        await file.write(${JSON.stringify(text)})
        await file.close()
      }
      window.folder = folder
    })()`)
    expect(await inPage('readers.filesInFolder(folder)')).toBe(
      await inNode(folderOf({ 'train.csv': text, 'test.csv': text })),
    )
  })

  const x = { name: 'x.npy', content: bytes(1, 2, 3) }
  it.each<[string, () => Readonly<Record<string, Uint8Array | string>>]>([
    ['nothing that is known', () => ({ 'notes.txt': 'hello' })],
    ['a set that is not complete', () => ({ 'data_batch_1.bin': Buffer.alloc(3073) })],
    ['a file of MNIST that breaks off', () => ({ ...mnist(), 't10k-images-idx3-ubyte': Buffer.alloc(9) })],
    [
      'a packed file that breaks off',
      () => {
        const files = mnist((content) => gzipSync(content), '.gz')
        return { ...files, 'train-images-idx3-ubyte.gz': files['train-images-idx3-ubyte.gz']!.subarray(0, -10) }
      },
    ],
    [
      'a packed file that is none',
      () => ({ ...mnist((content) => gzipSync(content), '.gz'), 'train-labels-idx1-ubyte.gz': 'no gzip, but text' }),
    ],
    [
      'a packed file of more than it promises',
      () => ({
        ...mnist((content) => gzipSync(content), '.gz'),
        'train-images-idx3-ubyte.gz': gzipSync(idx([3, 2, 3], new Uint8Array(2 ** 28))),
      }),
    ],
    ['no archive', () => ({ 'train.npz': 'PK no', 'test.npz': zip(x) })],
    ['an archive that is cut off', () => ({ 'train.npz': zip(x).subarray(0, -30), 'test.npz': zip(x) })],
    ['another checksum', () => ({ 'train.npz': zip({ ...x, checksum: 1 }), 'test.npz': zip(x) })],
    [
      'a bomb that says less than it is',
      () => ({ 'train.npz': zip({ ...x, packed: deflateRawSync(new Uint8Array(2 ** 28)) }), 'test.npz': zip(x) }),
    ],
    ['a bomb that says so', () => ({ 'train.npz': zip({ ...x, size: 2 ** 31 }), 'test.npz': zip(x) })],
    ['Python objects', () => ({ 'train.npz': numpyFixture('objects'), 'test.npz': zip(x) })],
    ['a file that is no array', () => ({ 'x.npy': 'hello, world' })],
    ['a text among numbers', () => ({ 'train.csv': 'a,b\n1,2\n\n3,x\n', 'test.csv': 'a,b\n1,2\n' })],
    ['a quote that does not end', () => ({ 'train.csv': 'a,b\n1,"2\n3,4\n', 'test.csv': 'a,b\n1,2\n' })],
    ['a quote in the wrong place', () => ({ 'train.csv': 'a,b\n1,2\n3,x"4"\n', 'test.csv': 'a,b\n1,2\n' })],
    ['no safetensors', () => ({ 'train.safetensors': 'no', 'test.safetensors': encodeSafetensors(arrays) })],
    ['one of two files', () => ({ 'train.csv': 'a\n1\n' })],
    ['a class without images', () => ({ 'train/a/notes.txt': 'x', 'train/b/0.png': 'x', 'test/b/0.png': 'x' })],
  ])('%s is refused as in Node', async (_, files) => {
    const path = folderOf(files())
    const expected = cut(await inNode(path), path)
    expect(expected).toMatch(/^UserError: data/)
    expect(await chosen(path)).toBe(expected)
  })

  describe('images in folders', () => {
    /** Waves of this length, in pixels. */
    const drawn = (width: number, height: number, wave = 40) => {
      const colour = (channel: number, x: number, y: number) =>
        128 + 60 * Math.sin((6.3 * x) / wave + channel) + 50 * Math.cos((9 * y) / wave - channel)
      const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) =>
        colour(i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)),
      )
      return sharp(Buffer.from(pixels), { raw: { width, height, channels: 3 } }).png()
    }
    let dir: string
    let node: Dataset
    beforeAll(async () => {
      dir = join(temporaryFolder(), 'data')
      const files: Readonly<Record<string, Sharp>> = {
        'train/a/0.png': drawn(400, 300),
        'train/a/1.jpg': drawn(60, 90).jpeg({ quality: 95 }),
        'train/a/2.JPG': drawn(90, 60).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }),
        'train/a/3.jpg': drawn(900, 700, 400).jpeg({ quality: 95 }),
        'train/b/0.webp': drawn(70, 50).webp({ lossless: true }),
        'train/b/1.png': drawn(20, 20).toColourspace('b-w'),
        'train/b/2.webp': drawn(64, 64).webp({ quality: 90 }),
        'train/b/3.webp': drawn(64, 40).ensureAlpha(0.5).webp({ lossless: true }),
        'test/b/0.png': drawn(12, 12),
      }
      for (const [name, image] of Object.entries(files)) write(join(dir, name), await image.toBuffer())
      node = await readDataset(dir)
    })

    it('found as in Node, chosen and dropped', async () => {
      expect(await chosen(dir)).toBe(cut(told(node), dir))
      expect(await dropped(dir)).toBe(cut(told(node), dir))
    })

    /** Each image is near what Node makes of it: seen are 0.2 on the mean and 1 at most, 2 and 8 for the one that is much reduced. */
    function expectNear(own: Uint8Array, other: readonly number[], count: number, mean: number, most: number): void {
      expect(other.length).toBe(own.length)
      const size = own.length / count
      for (let i = 0; i < count; i++) {
        const differences = own
          .subarray(i * size, (i + 1) * size)
          .map((value, j) => Math.abs(value - other[i * size + j]!))
        expect(differences.reduce((sum, each) => sum + each, 0) / size, `image ${i}`).toBeLessThan(mean)
        expect(Math.max(...differences), `image ${i}`).toBeLessThan(most)
      }
    }

    it.each([[[3, 32, 32]], [[1, 48, 32]], [[3, 64, 96]]] as const)(
      'decoded nearly as by sharp to [%s], also from what a thread gets',
      async (shape) => {
        await chosen(dir)
        const images = node.train.columns.images!
        if (images.kind !== 'image files') throw new Error('another column')
        const other = (await opened.page.evaluate(`(async () => {
          const { files, blobs } = structuredClone(data.train.columns.images)
          return [...(await readers.decodeImages(files, ${JSON.stringify(shape)}, undefined, blobs))]
        })()`)) as number[]
        expectNear(await decodeImages(images.files, shape), other, 8, 2.5, 10)
      },
    )

    const signature = {
      inputs: [{ name: 'images', dtype: 'uint8' as const, shape: ['batch', 3, 24, 24] }],
      targets: [{ name: 'labels', dtype: 'int64' as const, shape: ['batch'], classes: 2 }],
    }
    const options: BatchOptions = {
      batchSize: 8,
      seed: 3,
      transforms: [
        { kind: 'random-resized-crop', scale: [0.2, 1], ratio: [3 / 4, 4 / 3] },
        { kind: 'flip', alternating: false },
      ],
    }
    it('batches of regions of them are nearly those of Node', async () => {
      const { bindings, splits } = bindColumns(signature, { training: node.train })
      const own = await new Batches(splits.training, bindings, options).batch(2, 0)
      await chosen(dir)
      const other = (await opened.page.evaluate(`(async () => {
        const { bindings, splits } = readers.bindColumns(${JSON.stringify(signature)}, { training: data.train })
        const batches = new readers.Batches(splits.training, bindings, ${JSON.stringify(options)}, readers.decodeImages)
        const { images, labels } = await batches.batch(2, 0)
        return { images: [...images.data], labels: [...labels.data].map(Number) }
      })()`)) as { images: number[]; labels: number[] }
      expect(other.labels).toEqual(Array.from(own.labels!.data as BigInt64Array, Number))
      expectNear(own.images!.data as Uint8Array, other.images, 8, 1, 6)
    })

    it.each<[string, () => Promise<Uint8Array>, string]>([
      ['no image', async () => Buffer.from('hello'), 'is no image that can be read (it is no JPEG, PNG or WebP)'],
      ['an empty file', async () => Buffer.alloc(0), 'is no image that can be read (it is no JPEG, PNG or WebP)'],
      [
        'a header that is cut off',
        async () => (await drawn(20, 20).png().toBuffer()).subarray(0, 20),
        'is no image that can be read (it ends within its header)',
      ],
      [
        'a header without a size',
        async () => Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(50_000, Buffer.from([0xff, 0xe0, 0, 2]))]),
        'is no image that can be read (its header does not say its size)',
      ],
      [
        'too many pixels',
        async () => {
          const png = await drawn(1, 1).png().toBuffer()
          png.writeUInt32BE(20_000, 16)
          png.writeUInt32BE(20_000, 20)
          png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
          return png
        },
        'has 20000×20000 pixels; at most 100000000 are decoded',
      ],
      [
        'an animation',
        async () => {
          const pictures = [await drawn(20, 20).png().toBuffer(), await drawn(20, 20, 9).png().toBuffer()]
          return sharp(pictures, { join: { animated: true } })
            .webp()
            .toBuffer()
        },
        'has 2 pictures; expected one',
      ],
    ])('%s is refused', async (_, make, message) => {
      const path = folderOf({ 'a/0.png': await drawn(5, 5).png().toBuffer(), 'b/0.webp': await make() })
      expect(await chosen(path)).toBe(`UserError: data/b/0.webp: ${message}`)
    })

    it('one whose pixels break off is refused where it is decoded', async () => {
      const whole = await drawn(200, 200).jpeg().toBuffer()
      const path = folderOf({ 'a/0.jpg': whole, 'b/0.jpg': whole.subarray(0, whole.length >> 1) })
      expect(await chosen(path, { holdOut: 0.5 })).toMatch(/^\{/)
      const said = await opened.page.evaluate(`Promise.all([data.train, data.test].map(({ columns: { images } }) =>
        readers.decodeImages(images.files, [3, 8, 8], undefined, images.blobs).then(() => 'read', String)))`)
      expect((said as string[]).sort()).toEqual([
        'UserError: data/b/0.jpg: is no image that can be read (The source image could not be decoded.)',
        'read',
      ])
    })
  })
})

function mkdirs(name: string): string {
  const dir = join(temporaryFolder(), 'data', name)
  mkdirSync(dir, { recursive: true })
  return dir
}

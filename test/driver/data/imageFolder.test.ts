// Images in folders: how they are found, decoded, cropped, and refused.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import type { Transform } from '../../../src/core/model/recipe.js'
import { randomStream } from '../../../src/core/random.js'
import { bindColumns } from '../../../src/driver/data/bind.js'
import { Batches } from '../../../src/driver/data/fileBatches.js'
import { checkImages, decodeImages } from '../../../src/driver/data/imageFiles.js'
import { readDataset } from '../../../src/driver/data/readers.js'
import { boxOf, drawCrop, resizeBox } from '../../../src/driver/data/transforms.js'
import { refusal, temporaryFolder } from './support.js'

type Colour = readonly [number, number, number]
const [red, blue, grey]: Colour[] = [
  [255, 0, 0],
  [0, 0, 255],
  [90, 90, 90],
]

const plain = ([r, g, b]: Colour, width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } })

async function write(path: string, image: Sharp): Promise<string> {
  mkdirSync(dirname(path), { recursive: true })
  await image.toFile(path)
  return path
}

/** Files of two classes, red and blue, in a folder. */
async function colours(root: string, count = 2): Promise<void> {
  for (let i = 0; i < count; i++) {
    await write(join(root, 'red', `${i}.png`), plain(red!, 20, 10 + i))
    await write(join(root, 'blue', `${i}.JPG`), plain(blue!, 12, 12).jpeg())
  }
}

const signature = (shape: readonly number[]) => ({
  inputs: [{ name: 'images', dtype: 'uint8' as const, shape: ['batch', ...shape] }],
  targets: [{ name: 'labels', dtype: 'int64' as const, shape: ['batch'], classes: 2 }],
})

describe('finding', () => {
  test('train and val, with classes by name', async () => {
    const dir = temporaryFolder()
    await colours(join(dir, 'train'))
    await write(join(dir, 'val', 'red', 'x.webp'), plain(red!, 30, 30).webp())
    writeFileSync(join(dir, 'train', 'red', 'notes.txt'), 'nothing')
    const { format, train, test } = await readDataset(dir)
    expect({ format, counts: [train.count, test.count] }).toEqual({ format: 'image folder', counts: [4, 1] })
    expect(train.columns.labels).toMatchObject({ classes: ['blue', 'red'], data: Uint8Array.from([0, 0, 1, 1]) })
    expect(test.columns.labels).toMatchObject({ classes: ['blue', 'red'], data: Uint8Array.from([1]) })
    expect(train.columns.images).toMatchObject({ sizes: { smallest: [12, 12], largest: [11, 20] } })
  })
  test('one folder a class, of which a part is held out; the files stay with their labels', async () => {
    const dir = temporaryFolder()
    await colours(dir, 5)
    const { train, test } = await readDataset(dir, { holdOut: 0.3 })
    expect([train.count, test.count]).toEqual([7, 3])
    for (const { columns } of [train, test]) {
      const { images, labels } = columns
      if (images?.kind !== 'image files' || labels?.kind !== 'tensor') throw new Error('other columns')
      expect(images.files.map((path) => Number(path.includes('/red/')))).toEqual([...(labels.data as Uint8Array)])
    }
  })
  test.each([
    ['a file that is no image', 'train/red/bad.png', 'text', /bad\.png: is no image that can be read \(/],
    [
      'a class that training has not',
      'test/green/0.png',
      'image',
      /test\/green: is no class of the training images, which are blue, red; rename it, or move it away$/,
    ],
    [
      'a class without images',
      'train/green/notes.txt',
      'text',
      /train\/green: holds no images; expected those of a class$/,
    ],
    [
      'a format that is not read',
      'train/red/a.bmp',
      'text',
      /a\.bmp: is no JPEG, PNG or WebP; convert it, or move it away$/,
    ],
    [
      'an image of too many pixels',
      'train/red/huge.png',
      'huge',
      /huge\.png: has 20000×20000 pixels; at most 100000000 are decoded$/,
    ],
  ])('%s is refused', async (_, name, what, message) => {
    const dir = temporaryFolder()
    await colours(join(dir, 'train'), 1)
    await write(join(dir, 'test', 'red', 'x.png'), plain(red!, 5, 5))
    const path = join(dir, name)
    mkdirSync(dirname(path), { recursive: true })
    if (what === 'text') writeFileSync(path, 'hello')
    if (what === 'image') await write(path, plain(red!, 5, 5))
    if (what === 'huge') {
      // The header alone: a small file that says it is large.
      const png = await plain(red!, 1, 1).png().toBuffer()
      png.writeUInt32BE(20_000, 16)
      png.writeUInt32BE(20_000, 20)
      png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
      writeFileSync(path, png)
    }
    expect(await refusal(readDataset(dir))).toMatch(message)
  })
})

describe('decoding', () => {
  test('colours, grey images, transparency, 16 bits, and the turn that a camera notes', async () => {
    const dir = temporaryFolder()
    const half = await sharp({ create: { width: 40, height: 20, channels: 3, background: { r: 255, g: 0, b: 0 } } })
      .composite([
        {
          input: { create: { width: 20, height: 20, channels: 3, background: { r: 0, g: 0, b: 255 } } },
          left: 20,
          top: 0,
        },
      ])
      .png()
      .toBuffer()
    const files = [
      await write(join(dir, 'red.png'), plain(red!, 16, 16)),
      await write(join(dir, 'grey.png'), plain(grey!, 16, 16).toColourspace('b-w')),
      await write(join(dir, 'deep.png'), plain(grey!, 16, 16).toColourspace('rgb16')),
      await write(join(dir, 'alpha.png'), plain(blue!, 16, 16).ensureAlpha(0.5)),
      await write(join(dir, 'cmyk.jpg'), plain(red!, 16, 16).toColourspace('cmyk').jpeg()),
      await write(join(dir, 'turned.jpg'), sharp(half).withMetadata({ orientation: 6 }).jpeg({ quality: 100 })),
    ]
    const pixels = await decodeImages(files, [3, 4, 4])
    const mean = (i: number, channel: number) =>
      pixels.subarray((i * 3 + channel) * 16, (i * 3 + channel + 1) * 16).reduce((a, b) => a + b) / 16
    const colour = (i: number) => [0, 1, 2].map((channel) => mean(i, channel))
    expect(colour(0)).toEqual(red)
    expect(colour(1)).toEqual(grey)
    // 16 bits are rounded down to 8.
    for (const value of colour(2)) expect(Math.abs(value - 90)).toBeLessThanOrEqual(1)
    expect(colour(3)).toEqual(blue)
    const [r, g, b] = colour(4)
    expect(r! > 200 && g! < 60 && b! < 60).toBe(true)
    // Turned by a quarter: red above blue.
    const rows = Array.from({ length: 4 }, (_, y) => pixels[5 * 48 + y * 4]! > 128)
    expect(rows).toEqual([true, true, false, false])
    expect([...(await decodeImages([files[1]!], [1, 2, 2]))]).toEqual([90, 90, 90, 90])
    expect(await checkImages([files[5]!])).toEqual({ smallest: [40, 20], largest: [40, 20] })
  })
  test('the centre: the shorter side becomes 8/7 of what is wanted', async () => {
    // A frame as wide as what is cut off: 256 pixels to the shorter side, 224 of which stay.
    const frame = 2
    const path = join(temporaryFolder(), 'framed.png')
    const inner = { create: { width: 28, height: 28, channels: 3, background: { r: 0, g: 0, b: 255 } } } as const
    await write(path, plain(red!, 32, 32).composite([{ input: inner, left: frame, top: frame }]))
    const pixels = await decodeImages([path], [3, 28, 28])
    expect(pixels.subarray(0, 784).every((value) => value === 0)).toBe(true)
    expect(pixels.subarray(2 * 784).every((value) => value === 255)).toBe(true)
  })
  test('a truncated file is refused by its name, also from the thread that makes batches', async () => {
    const dir = temporaryFolder()
    await colours(dir, 3)
    const noise = Buffer.from(Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 7919) % 251))
    const whole = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer()
    writeFileSync(join(dir, 'red', '0.png'), whole.subarray(0, whole.length >> 1))
    const { train } = await readDataset(dir, { holdOut: 0.2 })
    const { bindings, splits } = bindColumns(signature([3, 8, 8]), { training: train })
    const batches = new Batches(splits.training, bindings, { batchSize: 6 })
    expect(await refusal(batches.batch(0, 0))).toMatch(/red\/0\.png: is no image that can be read \(/)
  })
})

describe('random-resized-crop', () => {
  const transform: Transform = { kind: 'random-resized-crop', scale: [0.08, 1], ratio: [3 / 4, 4 / 3] }
  test('regions lie in the image, and have the areas and ratios that were asked for', () => {
    const random = randomStream(1, 'test')
    const areas: number[] = []
    for (let i = 0; i < 2000; i++) {
      const { region } = drawCrop([transform], random, () => false)
      const box = boxOf(region!, 300, 400)
      expect(box.top >= 0 && box.left >= 0 && box.top + box.height <= 300 && box.left + box.width <= 400).toBe(true)
      areas.push((box.height * box.width) / 120_000)
      expect(box.width / box.height).toBeGreaterThan(0.73)
      expect(box.width / box.height).toBeLessThan(1.37)
    }
    expect(Math.min(...areas)).toBeLessThan(0.1)
    expect(Math.max(...areas)).toBeGreaterThan(0.9)
    // Less than the mean of the scale: large regions of other shapes than the image's do not fit, and are drawn again.
    const mean = areas.reduce((a, b) => a + b) / areas.length
    expect(mean).toBeGreaterThan(0.4)
    expect(mean).toBeLessThan(0.54)
  })
  test('an image that none fits into gives its middle', () => {
    const random = randomStream(1, 'test')
    const { region } = drawCrop([{ ...transform, scale: [1, 1] }], random, () => false)
    const box = boxOf(region!, 10, 1000)
    expect(box.height).toBe(10)
    expect(box.width).toBeLessThan(15)
    expect(Math.abs(box.left + box.width / 2 - 500)).toBeLessThan(2)
    expect(boxOf(region!, 1, 1)).toEqual({ top: 0, left: 0, height: 1, width: 1 })
  })
  test('images in memory: a region is made as large as the image', () => {
    const image = Uint8Array.from([0, 10, 20, 30, 40, 50, 60, 70, 80])
    const out = new Uint8Array(9)
    resizeBox(image, out, 3, 3, { top: 0, left: 0, height: 3, width: 3 })
    expect([...out]).toEqual([...image])
    resizeBox(image, out, 3, 3, { top: 1, left: 1, height: 1, width: 1 })
    expect([...out]).toEqual(new Array(9).fill(40))
    resizeBox(image, out, 3, 3, { top: 0, left: 0, height: 1, width: 2 })
    expect([...out.subarray(0, 3)]).toEqual([0, 5, 10])
  })
  test('batches: drawn by seed, epoch and step, regions of the files themselves', async () => {
    const dir = temporaryFolder()
    await colours(dir, 4)
    const { train } = await readDataset(dir)
    const { bindings, splits } = bindColumns(signature([3, 8, 8]), { training: train })
    const batches = (seed: number) =>
      new Batches(splits.training, bindings, {
        batchSize: 3,
        seed,
        transforms: [transform, { kind: 'flip', alternating: false }],
      })
    const batch = await batches(1).batch(0, 0)
    expect(batch.images).toMatchObject({ dtype: 'uint8', shape: [3, 3, 8, 8] })
    for (let i = 0; i < 3; i++) {
      const isRed = Number(batch.labels!.data[i]) === 1
      const first = (batch.images!.data as Uint8Array).subarray(i * 192, i * 192 + 64)
      expect(first.every((value) => (isRed ? value > 200 : value < 60))).toBe(true)
    }
    expect(await batches(1).batch(0, 0)).toEqual(batch)
    expect(await batches(2).batch(0, 0)).not.toEqual(batch)
  })
})

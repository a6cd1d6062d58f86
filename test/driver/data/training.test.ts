// Training from each kind of data set, to an error that only who learned comes to; stopped and taken up again, to the same bytes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  adam,
  add,
  batchNorm,
  binaryCrossEntropy,
  columnStatistics,
  conv2d,
  type Dataset,
  dropout,
  type ExportOptions,
  exportModel,
  type FitOverrides,
  type FitResult,
  fit,
  flatten,
  type Graph,
  globalAveragePool,
  graph,
  input,
  linear,
  meanSquaredError,
  mul,
  normalizePixels,
  readDataset,
  readTrainableModel,
  relu,
  softmax,
  standardize,
  tanh,
} from 'rdm-onnx'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { randomStream } from '../../../src/core/random.js'
import { idx, npy, npyHeader, temporaryFolder, zip } from './support.js'

const recipe = { epochs: 1, batchSize: 32, learningRate: [[0, 0.01]] as [number, number][], augment: false }
const modelOf = (network: Graph, options: Partial<ExportOptions>) =>
  readTrainableModel(exportModel(network, { recipe, seed: 3, ...options }))

/** What must not depend on whether a run was stopped. */
const filesOf = (folder: string) =>
  ['checkpoint.safetensors', 'config.json', 'metrics.jsonl', 'model.onnx'].map((name) =>
    readFileSync(join(folder, name), 'latin1'),
  )

/** Trains in one go, and in two, which must come to the same bytes. */
async function train(model: ReturnType<typeof modelOf>, data: Dataset, settings: FitOverrides): Promise<FitResult> {
  const config = { threads: 1, target: 'portable', ...settings } as const
  const [whole, halves] = [temporaryFolder(), temporaryFolder()].map((dir) => join(dir, 'run')) as [string, string]
  const result = await fit({ model, data, out: whole, config })
  const steps = Math.floor(result.step / 2) + 1
  expect(await fit({ model, data, out: halves, config: { ...config, steps } })).toMatchObject({ reason: 'steps' })
  await fit({ model, data, out: halves, resume: true, config: { steps: null } })
  expect(filesOf(halves)).toEqual(filesOf(whole))
  return result
}

/** A font of 3×5 pixels: a row of three bits each, from above. */
const glyphs = ['75557', '26227', '71747', '71717', '55711', '74717', '74757', '71122', '75757', '75717']

/** Digits of 6×10 pixels in images of 12×14, anywhere, in noise. */
function drawnDigits(count: number, name: string) {
  const random = randomStream(7, name)
  const images = new Uint8Array(count * 14 * 12)
  const labels = Uint8Array.from({ length: count }, () => random.below(10))
  labels.forEach((label, i) => {
    const [top, left] = [random.below(5), random.below(7)]
    for (let y = 0; y < 14; y++) {
      for (let x = 0; x < 12; x++) {
        const [row, column] = [(y - top) >> 1, (x - left) >> 1]
        const inside = row >= 0 && row < 5 && column >= 0 && column < 3
        const isInk = inside && (Number(glyphs[label]![row]) >> (2 - column)) & 1
        images[(i * 14 + y) * 12 + x] = random.below(80) + (isInk ? 150 : 0)
      }
    }
  })
  return { images: idx([count, 14, 12], images), labels: idx([count], labels) }
}

test('digits from IDX files, by Adam, with dropout', async () => {
  const dir = temporaryFolder()
  for (const [part, count] of [
    ['train', 1200],
    ['t10k', 300],
  ] as const) {
    const { images, labels } = drawnDigits(count, part)
    writeFileSync(join(dir, `${part}-images-idx3-ubyte`), images)
    writeFileSync(join(dir, `${part}-labels-idx1-ubyte`), labels)
  }
  const images = input('images', 'uint8', ['batch', 1, 14, 12])
  const pixels = normalizePixels(images, { mean: [0.3], std: [0.25] })
  const first = relu(batchNorm(conv2d(pixels, 'conv1', { channels: 16, kernel: 3, stride: 2 }), 'bn1'))
  const second = relu(batchNorm(conv2d(first, 'conv2', { channels: 24, kernel: 3 }), 'bn2'))
  const hidden = dropout(relu(linear(flatten(second), 'hidden', 64)), 0.3)
  const logits = linear(hidden, 'classifier', 10)
  const network = graph('digits', [images], { logits, probabilities: softmax(logits) })
  const model = modelOf(network, { optimizer: adam() })
  const { history } = await train(model, await readDataset(dir), {
    epochs: 5,
    learningRate: [
      [0, 0.003],
      [4, 0.0005],
    ],
  })
  // Chance is 90 %.
  expect(history.at(-1)!.testError).toBeLessThan(0.05)
})

test('photographs from a folder a class, PNG and JPEG of several sizes, by regions of them', async () => {
  const dir = temporaryFolder()
  const random = randomStream(5, 'shapes')
  const shapes: Record<string, (size: number) => string> = {
    disc: (size) => `<circle cx="${size / 2}" cy="${size / 2}" r="${size * 0.4}"/>`,
    rows: (size) =>
      [0.1, 0.4, 0.7].map((y) => `<rect y="${y * size}" width="${size}" height="${size * 0.15}"/>`).join(''),
    columns: (size) =>
      [0.1, 0.4, 0.7].map((x) => `<rect x="${x * size}" width="${size * 0.15}" height="${size}"/>`).join(''),
  }
  for (const [name, draw] of Object.entries(shapes)) {
    for (let i = 0; i < 60; i++) {
      const part = i < 45 ? 'train' : 'val'
      mkdirSync(join(dir, part, name), { recursive: true })
      const size = 24 + random.below(16)
      const [dark, bright] = [random.below(90), 160 + random.below(90)]
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${size + random.below(6)}" height="${size}" fill="rgb(${bright},${bright},${dark})"><rect width="100%" height="100%" fill="rgb(${dark},${dark},${bright})"/>${draw(size)}</svg>`
      await sharp(Buffer.from(svg))
        .removeAlpha()
        .toFile(join(dir, part, name, `${i}.${i % 2 ? 'png' : 'jpg'}`))
    }
  }
  const images = input('images', 'uint8', ['batch', 3, 16, 16])
  const pixels = normalizePixels(images, { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] })
  const first = relu(batchNorm(conv2d(pixels, 'conv1', { channels: 8, kernel: 3 }), 'bn1'))
  const second = relu(batchNorm(conv2d(first, 'conv2', { channels: 16, kernel: 3, stride: 2 }), 'bn2'))
  const logits = linear(flatten(globalAveragePool(second)), 'classifier', 3)
  const network = graph('shapes', [images], { logits, probabilities: softmax(logits) })
  const model = modelOf(network, { recipe: { ...recipe, momentum: 0.9 } })
  const { history } = await train(model, await readDataset(dir), {
    epochs: 6,
    batchSize: 15,
    learningRate: [[0, 0.05]],
    augment: [
      { kind: 'random-resized-crop', scale: [0.5, 1], ratio: [3 / 4, 4 / 3] },
      { kind: 'flip', alternating: false },
    ],
  })
  // Chance is 67 %.
  expect(history.at(-1)!.testError).toBeLessThan(0.1)
})

test('a regression from a table, standardized by the statistics of its training split', async () => {
  const random = randomStream(1, 'houses')
  const lines = Array.from({ length: 500 }, () => {
    const [area, rooms, year] = [40 + 160 * random.uniform(), 1 + random.below(6), 1900 + random.below(120)]
    const price = 2000 * area + 8000 * rooms + 60_000 * Math.sin((year - 1900) / 20) + 5000 * random.normal()
    return [area.toFixed(1), rooms, random.below(2) ? 'north' : 'south', year, price.toFixed(0)].join(',')
  })
  const path = join(temporaryFolder(), 'houses.csv')
  writeFileSync(path, ['area,rooms,side,year,price', ...lines].join('\n'))
  const data = await readDataset(path)
  const features = ['area', 'rooms', 'year']
  const x = input('x', 'float32', ['batch', features.length])
  const standard = standardize(x, columnStatistics(data.train, features))
  const hidden = tanh(linear(tanh(linear(standard, 'first', 24)), 'second', 24))
  // What is learned has mean 0 and deviation 1; what comes out is a price.
  const { mean, std } = columnStatistics(data.train, 'price')
  const price = add(mul(linear(hidden, 'out', 1), std[0]!), mean[0]!)
  const network = graph('houses', [x], { price })
  const model = modelOf(network, { loss: meanSquaredError({ targets: 'target' }), optimizer: adam() })
  const { history } = await train(model, data, {
    epochs: 20,
    learningRate: [
      [0, 0.02],
      [15, 0.003],
    ],
    inputs: { x: 'area,rooms,year', target: 'price' },
  })
  // Noise alone is 4000, a constant 100,000, and a straight line some 40,000.
  expect(history.at(-1)!.testMetrics!.mae).toBeLessThan(8000)
  expect(history.at(-1)!.testMetrics!.r2).toBeGreaterThan(0.98)
})

test('several answers an example, from arrays in .npz', async () => {
  const random = randomStream(2, 'answers')
  const directions = Array.from({ length: 3 }, () => Array.from({ length: 6 }, () => random.normal()))
  const arrays = (part: string, count: number) => {
    const x = Float32Array.from({ length: count * 6 }, () => random.normal())
    const y = Uint8Array.from({ length: count * 3 }, (_, i) => {
      const row = x.subarray(6 * Math.floor(i / 3))
      return Number(directions[i % 3]!.reduce((sum, weight, j) => sum + weight * row[j]!, 0) > 0)
    })
    return [
      { name: `${part}_x.npy`, content: npy(npyHeader("'<f4'", `${count}, 6`), new Uint8Array(x.buffer)) },
      { name: `${part}_y.npy`, content: npy(npyHeader("'|u1'", `${count}, 3`), y) },
    ]
  }
  const path = join(temporaryFolder(), 'answers.npz')
  writeFileSync(path, zip(...arrays('train', 400), ...arrays('test', 200)))
  const x = input('x', 'float32', ['batch', 6])
  const network = graph('answers', [x], { logits: linear(x, 'out', 3) })
  const model = modelOf(network, { loss: binaryCrossEntropy(), optimizer: adam() })
  const { history } = await train(model, await readDataset(path), {
    epochs: 10,
    learningRate: [[0, 0.1]],
    inputs: { targets: 'y' },
  })
  // Chance is 50 %.
  expect(history.at(-1)!.testError ?? history.at(-1)!.testMetrics!.error).toBeLessThan(0.05)
})

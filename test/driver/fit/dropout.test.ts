// A run with dropout: stopped anywhere and resumed, it drops what it would have dropped, to the bit.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  dropout,
  exportModel,
  type FitConfig,
  type FitEvent,
  type FitOptions,
  fit,
  flatten,
  graph,
  input,
  linear,
  normalizePixels,
  readTrainableModel,
  recipes,
  relu,
} from 'rdm-onnx'
import { expect, it, onTestFinished } from 'vitest'
import { tinyData } from '../../support/tinyData.js'

/** 72 images in batches of 16: five steps an epoch. */
const data = tinyData()

function modelOf(ratio: number) {
  const images = input('images', 'uint8', ['batch', 3, 8, 8])
  const pixels = normalizePixels(images, { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] })
  const hidden = dropout(relu(linear(dropout(flatten(pixels), ratio / 2), 'hidden', 24)), ratio)
  const logits = linear(hidden, 'out', 10)
  return readTrainableModel(exportModel(graph('dropped', [images], { logits }), { recipe: recipes.paper, seed: 1 }))
}
const model = modelOf(0.4)

function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'rdm-dropout-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  return join(parent, 'run')
}

const usual: Partial<FitConfig> = {
  threads: 1,
  target: 'portable',
  epochs: 2,
  batchSize: 16,
  learningRate: [[0, 0.02]],
}
const run = (out: string, config: Partial<FitConfig> = {}, options: Partial<FitOptions> = {}) =>
  fit({ model, data, out, ...options, config: { ...usual, ...config } })

const bytesOf = (folder: string) =>
  ['checkpoint.safetensors', 'metrics.jsonl', 'model.onnx'].map((name) => readFileSync(join(folder, name), 'latin1'))

async function stopped(step: number, config: Partial<FitConfig>): Promise<string> {
  const out = newFolder()
  const stopping = new AbortController()
  const onEvent = (event: FitEvent) => {
    if (event.event === 'step' && event.step >= step) stopping.abort()
  }
  expect(await run(out, config, { signal: stopping.signal, onEvent })).toMatchObject({ reason: 'interrupted' })
  return out
}

it.each([
  ['portable', {}],
  ['portable, two batches an update', { accumulate: 2 }],
  ['ort-cuda, two steps a run', { target: 'ort-cuda', stepsPerRun: 2 }],
] as const)('%s: a resumed run ends in the bytes of one that was never stopped', async (_, config) => {
  const whole = newFolder()
  await run(whole, config)
  for (const step of [1, 4, 5, 7]) {
    const out = await stopped(step, config)
    expect(await run(out, config, { resume: true })).toMatchObject({ reason: 'finished', step: 10 })
    expect(bytesOf(out)).toEqual(bytesOf(whole))
  }
})

it('drops by seed, and only in training', async () => {
  const [first, again, other] = [await run(newFolder()), await run(newFolder()), await run(newFolder(), { seed: 2 })]
  expect(again.state).toEqual(first.state)
  expect(other.state).not.toEqual(first.state)
  // At a rate of 0 both networks keep the weights that they have in common.
  const still: Partial<FitConfig> = { epochs: 1, learningRate: [[0, 0]] }
  const dropping = await run(newFolder(), still)
  const plain = await run(newFolder(), still, { model: modelOf(0) })
  expect(dropping.history[0]!.loss).not.toBe(plain.history[0]!.loss)
  expect(dropping.history[0]!.testLoss).toBe(plain.history[0]!.testLoss)
})

it('gives one run the masks that single steps have, many steps a run', async () => {
  const single = await run(newFolder())
  const looped = await run(newFolder(), { target: 'ort-cuda', stepsPerRun: 3 })
  single.history.forEach(({ loss, testLoss }, i) => {
    expect(looped.history[i]!.loss).toBeCloseTo(loss, 4)
    expect(looped.history[i]!.testLoss).toBeCloseTo(testLoss, 3)
  })
})

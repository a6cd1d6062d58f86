// Training by --ep webgpu on an adapter in software: the numbers of the CPU, stopped and resumed to the same bytes; and without an
// adapter, on the CPU with a notice.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fit, readTrainableModel } from 'rdm-onnx'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { apply1, input } from '../../../src/core/graph/value.js'
import { batchNorm, conv2d, linear, normalizePixels } from '../../../src/core/layers/index.js'
import { add, dropout, flatten, Gate, globalAveragePool, relu } from '../../../src/core/ops/index.js'
import { adamw } from '../../../src/core/optimizers/index.js'
import type { FitOverrides } from '../../../src/driver/fit/config.js'
import { decodeCheckpoint } from '../../../src/driver/run/checkpoint.js'
import { readTiming } from '../../../src/driver/run/timing.js'
import { fileOf } from '../../support/models.js'
import { tinyData } from '../../support/tinyData.js'
import { hasWebgpu, type TrainJob, WebgpuProcess, withoutAdapter } from '../../support/webgpu.js'

/** 72 images in batches of 16: four whole batches an epoch, and one of 8. */
const data = tinyData()

/** A batch norm, a gate, dropout; trained by AdamW. */
function modelFile(): Uint8Array {
  const images = input('images', 'uint8', ['batch', 3, 8, 8])
  const pixels = normalizePixels(images, { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] })
  const stem = conv2d(pixels, 'stem', { channels: 6, kernel: 3 })
  const block = conv2d(relu(batchNorm(stem, 'bn')), 'conv', { channels: 6, kernel: 3 })
  const gated = apply1(Gate, [block], { survival: 0.7 })
  const logits = linear(dropout(flatten(globalAveragePool(add(stem, gated))), 0.3), 'out', 10)
  return fileOf(graph('drawn', [images], { logits }), { optimizer: adamw() })
}
const model = modelFile()

function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'rdm-webgpu-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  return join(parent, 'run')
}

const common = { threads: 1, epochs: 2, batchSize: 16, learningRate: [[0, 0.01]] } satisfies FitOverrides
const job = (out: string, config: FitOverrides = {}, rest: Partial<TrainJob> = {}): TrainJob => ({
  ...{ model, data, out, ...rest },
  config: { ...common, provider: 'webgpu', ...config },
})
const stateOf = (folder: string) => {
  const path = join(folder, 'checkpoint.safetensors')
  return decodeCheckpoint(readFileSync(path), path).state
}
const bytesOf = (folder: string) =>
  ['metrics.jsonl', 'model.onnx'].map((name) => readFileSync(join(folder, name), 'latin1'))
const onCpu = (config: FitOverrides) =>
  fit({ model: readTrainableModel(model), data, out: newFolder(), config: { ...common, ...config } })

it('several steps a run are the portable steps, on the CPU too: same masks, same gates, the small last batch', async () => {
  const [single, unrolled] = [
    await onCpu({ target: 'portable' }),
    await onCpu({ target: 'ort-webgpu', stepsPerRun: 3 }),
  ]
  unrolled.history.forEach(({ loss, testLoss }, i) => {
    expect(loss).toBeCloseTo(single.history[i]!.loss, 5)
    expect(testLoss).toBeCloseTo(single.history[i]!.testLoss, 5)
  })
})

describe.runIf(hasWebgpu)('on WebGPU', { timeout: 300_000 }, () => {
  const device = new WebgpuProcess()
  afterAll(() => device.close())

  it('trains as the CPU does; stopped anywhere and resumed, to the same bytes', async () => {
    const [whole, stopped] = [newFolder(), newFolder()]
    const trained = await device.train(job(whole, { stepsPerRun: 3 }))
    expect(trained).toMatchObject({ reason: 'finished', step: 10 })
    const expected = await onCpu({ target: 'portable' })
    trained.history.forEach(({ loss, testLoss }, i) => {
      expect(loss).toBeCloseTo(expected.history[i]!.loss, 4)
      expect(testLoss).toBeCloseTo(expected.history[i]!.testLoss, 4)
    })
    const images = trained.events.flatMap((event) => (event.event === 'step' ? [event.images] : []))
    expect(images).toEqual([16, 16, 16, 16, 8, 16, 16, 16, 16, 8])

    const first = await device.train(job(stopped, { stepsPerRun: 2 }, { stopAt: 2 }))
    expect(first).toMatchObject({ reason: 'interrupted', step: 2 })
    await device.train(job(stopped, {}, { resume: true }))
    expect(bytesOf(stopped)).toEqual(bytesOf(whole))
    expect(stateOf(stopped)).toEqual(stateOf(whole))
    const { epochs } = await readTiming(whole)
    expect(epochs.map(({ provider, target }) => [provider, target])).toEqual([
      ['webgpu', 'ort-webgpu'],
      ['webgpu', 'ort-webgpu'],
    ])
  })
})

it('trains on the CPU where there is no adapter, and says so and why', async () => {
  const without = new WebgpuProcess(withoutAdapter())
  onTestFinished(() => without.close())
  const out = newFolder()
  const { events, reason } = await without.train(job(out, { epochs: 1, target: 'portable' }))
  const notices = events.flatMap((event) => (event.event === 'notice' ? [event.message] : []))
  expect(reason).toBe('finished')
  expect(notices).toHaveLength(1)
  expect(notices[0]).toMatch(
    /^training on the CPU, which is slower: the execution provider "webgpu" is not available: /,
  )
  expect(notices[0]).toContain('(Debian: libvulkan1)')
  const { epochs } = await readTiming(out)
  expect(epochs.map(({ provider }) => provider)).toEqual(['cpu'])
  // What was asked for stays: on another day there may be one.
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')).config.provider).toBe('webgpu')
})

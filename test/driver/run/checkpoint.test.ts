// Checkpoints and files: round trips, the newest two, and a disk that is full.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  loadCheckpoint,
  readProgress,
  saveCheckpoint,
} from '../../../src/driver/run/checkpoint.js'
import { writeAtomically } from '../../../src/driver/run/files.js'
import { addBatch, afterEpoch, afterStep, scoresOf, startOfRun } from '../../../src/driver/run/metrics.js'
import { decodeSafetensors, encodeSafetensors } from '../../../src/driver/run/safetensors.js'

const disk = vi.hoisted(() => ({ failure: undefined as string | undefined }))

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>()
  return {
    ...real,
    async open(...args: Parameters<typeof real.open>) {
      const handle = await real.open(...args)
      const { failure } = disk
      if (failure !== undefined) {
        handle.writeFile = async () => {
          throw Object.assign(new Error(`${failure}: something`), { code: failure })
        }
      }
      return handle
    },
  }
})

beforeEach(() => {
  disk.failure = undefined
})

function newFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'rdm-checkpoint-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

const recipe = {
  epochs: 3,
  batchSize: 4,
  learningRate: [[0, 0.1]] as [number, number][],
  momentum: 0.9,
  weightDecay: 0,
  nesterov: false,
  augment: true,
}
const { momentum, weightDecay, nesterov, augment, ...fromRecipe } = recipe

const checkpoint = (step: number): Checkpoint => ({
  state: { w: { dtype: 'float32', shape: [2], data: Float32Array.of(step, 0.1) } },
  progress: { ...startOfRun, step, examples: 3, sums: { loss: 1 / 3 } },
  config: {
    ...fromRecipe,
    schedules: {},
    augment,
    testAugment: 'none',
    dropLast: false,
    accumulate: 1,
    inputs: {},
    seed: 1,
    steps: null,
    threads: 1,
    runtime: 'node',
    provider: 'cpu',
    device: 0,
    target: 'portable',
    precision: 'fp32',
    stepsPerRun: null,
    checkpointSeconds: 60,
  },
  recipe,
  model: 'm',
  data: 'd',
})

it('gives back what was saved, to the bit', () => {
  const bytes = encodeCheckpoint(checkpoint(7))
  expect(decodeCheckpoint(bytes, 'x')).toEqual(checkpoint(7))
  expect(encodeCheckpoint(decodeCheckpoint(bytes, 'x'))).toEqual(bytes)
})

it('keeps the newest two', async () => {
  const folder = newFolder()
  expect(await loadCheckpoint(folder)).toBeUndefined()
  for (const step of [1, 2, 3]) await saveCheckpoint(folder, checkpoint(step))
  expect(readdirSync(folder).sort()).toEqual(['checkpoint.previous.safetensors', 'checkpoint.safetensors'])
  expect(await loadCheckpoint(folder)).toEqual({ checkpoint: checkpoint(3), damaged: undefined })
  rmSync(join(folder, 'checkpoint.safetensors'))
  expect(await loadCheckpoint(folder)).toEqual({ checkpoint: checkpoint(2), damaged: undefined })
})

it('passes over a damaged file, and fails when both are', async () => {
  const folder = newFolder()
  for (const step of [1, 2]) await saveCheckpoint(folder, checkpoint(step))
  const newest = join(folder, 'checkpoint.safetensors')
  const { tensors, metadata } = decodeSafetensors(readFileSync(newest), newest)
  writeFileSync(newest, encodeSafetensors({ tensors, metadata: { ...metadata, progress: '{"step":' } }))
  expect(await loadCheckpoint(folder)).toMatchObject({
    checkpoint: checkpoint(1),
    damaged: expect.stringContaining('checkpoint.safetensors is damaged or no checkpoint: progress: '),
  })
  writeFileSync(join(folder, 'checkpoint.previous.safetensors'), encodeSafetensors({ tensors, metadata: {} }))
  await expect(loadCheckpoint(folder)).rejects.toThrow('checkpoint.safetensors is damaged or no checkpoint: progress: ')
})

it('tells how far a run is without its tensors, by the newest file whose header is whole', async () => {
  const folder = newFolder()
  expect(await readProgress(folder)).toBeUndefined()
  for (const step of [1, 2]) await saveCheckpoint(folder, checkpoint(step))
  expect(await readProgress(folder)).toEqual(checkpoint(2).progress)
  const newest = join(folder, 'checkpoint.safetensors')
  const bytes = readFileSync(newest)
  const headerOnly = bytes.subarray(0, 8 + Number(bytes.readBigUInt64LE()))
  writeFileSync(newest, headerOnly)
  expect(await readProgress(folder)).toEqual(checkpoint(2).progress)
  for (const torn of [bytes.subarray(0, 5), headerOnly.subarray(0, -1), Buffer.alloc(16, 255)]) {
    writeFileSync(newest, torn)
    expect(await readProgress(folder)).toEqual(checkpoint(1).progress)
  }
  rmSync(join(folder, 'checkpoint.previous.safetensors'))
  expect(await readProgress(folder)).toBeUndefined()
})

it.each([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the disk is full'],
  ['EIO', 'EIO: something'],
])('leaves everything as it was when the disk says %s', async (code, reason) => {
  const folder = newFolder()
  for (const step of [1, 2]) await saveCheckpoint(folder, checkpoint(step))
  disk.failure = code
  const path = join(folder, 'checkpoint.safetensors')
  const message = `cannot write ${path}: ${reason}; what was there before is untouched`
  await expect(saveCheckpoint(folder, checkpoint(3))).rejects.toThrow(message)
  expect(readdirSync(folder).sort()).toEqual(['checkpoint.previous.safetensors', 'checkpoint.safetensors'])
  expect(await loadCheckpoint(folder)).toMatchObject({ checkpoint: checkpoint(2) })
})

it('replaces a file as a whole', async () => {
  const path = join(newFolder(), 'a.txt')
  await writeAtomically(path, 'first')
  await writeAtomically(path, 'second')
  expect(readFileSync(path, 'utf8')).toBe('second')
  disk.failure = 'ENOSPC'
  await expect(writeAtomically(path, 'third')).rejects.toThrow(`cannot write ${path}: the disk is full`)
  expect(readFileSync(path, 'utf8')).toBe('second')
})

it('sums over the examples of an epoch', () => {
  const measured = {
    loss: 'loss',
    metrics: [
      { name: 'error', output: 'correct', kind: 'right' },
      { name: 'mae', output: 'mae', kind: 'mean' },
      { name: 'r2', output: 'squared_error', kind: 'r2', target: 'y' },
    ],
  } as const
  const metrics = [...measured.metrics]
  const first = addBatch({}, { loss: 2, correct: 3, mae: 0.5, squared_error: 1 }, { ...measured, metrics }, 4)
  const sums = addBatch(first, { loss: 1, correct: 0, mae: 2, squared_error: 4 }, { ...measured, metrics }, 2)
  const progress = afterStep(afterStep(startOfRun, first, 4), sums, 2)
  expect(progress).toMatchObject({ step: 2, epoch: 0, epochStep: 2, examples: 6 })
  expect(progress.sums.loss! / progress.examples).toBe(10 / 6)
  // R² = 1 − mean squared error/variance of the target.
  expect(scoresOf(metrics, sums, 6, () => 8)).toEqual({ error: 3 / 6, mae: 1, r2: 1 - 2 / 8 })
  expect(scoresOf(metrics, sums, 6)).toEqual({ error: 3 / 6, mae: 1 })
  expect(scoresOf(metrics, {}, 0)).toEqual({ error: 0, mae: 0 })
  const epoch = { epoch: 0, step: 2, learningRate: 0.1, loss: 10 / 6, error: 0.5, testLoss: 1, testError: 0.5 }
  expect(afterEpoch(progress, epoch)).toEqual({ ...startOfRun, step: 2, epoch: 1, history: [epoch] })
})

// The driver on target ort-cuda, on the CPU provider: what runs of many steps leave is what single steps leave, however many
// a run takes and wherever it is stopped.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FitEvent, type FitOptions, fit, readTrainableModel } from 'rdm-onnx'
import { describe, expect, it, onTestFinished } from 'vitest'
import { residualNetwork } from '../../../graphs/residual.js'
import type { Tensors } from '../../../src/core/graph/tensor.js'
import { decodeCheckpoint, encodeCheckpoint } from '../../../src/driver/run/checkpoint.js'
import { fileOf } from '../../support/models.js'
import { tinyNetworks } from '../../support/networks.js'
import { tinyData } from '../../support/tinyData.js'

/** 72 images in batches of 16: four whole batches an epoch, and one of 8. */
const data = tinyData()
const network = residualNetwork({ ...tinyNetworks['RDM basic, stochastic depth'], imageSize: 8, blocks: [1, 1, 1] })
const model = readTrainableModel(fileOf(network))

function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'rdm-loop-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  return join(parent, 'run')
}

const common = { threads: 1, target: 'ort-cuda', epochs: 2, batchSize: 16, learningRate: [[0, 0.05]] } as const
type Config = NonNullable<FitOptions['config']>
const run = (out: string, config: Config = {}, options: Partial<FitOptions> = {}) =>
  fit({ model, data, out, ...options, config: { ...common, learningRate: [[0, 0.05]], ...config } })

/** What must not depend on how the steps are put into runs. */
const bytesOf = (folder: string) =>
  ['metrics.jsonl', 'model.onnx', 'curves.svg'].map((name) => readFileSync(join(folder, name), 'latin1'))
const checkpointOf = (folder: string) => {
  const path = join(folder, 'checkpoint.safetensors')
  return decodeCheckpoint(readFileSync(path), path)
}

/** Largest difference over the largest number, over all of the state. */
function distance(a: Tensors, b: Tensors): number {
  let [worst, scale] = [0, 0]
  for (const [name, { data: values }] of Object.entries(a))
    values.forEach((value: number | bigint, i: number) => {
      worst = Math.max(worst, Math.abs(Number(value) - Number(b[name]!.data[i])))
      scale = Math.max(scale, Math.abs(Number(value)))
    })
  return worst / scale
}

describe('steps in a loop', () => {
  it('train as single steps do: same batches, same gates, the small last batch too', async () => {
    const [single, looped] = [newFolder(), newFolder()]
    const portable = await run(single, { target: 'portable' })
    const events: FitEvent[] = []
    const result = await run(looped, {}, { onEvent: (event) => events.push(event) })
    expect(distance(portable.state, result.state)).toBeLessThan(1e-4)
    result.history.forEach((epoch, i) => {
      expect(epoch.loss).toBeCloseTo(portable.history[i]!.loss, 4)
      expect(epoch.testLoss).toBeCloseTo(portable.history[i]!.testLoss, 3)
    })
    const images = events.flatMap((event) => (event.event === 'step' ? [event.images] : []))
    expect(images).toEqual([16, 16, 16, 16, 8, 16, 16, 16, 16, 8])
    expect(portable.history[1]!.loss).toBeLessThan(portable.history[0]!.loss)
  })

  it('leave the same bytes, however many a run takes', async () => {
    const folders = await Promise.all(
      [1, 3, 100].map(async (stepsPerRun) => {
        const folder = newFolder()
        await run(folder, { stepsPerRun })
        return folder
      }),
    )
    const [first, ...others] = folders.map(bytesOf)
    for (const other of others) expect(other).toEqual(first)
    const [state, ...states] = folders.map((folder) => checkpointOf(folder).state)
    for (const other of states) expect(other).toEqual(state)
  })

  it.each(['fp32', 'fp16'] as const)('in %s go on where they were stopped, to the bit', async (precision) => {
    const [whole, stopped] = [newFolder(), newFolder()]
    await run(whole, { precision, stepsPerRun: 3 })
    // Stopped from outside within an epoch, then by a number of steps within the next, then to the end.
    const stopping = new AbortController()
    const onEvent = (event: FitEvent) => {
      if (event.event === 'step' && event.step === 2) stopping.abort()
    }
    const first = await run(stopped, { precision, stepsPerRun: 2 }, { signal: stopping.signal, onEvent })
    expect(first).toMatchObject({ reason: 'interrupted', step: 2 })
    const second = await run(stopped, { precision, steps: 6 }, { resume: true })
    expect(second).toMatchObject({ reason: 'steps', step: 6 })
    await run(stopped, { precision, steps: 1000 }, { resume: true })
    expect(bytesOf(stopped)).toEqual(bytesOf(whole))
    expect(checkpointOf(stopped).state).toEqual(checkpointOf(whole).state)
  })

  it('keep the loss scale of half precision with the run, and count what it skips', async () => {
    const folder = newFolder()
    const result = await run(folder, { precision: 'fp16', epochs: 1 })
    const { state } = checkpointOf(folder)
    expect(state.loss_scale!.data[0]).toBe(2 ** 16)
    expect(state['loss_scale.steady_steps']!.data[0]).toBe(5)
    expect(result.history.map(({ skippedSteps }) => skippedSteps)).toEqual([0])
    // The trained model is the model alone.
    expect(Object.keys(readTrainableModel(readFileSync(join(folder, 'model.onnx'))).state)).toEqual(
      Object.keys(model.state),
    )
    await expect(run(folder, { precision: 'fp32', epochs: 2 }, { resume: true })).rejects.toThrow(
      /has precision "fp16", not "fp32": leave out --precision/,
    )
  })

  it('end when no loss scale is small enough', async () => {
    const folder = newFolder()
    await run(folder, { precision: 'fp16', epochs: 1 })
    const checkpoint = checkpointOf(folder)
    const loss_scale = { dtype: 'float32', shape: [], data: Float32Array.of(2 ** -20) } as const
    const halved = encodeCheckpoint({ ...checkpoint, state: { ...checkpoint.state, loss_scale } })
    writeFileSync(join(folder, 'checkpoint.safetensors'), halved)
    await expect(run(folder, { precision: 'fp16', epochs: 2 }, { resume: true })).rejects.toThrow(
      'the gradients overflow, whatever the loss is scaled by (9.5367431640625e-7) at step 6 (epoch 1, learning rate 0.05)',
    )
    expect(readFileSync(join(folder, 'checkpoint.safetensors'))).toEqual(Buffer.from(halved))
  })

  it('end when training diverges, and keep what was good', async () => {
    const folder = newFolder()
    await run(folder, { epochs: 1 })
    const good = checkpointOf(folder)
    await expect(
      fit({ model, data, out: newFolder(), config: { ...common, learningRate: [[0, 1e20]], stepsPerRun: 4 } }),
    ).rejects.toThrow(/at step \d+ \(epoch 0, learning rate 100000000000000000000\): training diverged/)
    expect(checkpointOf(folder)).toEqual(good)
  })
})

// Files whose training_info is in ONNX's own words: trained by the driver, as test/fixtures/standardTraining/write.py does with
// numpy in float64.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Column,
  type FitConfig,
  type FitEvent,
  type FitOptions,
  fit,
  readTrainableModel,
  type Split,
} from 'rdm-onnx'
import { describe, expect, it, onTestFinished } from 'vitest'
import { widen } from '../../../src/core/graph/tensor.js'
import { edited } from '../../support/models.js'
import { openModel } from '../../support/runtime.js'
import { standardFile, standardTraining, withDropout } from '../../support/standardTraining.js'

const { examples, models } = standardTraining
const modelOf = (name: string) => readTrainableModel(standardFile(name), `${name}.onnx`)

const floats = (shape: readonly number[], data: readonly number[]): Column => {
  return { kind: 'tensor', dtype: 'float32', shape, data: Float32Array.from(data) }
}
const count = examples.labels.length
const x = floats([3], examples.x)
const numbers = floats([1], examples.numbers)
const classes: Column = { kind: 'tensor', dtype: 'int32', shape: [], data: Int32Array.from(examples.labels) }
const splits: Readonly<Record<string, Split>> = {
  Adam: { count, columns: { x, target: numbers } },
  Adagrad: { count, columns: { x, wanted: numbers } },
  Nesterov: { count, columns: { x, classes } },
  autoencoder: { count, columns: { x } },
  'batch norm': { count, columns: { x, classes } },
  'batch norm inside': { count, columns: { x, classes } },
}
/** Two files have a rate of their own. */
const rateOf = (name: string): Partial<FitConfig> =>
  name === 'Adam' || name === 'autoencoder' ? {} : { learningRate: [[0, 0.125]] }

function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'rdm-standard-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  return join(parent, 'run')
}

/** Each step over all examples, as an epoch. */
function run(name: string, out: string, config: Partial<FitConfig> = {}, options: Partial<FitOptions> = {}) {
  const data = { format: 'drawn', train: splits[name]!, test: splits[name]! }
  const usual = { threads: 1, epochs: models[name]!.losses.length, batchSize: count, target: 'portable' as const }
  return fit({ model: modelOf(name), data, out, ...options, config: { ...usual, ...rateOf(name), ...config } })
}

const near = (actual: readonly number[], expected: readonly number[]) => {
  expect(actual.length).toBe(expected.length)
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(3e-6 * Math.max(1, Math.abs(expected[i]!)))
  })
}

describe.each(Object.keys(models))('%s', (name) => {
  const { losses, last, state } = models[name]!

  it.each(['portable', 'ort-cpu', 'ort-cuda'] as const)('%s trains as float64 does', async (target) => {
    const result = await run(name, newFolder(), { target })
    near(
      result.history.map(({ loss }) => loss),
      losses,
    )
    near([result.history.at(-1)!.testLoss], [last])
    expect(Object.keys(result.state).sort()).toEqual(Object.keys(state).sort())
    for (const [key, value] of Object.entries(state)) near([...widen(result.state[key]!).data], value)
  })

  it.runIf(['Adam', 'Adagrad', 'batch norm'].includes(name))(
    'resumed, it ends in the bytes of a run that was never stopped',
    async () => {
      const [whole, parted] = [newFolder(), newFolder()]
      const config = { batchSize: 5 }
      await run(name, whole, config)
      const stopping = new AbortController()
      const onEvent = (event: FitEvent) => {
        if (event.event === 'step' && event.step >= 5) stopping.abort()
      }
      expect(await run(name, parted, config, { signal: stopping.signal, onEvent })).toMatchObject({
        reason: 'interrupted',
      })
      await run(name, parted, config, { resume: true })
      const files = (folder: string) =>
        ['checkpoint.safetensors', 'metrics.jsonl', 'model.onnx'].map((file) =>
          readFileSync(join(folder, file), 'latin1'),
        )
      expect(files(parted)).toEqual(files(whole))
      const trained = new Uint8Array(readFileSync(join(whole, 'model.onnx')))
      expect(readTrainableModel(trained).withState(modelOf(name).state)).toEqual(
        modelOf(name).withState(modelOf(name).state),
      )
    },
  )

  // The statistics of a batch norm are those of each half.
  it.skipIf(name.startsWith('batch norm'))('two halves that make one update are one batch', async () => {
    const result = await run(name, newFolder(), { batchSize: count / 2, accumulate: 2 })
    for (const [key, value] of Object.entries(state)) near([...widen(result.state[key]!).data], value)
  })
})

it('resumed, dropout of a file drops what it would have dropped, and not in evaluation', async () => {
  const model = readTrainableModel(edited(standardFile('Nesterov'), withDropout))
  const [whole, parted] = [newFolder(), newFolder()]
  const { history } = await run('Nesterov', whole, { batchSize: 5 }, { model })
  await run('Nesterov', parted, { batchSize: 5, steps: 5 }, { model })
  await run('Nesterov', parted, { steps: null, batchSize: 5 }, { model, resume: true })
  const metrics = (folder: string) => readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
  expect(metrics(parted)).toBe(metrics(whole))
  // At a rate of next to nothing the weights stay, and so does what they predict.
  const still = await run('Nesterov', newFolder(), { learningRate: [[0, 1e-9]] }, { model })
  near([still.history.at(-1)!.testLoss], [models.Nesterov!.losses[0]!])
  expect(history.at(-1)!.testLoss).not.toBeCloseTo(models.Nesterov!.losses[0]!, 2)
})

it('says what a file is trained with: its own rate, or one that suits its optimizer', async () => {
  expect(modelOf('Adam').recipe.learningRate).toEqual([[0, 0.0625]])
  expect(modelOf('Adam').rateAt?.(modelOf('Adam').state)).toBe(0.0625)
  expect(modelOf('Adam').signature.hyperparameters).toEqual({})
  expect(modelOf('Adagrad').signature).toMatchObject({ hyperparameters: { eta: null }, stepCount: 'iteration' })
  await expect(run('Adam', newFolder(), { learningRate: [[0, 0.1]] })).rejects.toThrow(
    'the training step takes no learning rate, its file fixes it: leave out --lr',
  )
})

it('says the rate that a step moves by itself, as it is after an epoch', async () => {
  const { history } = await run('autoencoder', newFolder())
  expect(history.map(({ learningRate }) => learningRate)).toEqual([0.125, 0.0625, 0.03125, 0.015625])
})

it('counts right answers where the loss is over classes', async () => {
  expect(modelOf('Nesterov').signature.metrics).toEqual([{ name: 'error', kind: 'right', output: 'correct' }])
  expect(modelOf('Nesterov').signature.targets).toEqual([
    { name: 'classes', dtype: 'int64', shape: ['batch'], classes: 3 },
  ])
  expect(modelOf('batch norm').signature.statistics).toEqual(['mean', 'variance'])
})

it('first weights are drawn by the initialization of the file', async () => {
  const model = modelOf('Adam')
  const drawn = async (seed: number) => {
    const { model: bytes, initial } = model.initialization(seed)
    expect(initial).toEqual({ 'hidden/W.drawn': 'hidden/W', 'out/W.drawn': 'out/W' })
    const outputs = await (await openModel(bytes)).run(new Map())
    return Object.keys(initial).flatMap((name) => [...outputs.get(name)!.data])
  }
  const numbers = await drawn(1)
  expect(numbers).toHaveLength(16)
  expect(await drawn(1)).toEqual(numbers)
  expect(await drawn(2)).not.toEqual(numbers)
})

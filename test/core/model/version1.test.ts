// Files and run folders of version 0.1 (test/fixtures/version1, written by its last commit): today's reader trains them to the
// bits of that time, and goes on with them.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { fit, imageSet, readTrainableModel as readCompiled } from 'rdm-onnx'
import { describe, expect, it, onTestFinished } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers, widen } from '../../../src/core/graph/tensor.js'
import { accumulating } from '../../../src/core/model/accumulating.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { ortCuda } from '../../../src/driver/targets/ort-cuda/index.js'
import { expectNear, trainOn } from '../../support/pytorch.js'
import { openModel, type Tensors } from '../../support/runtime.js'

const path = (name: string) => new URL(`../../fixtures/version1/${name}`, import.meta.url)
const text = (name: string) => readFileSync(path(name), 'utf8')
const unpacked = (name: string) => new Uint8Array(gunzipSync(Buffer.from(text(name), 'base64')))

interface Epoch {
  readonly loss: number
  readonly error: number
  readonly testLoss: number
  readonly testError: number
}
/** What version 0.1 gave: three steps, and a run of three epochs. */
const old: { losses: number[]; correct: number[]; history: Epoch[] } = JSON.parse(text('numbers.json'))

/** A residual block with stochastic depth, trained by Nesterov momentum with weight decay. */
const file = unpacked('model.onnx.gz.txt')
const model = readTrainableModel(file)
const [BATCH, PIXELS] = [5, 192]

const batches = [0.1, 0.05, 0.2].map(
  (rate, i): Tensors =>
    new Map([
      [
        'images',
        numbers(
          'uint8',
          [BATCH, 3, 8, 8],
          Array.from({ length: BATCH * PIXELS }, (_, k) => (37 * k + 11 * i) % 256),
        ),
      ],
      [
        'labels',
        numbers(
          'int64',
          [BATCH],
          Array.from({ length: BATCH }, (_, k) => (k + i) % 3),
        ),
      ],
      ['learning_rate', numbers('float32', [], [Math.fround(rate)])],
      ['gates', numbers('float32', [1], [i === 1 ? 0 : 1])],
    ]),
)
const first: Tensors = new Map(Object.entries(model.state).map(([name, value]) => [name, widen(value)]))

async function inRuntime(step: Uint8Array): Promise<readonly Tensors[]> {
  const open = await openModel(step)
  try {
    return await trainOn(model, first, batches, open.run)
  } finally {
    await open.close()
  }
}

/** The losses and counts of three steps are those of version 0.1, and its weights. */
function expectOld(outputs: readonly Tensors[]) {
  expectNear(
    outputs.map((step) => step.get('loss')!.data[0]!),
    old.losses,
    'losses',
    1e-5,
  )
  expect(outputs.map((step) => step.get('correct')!.data[0])).toEqual(old.correct)
}

describe('a file of version 0.1', () => {
  it('is read as one of today', () => {
    expect(model.signature).toMatchObject({
      inputs: [{ name: 'images', dtype: 'uint8', shape: ['batch', 3, 8, 8] }],
      targets: [{ name: 'labels', dtype: 'int64', shape: ['batch'], classes: 3 }],
      hyperparameters: { learning_rate: null },
      gates: { name: 'gates', survival: [0.5] },
      loss: 'loss',
      metrics: [{ name: 'error', kind: 'right', output: 'correct' }],
    })
    // Nothing but running statistics moves with every batch.
    expect(model.signature.statistics.filter((name) => !name.includes('.running_'))).toEqual([])
    expect(model.signature.statistics.length).toBe(
      Object.keys(model.state).filter((name) => name.includes('.running_')).length,
    )
    // Written again it is the file that it was.
    expect(Buffer.from(model.withState(model.state)).equals(Buffer.from(file))).toBe(true)
  })

  it('trains by the step that version 0.1 made of it, to the bit', async () => {
    const then = await inRuntime(unpacked('step.onnx.gz.txt'))
    const today = await inRuntime(model.step(portable))
    expectOld(then)
    today.forEach((outputs, i) => {
      expect([...outputs.keys()].sort()).toEqual([...then[i]!.keys()].sort())
      for (const [name, { data }] of outputs) expect(data, `step ${i + 1}, ${name}`).toEqual(then[i]!.get(name)!.data)
    })
  })

  it('trains in float64 and by ort-cuda too', async () => {
    const step = model.graph()
    expectOld(await trainOn(model, first, batches, (feeds) => evaluate(step, feeds)))
    expectOld(await inRuntime(model.step(ortCuda())))
  })

  it('adds up the gradients of several batches: one batch twice is that batch', async () => {
    const doubled = accumulating(model)
    const step = doubled.graph()
    const sums = Object.entries(doubled.state).filter(([name]) => name.endsWith('.accumulated'))
    expect(sums.length).toBeGreaterThan(0)
    let state: Tensors = new Map([...first, ...sums.map(([name, value]) => [name, widen(value)] as const)])
    for (const share of [0, 0.5]) {
      const outputs = evaluate(
        step,
        new Map([...state, ...batches[0]!, ['update_share', numbers('float32', [], [share])]]),
      )
      state = new Map(Object.entries(doubled.signature.updates).map(([output, name]) => [name, outputs.get(output)!]))
    }
    const once = evaluate(model.graph(), new Map([...first, ...batches[0]!]))
    for (const name of Object.keys(model.state))
      if (!model.signature.statistics.includes(name))
        expectNear(state.get(name)!.data, [...once.get(`${name}.next`)!.data], name, 1e-9)
  })
})

const set = (count: number, from: number) =>
  imageSet({
    images: Uint8Array.from({ length: count * PIXELS }, (_, i) => (53 * i * i + 19 * (i % PIXELS) + from) % 256),
    labels: Uint8Array.from({ length: count }, (_, i) => (i + from) % 3),
    count,
    channels: 3,
    height: 8,
    width: 8,
    classes: ['a', 'b', 'c'],
  })
/** The driver is the compiled one, and has operators of its own. */
const compiled = readCompiled(file)
const data = { format: 'cifar10', train: set(18, 0), test: set(6, 1) } as const

describe('a run of version 0.1', () => {
  const newFolder = () => {
    const parent = mkdtempSync(join(tmpdir(), 'rdm-version1-'))
    onTestFinished(() => rmSync(parent, { recursive: true }))
    return join(parent, 'run')
  }
  const expectHistory = (history: readonly Epoch[]) => {
    expect(history).toHaveLength(3)
    history.forEach(({ loss, testLoss }, i) => {
      expect(loss).toBeCloseTo(old.history[i]!.loss, 4)
      expect(testLoss).toBeCloseTo(old.history[i]!.testLoss, 4)
    })
  }

  it('that was stopped in its second epoch goes on to the same end', async () => {
    const out = newFolder()
    mkdirSync(out)
    const folder: Record<string, string> = JSON.parse(text('run.json'))
    for (const name of ['config.json', 'metrics.jsonl']) writeFileSync(join(out, name), folder[name]!)
    writeFileSync(join(out, 'checkpoint.safetensors'), Buffer.from(folder['checkpoint.safetensors.base64']!, 'base64'))
    const { reason, step, history } = await fit({ model: compiled, data, out, resume: true, config: { threads: 1 } })
    expect({ reason, step }).toEqual({ reason: 'finished', step: 12 })
    expectHistory(history as unknown as Epoch[])
    expect(history[0]).toMatchObject(old.history[0]!)
  })

  it('from its beginning draws the same batches, crops, flips and gates', async () => {
    const config = {
      epochs: 3,
      batchSize: 5,
      learningRate: [
        [0, 0.02],
        [2, 0.01],
      ] as [number, number][],
      threads: 1,
      target: 'portable',
      augment: true,
    } as const
    const { history } = await fit({ model: compiled, data, out: newFolder(), config })
    expectHistory(history as unknown as Epoch[])
  })
})

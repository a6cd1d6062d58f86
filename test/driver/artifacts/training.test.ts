// Training artifacts in both of ONNX Runtime's official training APIs, against the float64 reference.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Architecture, residualNetwork } from '../../../graphs/residual.js'
import { type Preparation, prepared } from '../../../src/core/derive/derive.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import type { Graph } from '../../../src/core/graph/graph.js'
import { type Numbers, numbers, widen } from '../../../src/core/graph/tensor.js'
import { crossEntropy, meanSquaredError } from '../../../src/core/losses/index.js'
import { keys } from '../../../src/core/model/metadata.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { scored } from '../../../src/core/training/backward.js'
import { initialize } from '../../../src/core/training/initialize.js'
import { type ArtifactOptions, artifactFiles, trainingArtifacts } from '../../../src/driver/artifacts/index.js'
import type { ModelOptions } from '../../../src/driver/artifacts/models.js'
import { optimizerNames } from '../../../src/driver/artifacts/optimizer.js'
import { hasBrowser, openPage } from '../../support/browser.js'
import { tinyBatch, tinyNetworks } from '../../support/networks.js'
import { expectClose, openModel, rounded, type Tensors } from '../../support/runtime.js'
import { sgdStep, stateAfter } from '../../support/steps.js'
import { hasPython, output, python, rootFile } from '../../support/trainingBuilds.js'
import { type Action, type Outcome, Reference } from './reference.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-artifacts-'))
afterAll(() => rmSync(root, { recursive: true }))

/** What runs lists of actions in each API, and the example for its users. */
const runtimes = {
  'onnxruntime-web 1.19.2': {
    command: process.execPath,
    script: rootFile('test/support/trainingApi.mjs'),
    example: rootFile('examples/artifacts.mjs'),
  },
  'onnxruntime-training-cpu 1.19.2': {
    command: python,
    script: rootFile('test/support/trainingApi.py'),
    example: rootFile('examples/artifacts.py'),
  },
} as const
type RuntimeName = keyof typeof runtimes
const runtimeNames = (Object.keys(runtimes) as RuntimeName[]).filter(
  (name) => runtimes[name].command !== python || hasPython,
)

async function run(name: RuntimeName, folder: string, batches: readonly Tensors[], actions: readonly Action[]) {
  const { command, script } = runtimes[name]
  const given = batches.map((batch) =>
    Object.fromEntries([...batch].map(([key, t]) => [key, { ...t, data: [...t.data] }])),
  )
  const out = await output(command, [script], JSON.stringify({ folder, batches: given, actions }))
  return JSON.parse(out) as Outcome[]
}

/** A new folder with the artifacts of a network. */
function written(source: Graph, options: Omit<ArtifactOptions, 'seed'>): string {
  const folder = mkdtempSync(join(root, 'artifacts-'))
  for (const [name, bytes] of Object.entries(trainingArtifacts(source, { ...options, seed: 3 })))
    writeFileSync(join(folder, name), bytes)
  return folder
}

const architecture: Architecture = { ...tinyNetworks['RDM basic'], blocks: [1, 1], widths: [4, 6] }
const network = residualNetwork(architecture)
const noMomentum = { momentum: 0, weightDecay: 0, nesterov: false }

/** Images, labels and gates in the order of the model's inputs, which is that of Python's arguments. */
const batchesOf = (source: Graph): readonly Tensors[] => {
  const step = sgdStep(source, noMomentum).graph
  return [11, 12, 13].map((seed) => new Map([...tinyBatch(step, seed)].filter(([name]) => name !== 'learning_rate')))
}
const batches = batchesOf(network)

const vector = (data: readonly number[]): Numbers => numbers('float32', [data.length], data)
const expectNear = (actual: readonly number[], expected: readonly number[], what: string) =>
  expectClose(vector(actual), vector(expected), what, 1e-4)

/** Every number of every action, within 1e-4; counts exactly. */
function expectSame(actual: readonly Outcome[], expected: readonly Outcome[], actions: readonly Action[]) {
  expect(actual).toHaveLength(expected.length)
  expected.forEach((outcome, i) => {
    const what = `action ${i}, ${actions[i]!.join(' ')}`
    expect(Object.keys(actual[i]!).sort(), what).toEqual(Object.keys(outcome).sort())
    for (const [name, values] of Object.entries(outcome)) {
      if (name === 'correct') expect(actual[i]![name], what).toEqual(values)
      else expectNear(actual[i]![name]!, values, `${what}, ${name}`)
    }
  })
}

const step = (batch: number): readonly Action[] => [['train', batch], ['update'], ['reset']]
const tenSteps = Array.from({ length: 10 }, (_, i) => step(i % 3)).flat()
const rates = { adamw: 0.01, sgd: 0.2 } as const

describe.each(optimizerNames)('ten steps of %s', (optimizer) => {
  const learningRate = rates[optimizer]
  // After the first step the gradients of two batches are summed; evaluation takes the running statistics of the moment.
  const actions: readonly Action[] = [['eval', 0], ['train', 1], ...tenSteps, ['eval', 0], ['eval', 1], ['contiguous']]
  const reference = new Reference(network, optimizer, learningRate, 3)
  const expected = actions.map((action) => reference.does(action, batches))

  it.each(runtimeNames)('%s', async (name) => {
    const folder = written(network, { optimizer, learningRate })
    expectSame(await run(name, folder, batches, actions), expected, actions)
  })

  it('are steps', () => {
    const losses = expected.flatMap(({ loss }) => loss ?? [])
    expect(losses).toHaveLength(14)
    expect(losses.at(-1)).toBeLessThan(0.8 * losses[0]!)
  })

  it.runIf(hasPython)(
    'in Python at the rates of the API, from a saved checkpoint on, into an inference model',
    async () => {
      const folder = written(network, { optimizer })
      const first: readonly Action[] = [...step(0), ['rate', learningRate], ...step(1), ...step(2)]
      const rest: readonly Action[] = [
        ['reload'],
        ['rate', learningRate],
        ...step(0),
        ['eval', 1],
        ['named'],
        ['trained'],
      ]
      const calls = [...first, ...rest]
      // What the API starts with.
      const other = new Reference(network, optimizer, 0.001, 3)
      const wanted = calls.map((action) => other.does(action, batches))
      const results = await run('onnxruntime-training-cpu 1.19.2', folder, batches, [
        ...calls,
        ['export', 'infer.onnx'],
      ])
      expectSame(results.slice(0, -1), wanted, calls)
      const model = await openModel(readFileSync(join(folder, 'infer.onnx')))
      const logits = (await model.run(batches[1]!)).get('logits')!
      await model.close()
      expectNear([...logits.data], wanted.at(-3)!.logits!, 'logits of the inference model')
    },
  )
})

describe.each<[string, Preparation, Omit<ModelOptions, 'recompute'>]>([
  ['resnet18.dynamo', { head: 3, freeze: ['layer1.*'] }, { batchNorm: 'running' }],
  ['bert.dynamo', { lora: { rank: 2, on: ['*.query'] }, head: 3 }, {}],
  ['mlp.script', {}, { loss: meanSquaredError() }],
])('a network of PyTorch: %s', (name, preparation, options) => {
  const bytes = readFileSync(rootFile(`test/fixtures/networks/${name}.onnx`))
  const foreign = prepared(readNetwork(bytes), preparation)
  const { targets } = scored(foreign, options.loss ?? crossEntropy(), 'eval')
  const given = [1, 2].map((seed): Tensors => {
    const values = [...foreign.inputs, ...targets].map(({ dtype, shape, origin }): [string, Numbers] => {
      const sizes = shape.map((size) => (typeof size === 'number' ? size : 4))
      const wave = (i: number) => Math.sin(0.37 * i + seed)
      const data = Float64Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, (_, i) =>
        dtype === 'int64' ? (i * 7 + seed) % (sizes.length === 1 ? 3 : 64) : Math.fround(wave(i)),
      )
      // A mask of words hides none of them.
      const name = 'name' in origin ? origin.name : ''
      return [name, numbers(dtype, sizes, name === 'attention_mask' ? data.fill(1) : data)]
    })
    return new Map(values)
  })
  const actions: readonly Action[] = [['eval', 0], ...step(0), ...step(1), ...step(0), ['eval', 1]]
  const reference = new Reference(foreign, 'adamw', 0.01, 3, options)
  const expected = actions.map((action) => reference.does(action, given))
  const parameters = reference.does(['contiguous'], given)

  it.each(runtimeNames)('%s', async (runtime) => {
    const folder = written(foreign, { optimizer: 'adamw', learningRate: 0.01, ...options })
    // Seen once in many runs: the web's build reads beyond its memory when it gathers BERT's parameters.
    const isWeb = runtime.startsWith('onnxruntime-web')
    const calls: readonly Action[] = isWeb ? actions : [...actions, ['contiguous']]
    expectSame(await run(runtime, folder, given, calls), isWeb ? expected : [...expected, parameters], calls)
  })
})

it('SGD is our own step without momentum', () => {
  const own = sgdStep(network, noMomentum)
  const reference = new Reference(network, 'sgd', 0.2, 3)
  let state: Tensors = new Map([...initialize([own.graph], 3)].map(([name, value]) => [name, rounded(widen(value))]))
  for (let i = 0; i < 10; i++) {
    const [{ loss }] = step(i % 3).map((action) => reference.does(action, batches)) as [Outcome]
    const results = evaluate(
      own.graph,
      new Map([...state, ...batches[i % 3]!, ['learning_rate', numbers('float32', [], [0.2])]]),
    )
    expect(results.get('loss')!.data[0]).toBeCloseTo(loss![0]!, 10)
    state = stateAfter(own, results)
  }
})

it.each(runtimeNames)('gates are one more input: %s', async (name) => {
  const gated = residualNetwork({ ...architecture, stochasticDepth: 0.5 })
  const given = batchesOf(gated)
  expect([...given[0]!.keys()]).toEqual(['images', 'labels', 'gates'])
  const actions: readonly Action[] = [...step(0), ...step(1), ['eval', 2], ['contiguous']]
  const reference = new Reference(gated, 'sgd', 0.2, 3)
  const expected = actions.map((action) => reference.does(action, given))
  const folder = written(gated, { optimizer: 'sgd', learningRate: 0.2 })
  expectSame(await run(name, folder, given, actions), expected, actions)
  const { metadataProps } = decodeModel(readFileSync(join(folder, 'training_model.onnx')))
  const entry = metadataProps.find(({ key }) => key === keys.gates)
  expect(JSON.parse(entry!.value!)).toEqual({ name: 'gates', survival: [0.75, 0.5] })
})

it.runIf(hasBrowser)('three steps in a page', async () => {
  const folder = written(network, { optimizer: 'adamw', learningRate: 0.01 })
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Training</title>')
  const reference = new Reference(network, 'adamw', 0.01, 3)
  const expected = Array.from({ length: 3 }, () =>
    step(0).flatMap((action) => reference.does(action, batches).loss ?? []),
  )
  const { images, labels } = Object.fromEntries(batches[0]!) as Record<string, Numbers>
  const { page, messages, close } = await openPage(
    'index.html',
    folder,
    rootFile('node_modules/onnxruntime-web-training/dist'),
  )
  try {
    const losses = await page.evaluate(`(async () => {
      const { env, Tensor, TrainingSession } = await import('/ort.training.wasm.min.mjs')
      env.wasm.numThreads = 1
      const session = await TrainingSession.create({
        checkpointState: 'checkpoint',
        trainModel: 'training_model.onnx',
        evalModel: 'eval_model.onnx',
        optimizerModel: 'optimizer_model.onnx',
      })
      const batch = {
        images: new Tensor('uint8', [${images!.data}], [${images!.shape}]),
        labels: new Tensor('int64', [${labels!.data}].map(BigInt), [${labels!.shape}]),
      }
      const losses = []
      for (let i = 0; i < 3; i++) {
        losses.push((await session.runTrainStep(batch)).loss.data[0])
        await session.runOptimizerStep()
        await session.lazyResetGrad()
      }
      return losses
    })()`)
    expectNear(losses as number[], expected.flat(), 'losses')
    expect(messages).toEqual([])
  } finally {
    await close()
  }
})

it('the same bytes every time', () => {
  const [first, again, other] = [3, 3, 4].map((seed) => trainingArtifacts(network, { optimizer: 'adamw', seed }))
  expect(Object.keys(first!)).toEqual(artifactFiles)
  expect(again).toEqual(first)
  const differ = artifactFiles.filter((file) => Buffer.compare(first![file], other![file]) !== 0)
  expect(differ).toEqual(['checkpoint'])
})

describe('examples/', () => {
  let told: readonly number[] | undefined
  it.each(runtimeNames)('%s', async (name) => {
    const folder = mkdtempSync(join(root, 'example-'))
    const [data, artifacts] = [join(folder, 'data'), join(folder, 'artifacts')]
    const ours = (file: string, ...argv: string[]) => output(process.execPath, [rootFile(`bin/${file}.js`), ...argv])
    await ours('rdm-data', 'synth', data, '--train', '250', '--test', '10')
    await ours('rdm-export', '--depth', '8', '--widths', '4,4,8', '--artifacts', artifacts, '--lr', '0.01')
    const { command, example } = runtimes[name]
    const lines = (await output(command, [example, artifacts, join(data, 'data_batch_1.bin')])).split('\n')
    const losses = lines.flatMap((line) => {
      const match = /^(?:step \d+|trained): loss ([\d.]+), \d+ of \d+ right$/.exec(line)
      return match ? [Number(match[1])] : []
    })
    expect(losses).toHaveLength(11)
    expect(losses[9]).toBeLessThan(losses[0]!)
    // All examples print the same, whichever runs first.
    told ??= losses
    losses.forEach((loss, i) => {
      expect(loss).toBeCloseTo(told![i]!, 2)
    })
  })
})

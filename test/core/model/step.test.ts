// A file's training step in ONNX Runtime, however it is written: the same numbers, and the state that a file holds.
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Graph } from '../../../src/core/graph/graph.js'
import { narrow, type Tensors as State, widen } from '../../../src/core/graph/tensor.js'
import { keys } from '../../../src/core/model/metadata.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { edited, fileOf, networks, paper } from '../../support/models.js'
import { disturbed, tinyBatch } from '../../support/networks.js'
import { expectClose, openModel, type Tensors } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

async function runOnce(model: Uint8Array, feeds: Tensors): Promise<Tensors> {
  const open = await openModel(model)
  try {
    return await open.run(feeds)
  } finally {
    await open.close()
  }
}

const metadataOf = (bytes: Uint8Array, key: string): unknown =>
  JSON.parse(decodeModel(bytes).metadataProps.find((entry) => entry.key === key)?.value ?? 'null')

const inputsOf = (bytes: Uint8Array) => decodeModel(bytes).graph!.input!.map(({ name }) => name)
const outputsOf = (bytes: Uint8Array) => decodeModel(bytes).graph!.output!.map(({ name }) => name)

const drawnState = (name: string, seed: number): Tensors => disturbed(sgdStep(networks[name]!(), paper).graph, seed)
const hostState = (tensors: Tensors): State =>
  Object.fromEntries([...tensors].map(([name, value]) => [name, narrow(value)]))

describe('one step: the file read, its --part train, and both with bodies in place', () => {
  const forms: Readonly<Record<string, (network: Graph) => Uint8Array>> = {
    read: (network) => readTrainableModel(fileOf(network)).step(portable),
    'read inline': (network) => readTrainableModel(fileOf(network, { inline: true })).step(portable),
    train: (network) => fileOf(network, { part: 'train' }),
    'train inline': (network) => fileOf(network, { part: 'train', inline: true }),
  }
  // Opening a model takes the runtime a second: all four once, elsewhere those that differ most.
  it.each([
    ['a plain CNN', Object.keys(forms)],
    ['RDM bottleneck', ['read', 'train']],
    ['stochastic depth, post-activation', ['read inline', 'train']],
  ])('%s: %s', async (name, chosen) => {
    const network = networks[name]!()
    const { graph } = sgdStep(network, paper)
    const feeds = new Map([...disturbed(graph, 3), ...tinyBatch(graph, 11)])
    const [first, ...others] = await Promise.all(chosen.map((form) => runOnce(forms[form]!(network), feeds)))
    expect([...first!.keys()].sort()).toEqual([...graph.outputs.keys()].sort())
    for (const other of others) {
      for (const [output, value] of first!) expectClose(other.get(output)!, value, output, 1e-6)
    }
  })
})

describe('what a step takes and gives', () => {
  const network = networks['RDM basic, stochastic depth']!()
  const optimizers = {
    'with momentum': paper,
    // Nothing reads the velocities then; they are part of the model all the same.
    'without momentum': { ...paper, momentum: 0 },
  }
  it.each(Object.entries(optimizers))('is what its metadata says, %s', (_, recipe) => {
    for (const inline of [false, true]) {
      const train = fileOf(network, { part: 'train', recipe, inline })
      const carried = z.record(z.string(), z.string()).parse(metadataOf(train, keys.carried))
      expect(inputsOf(train)).toEqual(expect.arrayContaining(Object.values(carried)))
      expect(outputsOf(train)).toEqual(['loss', 'correct', ...Object.keys(carried)])
      expect(metadataOf(train, keys.step)).toMatchObject({
        images: 'images',
        labels: 'labels',
        gates: { name: 'gates' },
      })

      const model = readTrainableModel(fileOf(network, { recipe, inline }))
      expect(model.signature.updates).toEqual(carried)
      expect(Object.keys(model.state).sort()).toEqual(Object.values(carried).sort())
      const given = [...inputsOf(model.step(portable))].sort()
      expect(given).toEqual([...inputsOf(train)].sort())
      const fed = ['gates', 'images', 'labels', ...Object.keys(model.signature.hyperparameters)]
      expect(given).toEqual([...fed, ...Object.keys(model.state)].sort())
      expect(outputsOf(model.step(portable))).toEqual(['loss', 'correct', ...Object.keys(model.signature.updates)])
    }
  })
  it('without momentum trains in the runtime', async () => {
    const model = readTrainableModel(fileOf(network, { recipe: optimizers['without momentum'], inline: true }))
    const { graph } = sgdStep(network, paper)
    const state = new Map(Object.entries(model.state).map(([key, value]) => [key, widen(value)]))
    const { size } = await runOnce(model.step(portable), new Map([...state, ...tinyBatch(graph, 11)]))
    expect(size).toBe(2 + state.size)
  })
  it('is described by the signature', () => {
    const { signature } = readTrainableModel(fileOf(network))
    const { statistics, updates, ...roles } = signature
    expect(roles).toEqual({
      inputs: [{ name: 'images', dtype: 'uint8', shape: ['batch', 3, 12, 12] }],
      targets: [{ name: 'labels', dtype: 'int64', shape: ['batch'], classes: 10 }],
      hyperparameters: { learning_rate: null, momentum: 0.9, weight_decay: 1e-4 },
      gates: { name: 'gates', survival: [0.875, 0.75, 0.625, 0.5] },
      loss: 'loss',
      metrics: [{ name: 'error', output: 'correct', kind: 'right' }],
    })
    expect(Object.values(updates)).toEqual(expect.arrayContaining(statistics))
    expect(statistics.filter((name) => !name.includes('.running_'))).toEqual([])
    expect(statistics.length).toBe(Object.values(updates).filter((name) => name.includes('.running_')).length)
    expect(readTrainableModel(fileOf(networks['a plain CNN']!())).signature.inputs).toMatchObject([
      { name: 'pictures', shape: ['batch', 3, 11, 9] },
    ])
  })
})

describe('state', () => {
  const name = 'RDM basic'
  const file = fileOf(networks[name]!())
  const model = readTrainableModel(file)

  it('put into a file is what is read from it', () => {
    const state = hostState(drawnState(name, 21))
    const again = readTrainableModel(model.withState(state))
    expect(again.state).toEqual(Object.fromEntries(Object.keys(model.state).map((key) => [key, state[key]])))
    expect(again.fingerprint).toBe(model.fingerprint)
    expect(again.signature).toEqual(model.signature)
    expect(Buffer.compare(again.step(portable), model.step(portable))).toBe(0)
    expect(Buffer.compare(again.inference(state), model.inference(state))).toBe(0)
    expect(Buffer.compare(model.withState(model.state), file)).toBe(0)
  })
  it('is what the inference model predicts with', async () => {
    const state = hostState(drawnState(name, 22))
    const images = tinyBatch(sgdStep(networks[name]!(), paper).graph, 4)
    const bytes = model.inference(state)
    const [plain, whole] = [await runOnce(bytes, images), await runOnce(model.withState(state), images)]
    const first = await runOnce(model.inference(model.state), images)
    expect(plain.get('logits')).toEqual(whole.get('logits'))
    expect(plain.get('logits')).not.toEqual(first.get('logits'))
    // Nothing that only training needs.
    expect(decodeModel(bytes)).toMatchObject({ trainingInfo: [], functions: [] })
    expect(bytes.length).toBeLessThan(file.length / 3)
  })
  it('keeps the functions that the network itself calls, and no other', () => {
    const proto = decodeModel(file)
    const double = { domain: 'test', name: 'Double', input: ['x'], output: ['y'], opsetImport: [{ version: 18 }] }
    const call = { domain: 'test', opType: 'Same', input: ['twice'], output: ['logits'] }
    const last = proto.graph!.node!.find(({ output }) => output?.[0] === 'logits')!
    last.output = ['once']
    proto.graph!.node!.push({ domain: 'test', opType: 'Double', input: ['once'], output: ['twice'] }, call)
    const softmax = proto.graph!.node!.findIndex(({ opType }) => opType === 'Softmax')
    proto.graph!.node!.push(...proto.graph!.node!.splice(softmax, 1))
    proto.functions.push(
      { ...double, node: [{ opType: 'Add', input: ['x', 'x'], output: ['y'] }] },
      {
        ...double,
        name: 'Same',
        node: [{ domain: 'test', opType: 'Inner', input: ['x'], output: ['y'] }],
      },
      {
        ...double,
        name: 'Inner',
        node: [{ opType: 'Identity', input: ['x'], output: ['y'] }],
      },
    )
    const changed = readTrainableModel(encodeModel(proto))
    const { functions } = decodeModel(changed.inference(changed.state))
    expect(functions.map((body) => body.name)).toEqual(['Double', 'Same', 'Inner'])
  })
  it('that is not the whole state, or of another type, is refused', () => {
    const first = 'stem.weight'
    const { [first]: value, ...rest } = model.state
    const wrong = { ...model.state, [first]: { ...value!, shape: [1, 2] } }
    for (const use of [model.withState, model.inference]) {
      expect(() => use(rest)).toThrow(`no value is given for '${first}'`)
      expect(() => use(wrong)).toThrow(`'${first}' should be float32[4,3,3,3], got float32[1,2]`)
    }
  })
})

describe('the same file', () => {
  const network = () => networks['RDM bottleneck']!()
  it('comes from the same arguments', () => {
    for (const part of ['all', 'train', 'init', 'infer'] as const) {
      expect(Buffer.compare(fileOf(network(), { part }), fileOf(network(), { part }))).toBe(0)
    }
  })
  it('but for its weights comes from another seed', () => {
    const [a, b] = [7, 8].map((seed) => readTrainableModel(fileOf(network(), { seed })))
    expect(b!.fingerprint).toBe(a!.fingerprint)
    expect(b!.state['stem.weight']).not.toEqual(a!.state['stem.weight'])
    expect(Buffer.compare(a!.step(portable), b!.step(portable))).toBe(0)
  })
  it('but for its producer’s version comes from another version of us', () => {
    const file = fileOf(network())
    const newer = edited(file, (model) => {
      model.producerVersion = '999.0.0'
    })
    expect(Buffer.compare(newer, file)).not.toBe(0)
    expect(readTrainableModel(newer).fingerprint).toBe(readTrainableModel(file).fingerprint)
  })
  it('does not come from another recipe or another network', () => {
    const { fingerprint } = readTrainableModel(fileOf(network()))
    const others = [
      fileOf(network(), { recipe: { ...paper, weightDecay: 0 } }),
      fileOf(network(), { recompute: false }),
      fileOf(networks['RDM basic']!()),
    ]
    for (const other of others) expect(readTrainableModel(other).fingerprint).not.toBe(fingerprint)
  })
  it('carries its recipe and its architecture', () => {
    const bytes = fileOf(network(), { architecture: { name: 'mine', blocks: [1, 2] } })
    expect(readTrainableModel(bytes).recipe).toEqual(paper)
    expect(metadataOf(bytes, keys.architecture)).toEqual({ name: 'mine', blocks: [1, 2] })
  })
})

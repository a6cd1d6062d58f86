// First weights of a run: drawn by the initialization in the file, by the run's seed, in ONNX Runtime.

import { readTrainableModel, type Tensors, type TrainableModel, UserError } from 'rdm-onnx'
import { beforeAll, describe, expect, it } from 'vitest'
import { drawState } from '../../../dist/src/driver/fit/firstState.js'
import { residualNetwork } from '../../../graphs/residual.js'
import { edited, fileOf, type ModelProto, onnx } from '../../support/models.js'
import { tinyNetworks } from '../../support/networks.js'

const architecture = { ...tinyNetworks['RDM basic'], widths: [16, 24, 32], blocks: [1, 1, 1] }
const file = fileOf(residualNetwork({ ...architecture, functions: [...architecture.functions] }))
const model = readTrainableModel(file)
const changed = (edit: (model: ModelProto) => void): TrainableModel => readTrainableModel(edited(file, edit), 'm.onnx')

const valuesOf = (state: Tensors, name: string) => Array.from(state[name]!.data, Number)
const isWeight = (name: string) => name.endsWith('.weight')
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const deviation = (values: readonly number[]) => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)))

describe('first weights of a seed', () => {
  let one: Tensors
  let two: Tensors
  beforeAll(async () => {
    one = await drawState(model, 1)
    two = await drawState(model, 2)
  })

  it('are all of the state, in the types that it has', () => {
    const types = (state: Tensors) =>
      Object.fromEntries(Object.entries(state).map(([name, { dtype, shape }]) => [name, [dtype, ...shape]]))
    expect(types(one)).toEqual(types(model.state))
  })

  it('are normal with He’s deviation √(2/(k²·out))', () => {
    let checked = 0
    for (const [name, { shape }] of Object.entries(one)) {
      const [out, , height = 1, width = 1] = shape as readonly [number, ...number[]]
      const values = valuesOf(one, name)
      const n = values.length
      if (!isWeight(name) || n < 400) continue
      const expected = Math.sqrt(2 / (height * width * out))
      // Four standard errors: 1/√(2n) of the deviation, 1/√n of the mean.
      expect(Math.abs(deviation(values) / expected - 1), name).toBeLessThan(4 / Math.sqrt(2 * n))
      expect(Math.abs(mean(values)) / expected, name).toBeLessThan(4 / Math.sqrt(n))
      const within = values.filter((value) => Math.abs(value) < expected).length / n
      expect(Math.abs(within - 0.683), name).toBeLessThan((4 * 0.465) / Math.sqrt(n))
      checked++
    }
    expect(checked).toBeGreaterThan(10)
  })

  it('begin with velocities 0, scales 1, shifts 0 and the statistics of a standard normal, whatever the file holds', async () => {
    const trained = { ...model, state: Object.fromEntries(Object.entries(one).map(([name, t]) => [name, moved(t)])) }
    const drawn = await drawState(trained, 1)
    expect(drawn).toEqual(one)
    const constants = { momentum: 0, scale: 1, shift: 0, bias: 0, running_mean: 0, running_variance: 1 }
    for (const [role, value] of Object.entries(constants)) {
      const names = Object.keys(drawn).filter((name) => name.endsWith(`.${role}`))
      expect(names.length, role).toBeGreaterThan(0)
      for (const name of names) expect([...new Set(valuesOf(drawn, name))], name).toEqual([value])
    }
  })

  it('are the same for the same seed, and others for another, in every tensor', async () => {
    expect(await drawState(model, 1)).toEqual(one)
    for (const name of Object.keys(one).filter(isWeight)) expect(two[name], name).not.toEqual(one[name])
  })

  it('come from a stream of its own for each tensor and each seed', () => {
    // Streams that are the same, or a few draws apart, would show the same number somewhere among their first.
    const firsts = [one, two].flatMap((state) =>
      Object.entries(state)
        .filter(([name]) => isWeight(name))
        .map(([name, { shape }]) => {
          const [out, , height = 1, width = 1] = shape as readonly [number, ...number[]]
          const std = Math.sqrt(2 / (height * width * out))
          return valuesOf(state, name)
            .slice(0, 100)
            .map((value) => (value / std).toFixed(5))
        }),
    )
    const all = firsts.flat()
    // Numbers with five digits meet by chance: n²/2 pairs, each the same with 2.8e-6 (∫ density² · 1e-5).
    const chance = (all.length ** 2 / 2) * 2.8e-6
    expect(all.length - new Set(all).size).toBeLessThan(chance + 5 * Math.sqrt(chance))
    // And of one stream no run of three appears in another.
    const triples = firsts.flatMap((values) => values.slice(2).map((_, i) => values.slice(i, i + 3).join()))
    expect(new Set(triples).size).toBe(triples.length)
  })
})

/** Another value everywhere. */
const moved = <T extends Tensors[string]>(tensor: T): T => ({
  ...tensor,
  data: Float32Array.from(tensor.data as Float32Array, (value) => value + 0.5),
})

describe('other initializations', () => {
  it('may use numbers of their own', async () => {
    const name = 'classifier.bias'
    const scaled = changed(({ trainingInfo: [info] }) => {
      const graph = info!.initialization!
      const output = info!.initializationBinding!.find(({ key }) => key === name)!.value!
      const node = graph.node!.find((made) => made.output!.includes(output))!
      node.output = ['ones']
      // The constant that it was, and 3 in an initializer of the initialization.
      const value = Buffer.from(Float32Array.of(3).buffer)
      graph.initializer!.push(onnx.TensorProto.create({ name: 'three', dataType: 1, dims: [], rawData: value }))
      graph.node!.push(onnx.NodeProto.create({ opType: 'Add', input: ['ones', 'three'], output: [output] }))
    })
    expect([...new Set(valuesOf(await drawState(scaled, 1), name))]).toEqual([3])
  })

  it('leave what they do not bind at the value in the file', async () => {
    const name = 'stem.weight'
    const partial = changed(({ trainingInfo: [info] }) => {
      info!.initializationBinding = info!.initializationBinding!.filter(({ key }) => key !== name)
    })
    const drawn = await drawState(partial, 1)
    expect(drawn[name]).toEqual(model.state[name])
    expect(drawn['classifier.weight']).not.toEqual(model.state['classifier.weight'])
  })

  it.each<[string, (model: ModelProto) => void, string]>([
    [
      'none',
      ({ trainingInfo: [info] }) => {
        info!.initialization = null
        info!.initializationBinding = []
      },
      'm.onnx: the model has no initialization, so its runs would all begin with the same weights: export it anew with ' +
        'rdm-export, or train it with --seed, which begins with the weights in the file',
    ],
    [
      'one that draws nothing',
      ({ trainingInfo: [info] }) => {
        const random = info!.initialization!.node!.filter(({ opType }) => opType!.startsWith('Random'))
        const outputs = random.flatMap(({ output }) => output!)
        info!.initializationBinding = info!.initializationBinding!.filter(({ value }) => !outputs.includes(value!))
      },
      'm.onnx: the model has an initialization that draws nothing, so its runs would all begin with the same weights: ' +
        'export it anew with rdm-export, or train it with --seed, which begins with the weights in the file',
    ],
  ])('are refused: %s', async (_, edit, message) => {
    const refused = await drawState(changed(edit), 1).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(UserError)
    expect((refused as UserError).message).toBe(message)
  })
})

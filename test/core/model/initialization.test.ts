// First values: the init part in ONNX Runtime, and the weights that --seed draws, have the documented distributions.
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { residualNetwork } from '../../../graphs/residual.js'
import { type Numbers, widen } from '../../../src/core/graph/tensor.js'
import type { Init } from '../../../src/core/layers/index.js'
import { keys } from '../../../src/core/model/metadata.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { fileOf } from '../../support/models.js'
import { tinyNetworks } from '../../support/networks.js'
import { openModel } from '../../support/runtime.js'

const architecture = { ...tinyNetworks['RDM basic'], widths: [16, 24, 32], blocks: [1, 1, 1] }
const network = (init: Init) => residualNetwork({ ...architecture, functions: [...architecture.functions] }, init)

/** First values by parameter name, drawn by the file's initialization in the runtime. */
async function drawnInRuntime(init: Init): Promise<Map<string, Numbers>> {
  const bytes = fileOf(network(init), { part: 'init' })
  const entry = decodeModel(bytes).metadataProps.find(({ key }) => key === keys.initial)
  const initial = z.record(z.string(), z.string()).parse(JSON.parse(entry?.value ?? ''))
  const model = await openModel(bytes)
  const outputs = await model.run(new Map())
  await model.close()
  expect(Object.keys(initial).sort()).toEqual([...outputs.keys()].sort())
  return new Map([...outputs].map(([output, value]) => [initial[output]!, value]))
}

const drawnBySeed = (init: Init) =>
  new Map(Object.entries(readTrainableModel(fileOf(network(init))).state).map(([name, value]) => [name, widen(value)]))

const mean = (data: Float64Array) => data.reduce((sum, value) => sum + value, 0) / data.length
function deviation(data: Float64Array): number {
  const center = mean(data)
  return Math.sqrt(mean(data.map((value) => (value - center) ** 2)))
}

const draws = { 'drawn in ONNX Runtime': drawnInRuntime, 'drawn by seed': drawnBySeed }
describe.each(Object.entries(draws))('%s', (_, draw) => {
  let he: ReadonlyMap<string, Numbers>
  let uniform: ReadonlyMap<string, Numbers>
  beforeAll(async () => {
    he = await draw('he')
    uniform = await draw('uniform')
  })

  it('he: convolutions are normal with standard deviation √(2/(k²·out))', () => {
    let checked = 0
    for (const [name, { shape, data }] of he) {
      const [out, , height = 1, width = 1] = shape as readonly [number, ...number[]]
      if (!name.endsWith('.weight') || data.length < 400) continue
      const expected = Math.sqrt(2 / (height * width * out))
      // Four standard errors: 1/√(2n) of the deviation, 1/√n of the mean.
      const n = data.length
      expect(Math.abs(deviation(data) / expected - 1), name).toBeLessThan(4 / Math.sqrt(2 * n))
      expect(Math.abs(mean(data)) / expected, name).toBeLessThan(4 / Math.sqrt(n))
      // Normal: 68.3 % within one deviation, and some past three.
      const within = data.filter((value) => Math.abs(value) < expected).length / n
      expect(Math.abs(within - 0.683), name).toBeLessThan((4 * 0.465) / Math.sqrt(n))
      checked++
    }
    expect(checked).toBeGreaterThan(10)
  })
  it('he: two weights of one shape differ', () => {
    expect(he.get('stage1.block1.f1.conv1.weight')!.data).not.toEqual(he.get('stage1.block1.f2.conv1.weight')!.data)
  })
  it('uniform: weights and the classifier’s bias lie in ±1/√fan-in, and fill it', () => {
    let checked = 0
    for (const [name, { shape, data }] of uniform) {
      if (!name.endsWith('.weight') && name !== 'classifier.bias') continue
      const fanIn = name === 'classifier.bias' ? 32 : shape.slice(1).reduce((a, b) => a * b, 1)
      const bound = 1 / Math.sqrt(fanIn)
      const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      expect(largest, name).toBeLessThanOrEqual(bound * (1 + 1e-6))
      if (data.length < 400) continue
      expect(largest / bound, name).toBeGreaterThan(0.95)
      expect(Math.abs((deviation(data) * Math.sqrt(3)) / bound - 1), name).toBeLessThan(4 / Math.sqrt(2 * data.length))
      checked++
    }
    expect(checked).toBeGreaterThan(10)
  })
  it('scales are 1, shifts 0, running statistics those of a standard normal, velocities 0', () => {
    const constants = { scale: 1, shift: 0, running_mean: 0, running_variance: 1, momentum: 0 }
    for (const [role, value] of Object.entries(constants)) {
      const tensors = [...he].filter(([name]) => name.endsWith(`.${role}`))
      expect(tensors.length, role).toBeGreaterThan(10)
      for (const [name, { data }] of tensors) expect([...new Set(data)], name).toEqual([value])
    }
    expect([...new Set(he.get('classifier.bias')!.data)]).toEqual([0])
  })
})

describe('rdm.initial', () => {
  it('names all state that the training step takes', () => {
    const init = decodeModel(fileOf(network('he'), { part: 'init' }))
    const train = decodeModel(fileOf(network('he'), { part: 'train' }))
    const entry = init.metadataProps.find(({ key }) => key === keys.initial)
    const initial = z.record(z.string(), z.string()).parse(JSON.parse(entry?.value ?? ''))
    // What has a default is no state: hyperparameters.
    const batch = ['images', 'labels', 'learning_rate', ...train.graph!.initializer!.map(({ name }) => name!)]
    const state = train.graph!.input!.map(({ name }) => name!).filter((name) => !batch.includes(name))
    expect(Object.values(initial).sort()).toEqual(state.sort())
    expect(Object.keys(initial)).toEqual(init.graph!.output!.map(({ name }) => name))
  })
})

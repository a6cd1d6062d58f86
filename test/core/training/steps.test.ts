// Whole training steps of every kind of network: three in a row in ONNX Runtime, against the float64 reference.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import type { SgdOptions } from '../../../src/core/optimizers/index.js'
import type { PortableLevel } from '../../../src/core/targets/portable/basic.js'
import type { TrainingStep } from '../../../src/core/training/step.js'
import { disturbed, type TinyName, tinyBatch, tinyNames, tinyNetwork } from '../../support/networks.js'
import { type Form, modelOf, openModel, type Tensors } from '../../support/runtime.js'
import { batchOf, expectSameTraining, sgdStep, train } from '../../support/steps.js'

const sgd: SgdOptions = { momentum: 0.9, weightDecay: 1e-4, nesterov: false }
async function trainInRuntime(step: TrainingStep, form: Form, level?: PortableLevel): Promise<Tensors[]> {
  const model = await openModel(modelOf(step.graph, form, level))
  try {
    return await train(step, model.run)
  } finally {
    await model.close()
  }
}

interface Case {
  name: TinyName
  optimizer: SgdOptions
  recompute: boolean
  forms: readonly Form[]
}

describe('three steps in ONNX Runtime equal three steps of the reference', () => {
  const nesterov: SgdOptions = { momentum: 0.8, weightDecay: 5e-4, nesterov: true }
  const plain: SgdOptions = { momentum: 0, weightDecay: 0, nesterov: false }
  // How primitives are written and what is computed twice have nothing to do with each other: each is seen on every
  // network, all four together on one.
  const cases: readonly Case[] = tinyNames.flatMap((name, i): Case[] => [
    { name, optimizer: sgd, recompute: true, forms: i === 0 ? ['functions', 'inline'] : ['functions'] },
    { name, optimizer: sgd, recompute: false, forms: i === 0 ? ['functions', 'inline'] : ['inline'] },
  ])
  const title = ({ name, optimizer, recompute, forms }: Case) =>
    [
      name,
      ...(optimizer === sgd ? [] : [optimizer.nesterov ? 'Nesterov' : 'no momentum, no decay']),
      recompute ? 'recomputing' : 'keeping all',
      forms.join(' and '),
    ].join(', ')
  const optimizers: readonly Case[] = [
    { name: 'RDM bottleneck', optimizer: nesterov, recompute: true, forms: ['functions'] },
    { name: 'stochastic depth, post-activation', optimizer: nesterov, recompute: false, forms: ['functions'] },
    { name: 'stochastic depth, post-activation', optimizer: plain, recompute: true, forms: ['inline'] },
  ]
  it.each([...cases, ...optimizers].map((c) => [title(c), c] as const))('%s', async (_, c) => {
    const step = sgdStep(tinyNetwork(c.name), c.optimizer, { recompute: c.recompute })
    const expected = await train(step, (feeds) => evaluate(step.graph, feeds))
    for (const form of c.forms) expectSameTraining(await trainInRuntime(step, form), expected)
    // At the basic level too, in the other form.
    const other = c.forms[0] === 'inline' ? 'functions' : 'inline'
    expectSameTraining(await trainInRuntime(step, other, 'basic'), expected)
    // The state did move, and the last step's gates were not all the same.
    expect(expected[0]!.get('loss')!.data[0]).not.toEqual(expected[2]!.get('loss')!.data[0])
    if (step.signature.gates) expect(new Set(batchOf(step, 2).get('gates')!.data).size).toBe(2)
  })
})

describe('recomputing changes memory, not numbers', () => {
  it.each(tinyNames)('%s', (name) => {
    const [kept, again] = [false, true].map((recompute) => sgdStep(tinyNetwork(name), sgd, { recompute }))
    const feeds = new Map([...disturbed(kept!.graph, 5), ...batchOf(kept!, 0)])
    expect(again!.graph.nodes.length).toBeGreaterThan(kept!.graph.nodes.length)
    expectSameTraining([evaluate(again!.graph, feeds)], [evaluate(kept!.graph, feeds)], 1e-10)
  })
})

describe('a shut gate', () => {
  it('leaves the block its shortcut: only weight decay and momentum move its weights', () => {
    const step = sgdStep(tinyNetwork('RDM basic, stochastic depth'), { ...sgd, weightDecay: 0 })
    const state = disturbed(step.graph, 5)
    const feeds = new Map([...state, ...tinyBatch(step.graph, 100)])
    const gates = feeds.get('gates')!
    gates.data.fill(1)
    gates.data[1] = 0
    const after = evaluate(step.graph, feeds)
    const gradientOf = (name: string) => {
      const before = state.get(`${name}.momentum`)!.data
      return Math.max(
        ...after.get(`${name}.momentum.next`)!.data.map((v, i) => Math.abs(v - Math.fround(0.9) * before[i]!)),
      )
    }
    expect(step.signature.gates?.survival).toEqual([0.875, 0.75, 0.625, 0.5])
    expect(gradientOf('stage2.block1.f1.conv1.weight')).toBe(0)
    expect(gradientOf('stage2.block1.f2.bn1.scale')).toBe(0)
    expect(gradientOf('stage2.block1.shortcut.weight')).toBeGreaterThan(1e-3)
    expect(gradientOf('stage2.block2.f1.conv1.weight')).toBeGreaterThan(1e-3)
  })
})

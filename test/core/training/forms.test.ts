// What a training step is made of: its inputs and outputs, batch norms and gates in training form, recomputed nodes.
import { describe, expect, it } from 'vitest'
import { ancestors, graph } from '../../../src/core/graph/graph.js'
import { input } from '../../../src/core/graph/value.js'
import { batchNorm, conv2d, linear } from '../../../src/core/layers/index.js'
import { flatten, gate, globalAveragePool, relu } from '../../../src/core/ops/index.js'
import { trainingForm } from '../../../src/core/training/mode.js'
import { recompute } from '../../../src/core/training/recompute.js'
import { tinyNetwork } from '../../support/networks.js'
import { sgdStep } from '../../support/steps.js'

const optimizer = { momentum: 0.9, weightDecay: 1e-4, nesterov: false }
const names = (values: Iterable<{ operator: { name: string } }>) => [...values].map(({ operator }) => operator.name)

function gatedNetwork() {
  const x = input('images', 'float32', ['batch', 3, 6, 6])
  const stem = relu(batchNorm(conv2d(x, 'stem', { channels: 4, kernel: 3 }), 'bn', { momentum: 0.8, epsilon: 1e-3 }))
  const once = gate(conv2d(stem, 'a', { channels: 4, kernel: 3 }), 0.9)
  const twice = gate(conv2d(once, 'b', { channels: 4, kernel: 3 }), 0.6)
  return graph('gated', [x], { logits: linear(flatten(globalAveragePool(twice)), 'out', 2) })
}

describe('training form', () => {
  const inference = gatedNetwork()
  const form = trainingForm(inference)

  it('asks for one gate per gate of the network, in its order', () => {
    expect(form.gates?.survival).toEqual([0.9, 0.6])
    expect(form.gates?.input).toMatchObject({ dtype: 'float32', shape: [2], origin: { name: 'gates' } })
    const gates = form.graph.nodes.filter(({ operator }) => operator.name === 'Gate')
    expect(gates.map(({ inputs }) => inputs.length)).toEqual([2, 2])
    expect(gates.map(({ attributes }) => attributes.survival)).toEqual([0.9, 0.6])
  })

  it('gives batch norms the statistics of the batch, with their own epsilon and momentum', () => {
    const [norm] = form.graph.nodes.filter(({ operator }) => operator.name === 'BatchNormTraining')
    expect(norm?.attributes).toMatchObject({ epsilon: 1e-3, momentum: 0.8 })
    expect(
      [...form.statistics].map(([{ origin }, { origin: from }]) => [origin.name, 'index' in from && from.index]),
    ).toEqual([
      ['bn.running_mean', 1],
      ['bn.running_variance', 2],
    ])
    expect(names(form.graph.nodes)).not.toContain('BatchNormalization')
  })

  it('keeps the nodes before the first batch norm, and names the others below train/', () => {
    const [stem] = inference.nodes
    expect(form.graph.nodes).toContain(stem)
    const renamed = form.graph.nodes.filter((node) => !inference.nodes.includes(node))
    expect(renamed.length).toBeGreaterThan(0)
    for (const { scope } of renamed) expect(scope).toMatch(/^train(\/|$)/)
  })

  it('has no gates where the network has none', () => {
    expect(trainingForm(tinyNetwork('RDM basic'))).not.toHaveProperty('gates')
  })
})

describe('training step', () => {
  const step = sgdStep(gatedNetwork(), optimizer)

  it('takes the inputs of the network, labels, gates, and what the optimizer may be told', () => {
    expect(
      step.graph.inputs.map(({ dtype, shape, origin }) => ['name' in origin && origin.name, dtype, shape]),
    ).toEqual([
      ['images', 'float32', ['batch', 3, 6, 6]],
      ['labels', 'int64', ['batch']],
      ['learning_rate', 'float32', []],
      ['gates', 'float32', [2]],
      ['momentum', 'float32', []],
      ['weight_decay', 'float32', []],
    ])
    expect(step.signature.gates?.survival).toEqual([0.9, 0.6])
  })

  it('gives loss, correct and the next value of every weight, momentum and statistic', () => {
    const state = ['stem.weight', 'bn.scale', 'bn.shift', 'a.weight', 'b.weight', 'out.weight', 'out.bias']
    const all = [...state, ...state.map((name) => `${name}.momentum`), 'bn.running_mean', 'bn.running_variance']
    expect(Object.values(step.signature.updates).sort()).toEqual([...all].sort())
    expect([...step.graph.outputs.keys()].sort()).toEqual(['loss', 'correct', ...all.map((n) => `${n}.next`)].sort())
    for (const { dtype, shape, origin } of step.graph.parameters) {
      expect(step.graph.outputs.get(`${origin.name}.next`)).toMatchObject({ dtype, shape })
    }
    expect(step.graph.outputs.get('loss')).toMatchObject({ dtype: 'float32', shape: [] })
    expect(step.graph.outputs.get('correct')).toMatchObject({ dtype: 'int64', shape: [] })
  })

  it('does not train running statistics and momenta', () => {
    const still = step.graph.parameters.filter(({ origin }) => !origin.trainable).map(({ origin }) => origin.name)
    expect(still.every((name) => /\.(momentum|running_mean|running_variance)$/.test(name))).toBe(true)
    expect(still).toHaveLength(7 + 2)
  })
})

describe('recomputation', () => {
  const again = (graph: ReturnType<typeof tinyNetwork>) => graph.nodes.filter(({ scope }) => scope.includes('/again'))

  it('computes batch norms and the ReLUs behind them a second time, and nothing heavier', () => {
    const network = tinyNetwork('RDM basic')
    const { graph: step } = sgdStep(network, optimizer)
    const heavy = names(again(step)).filter((name) => /Conv|MatMul|Gemm|Training/.test(name))
    expect(heavy).toEqual([])
    const norms = names(network.nodes).filter((name) => name === 'BatchNormalization').length
    expect(names(again(step)).filter((name) => name === 'BatchNormAgain')).toHaveLength(norms)
    expect(again(sgdStep(network, optimizer, { recompute: false }).graph)).toEqual([])
  })

  it('waits for the gradient: no runtime can compute it early, or take it for the first time', () => {
    const { graph: step } = sgdStep(tinyNetwork('RDM bottleneck'), optimizer)
    const norms = again(step).filter(({ operator }) => operator.name === 'BatchNormAgain')
    expect(norms.length).toBeGreaterThan(0)
    for (const { outputs, scope } of norms) {
      const behind = ancestors(outputs).map((node) => node.scope)
      expect(
        behind.some((name) => name.endsWith('/grad')),
        scope,
      ).toBe(true)
    }
  })

  it('leaves other values as they are', () => {
    const x = input('x', 'float32', [2, 3])
    const after = input('after', 'float32', [2, 3])
    expect(recompute(x, after)).toBeUndefined()
    expect(recompute(relu(x), after)).toBeUndefined()
  })
})

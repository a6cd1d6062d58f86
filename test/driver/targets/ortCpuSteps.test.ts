// Whole training steps by the target: three in a row in ONNX Runtime against the float64 reference of the step itself, and
// the lowered graph in float64 against it; what a lowered network looks like.
import { describe, expect, it } from 'vitest'
import { type Architecture, residualNetwork } from '../../../graphs/residual.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { ancestors, type Graph, graph } from '../../../src/core/graph/graph.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { input, type Node, type Value } from '../../../src/core/graph/value.js'
import { batchNorm, conv2d, linear, normalizePixels } from '../../../src/core/layers/index.js'
import {
  add,
  averagePool,
  concat,
  flatten,
  globalAveragePool,
  maxPool,
  relu,
  tanh,
} from '../../../src/core/ops/index.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import type { TrainingStep } from '../../../src/core/training/step.js'
import { ortCpu } from '../../../src/driver/targets/ort-cpu/index.js'
import { NCHWC_DOMAIN } from '../../../src/driver/targets/ort-cpu/nchwc.js'
import { blocks, machineBlock } from '../../support/blocks.js'
import { disturbed, tinyBatch, tinyNetworks } from '../../support/networks.js'
import { expectClose, modelOf, openModel, type Tensors } from '../../support/runtime.js'
import { sgdStep, stateAfter } from '../../support/steps.js'

const STEPS = 3

/** Widths in whole blocks of every kind, and images that stay small. */
const wide = { widths: [16, 16, 32], blocks: [1, 1, 1], imageSize: 4 }
const architectures: Readonly<Record<string, Architecture>> = {
  'RDM basic': { ...tinyNetworks['RDM basic'], ...wide, blocks: [1, 2, 1], imageSize: 8 },
  'RDM bottleneck': { ...tinyNetworks['RDM bottleneck'], ...wide, widths: [16, 16, 16] },
  'pre-activation, r = 1': {
    ...tinyNetworks['RDM basic'],
    ...wide,
    functions: ['11'],
    widths: [16, 32, 32],
    imageSize: 8,
  },
  'Multi-ResNet r=3': { ...tinyNetworks['Multi-ResNet r=3'], ...wide },
  'stochastic depth, post-activation': {
    ...tinyNetworks['stochastic depth, post-activation'],
    ...wide,
    widths: [16, 32, 32],
    imageSize: 8,
  },
  'RDM basic, stochastic depth': { ...tinyNetworks['RDM basic, stochastic depth'], ...wide },
  'no ReLUs': { ...tinyNetworks['RDM basic'], ...wide, functions: ['00', '10'], shortcut: 'padding' },
  'widths that are no whole blocks': { ...tinyNetworks['RDM basic'], widths: [4, 8, 12] },
}

/** Other parts than the residual networks have: biases, groups, odd sizes, pooling and a join in the midst of blocks. */
function mixedCnn(): Graph {
  const images = input('images', 'uint8', ['batch', 3, 9, 7])
  const pixels = normalizePixels(images, { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] })
  const stem = relu(conv2d(pixels, 'stem', { channels: 16, kernel: 3, stride: 2, bias: true }))
  const left = tanh(batchNorm(conv2d(stem, 'left', { channels: 16, kernel: 3, groups: 4 }), 'left.bn'))
  const right = batchNorm(conv2d(stem, 'right', { channels: 16, kernel: 3, bias: true }), 'right.bn')
  const both = add(add(left, stem), relu(add(right, right)))
  const joined = concat([both, maxPool(stem, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })], 1)
  const pooled = averagePool(joined, { kernel_shape: [2, 2], strides: [2, 2] })
  const last = add(globalAveragePool(conv2d(pooled, 'last', { channels: 32, kernel: 1 })), globalAveragePool(pooled))
  return graph('mixed-cnn', [images], { logits: linear(flatten(last), 'classifier', 10, { init: 'uniform' }) })
}

const networkOf = (name: string): Graph => (name === 'a mixed CNN' ? mixedCnn() : residualNetwork(architectures[name]!))
const names = [...Object.keys(architectures), 'a mixed CNN']
const stepOf = (name: string): TrainingStep =>
  sgdStep(networkOf(name), { momentum: 0.9, weightDecay: 1e-4, nesterov: name === 'RDM basic' })

const feedsOf = (step: TrainingStep, state: Tensors, index: number, batch: number): Tensors =>
  new Map([...state, ...tinyBatch(step.graph, 100 + index, { size: batch })])
const nameOf = ({ operator, scope }: Node) => `${scope} ${operator.name}`
const typeOf = ([name, { dtype, shape }]: readonly [string, Value]) => [name, dtype, ...shape]

/** Three steps, each from the state that the one before left. */
async function train(step: TrainingStep, batch: number, run: (feeds: Tensors) => Tensors | Promise<Tensors>) {
  let state: Tensors = disturbed(step.graph, 5)
  const results: Tensors[] = []
  for (let index = 0; index < STEPS; index++) {
    const outputs = await run(feedsOf(step, state, index, batch))
    results.push(outputs)
    state = stateAfter(step, outputs)
  }
  return results
}

/** Some momenta have gradients that are nothing but rounding: their floor is a tenth of the largest that there are here. */
const floorOf = (name: string) => (name.endsWith('.momentum.next') ? 0.05 : 1e-3)

describe.each(names)('%s', (name) => {
  const step = stepOf(name)
  const index = names.indexOf(name)
  // Whole blocks of images, and not.
  const batches = index === 0 ? [8, 6] : [index % 2 ? 6 : 8]
  const known = new Map<number, Promise<Tensors[]>>()
  const reference = (batch: number) => {
    const results = known.get(batch) ?? train(step, batch, (feeds) => evaluate(step.graph, feeds))
    known.set(batch, results)
    return results
  }

  // The reference takes its time: one block each, and both for the first.
  it.each(index === 0 ? blocks : [blocks[(index >> 1) % 2]!])(
    'blocks of %i: the same step, written otherwise',
    async (block) => {
      const batch = batches[0]!
      const lowered = ortCpu({ block }).lower(specialize(step.graph, { batch }))
      expect(lowered.nodes.filter(isPrimitive)).toEqual([])
      expect([...lowered.outputs].map(typeOf)).toEqual([...specialize(step.graph, { batch }).outputs].map(typeOf))
      const [expected] = await reference(batch)
      const actual = evaluate(lowered, feedsOf(step, disturbed(step.graph, 5), 0, batch))
      for (const [output, value] of expected!) expectClose(actual.get(output)!, value, output, 1e-8, floorOf(output))
    },
  )

  it.skipIf(machineBlock === undefined).each(batches)('three steps of %i images in ONNX Runtime', async (batch) => {
    const lowered = ortCpu({ block: machineBlock! }).lower(specialize(step.graph, { batch }))
    const model = await openModel(modelOf(lowered, 'inline'))
    const actual = await train(step, batch, model.run)
    await model.close()
    const expected = await reference(batch)
    expected.forEach((outputs, index) => {
      for (const [output, value] of outputs)
        expectClose(actual[index]!.get(output)!, value, `step ${index + 1}, ${output}`, 1e-4, floorOf(output))
    })
    expect(expected[0]!.get('loss')!.data[0]).not.toEqual(expected[2]!.get('loss')!.data[0])
  })
})

/** Which parameters' next values a value reaches. */
function reachedFrom({ nodes, outputs }: Graph): (value: Value) => ReadonlySet<string> {
  const reached = new Map<Value, Set<string>>()
  const at = (value: Value) => {
    const names = reached.get(value) ?? new Set<string>()
    reached.set(value, names)
    return names
  }
  for (const [name, value] of outputs) at(value).add(name)
  for (const node of [...nodes].reverse())
    for (const output of node.outputs)
      for (const value of node.inputs) if (value) for (const name of at(output)) at(value).add(name)
  return at
}

describe('a lowered RDM network', () => {
  const step = stepOf('RDM basic')
  const fixed = specialize(step.graph, { batch: 6 })
  const lowered = ortCpu({ block: 8 }).lower(fixed)
  const images = lowered.inputs.find(({ dtype }) => dtype === 'uint8')!
  /** Activations and what is computed from them: what does not depend on the images is parameters. */
  const flowing = new Set<Node>()
  for (const node of lowered.nodes)
    if (
      node.inputs.some((value) => value === images || (value?.origin.kind === 'node' && flowing.has(value.origin.node)))
    )
      flowing.add(node)
  const reorders = lowered.nodes.filter(({ operator }) => operator.name.startsWith('Reorder'))
  const forward = new Set(ancestors([lowered.outputs.get('loss')!]))

  it('converts no activation on its way from the images to the loss', () => {
    expect([...forward].some(({ operator }) => operator.domain === NCHWC_DOMAIN)).toBe(true)
    expect(reorders.filter((node) => forward.has(node) && flowing.has(node))).toEqual([])
  })

  it('converts nothing in its blocks but what the gradients of weights take', () => {
    const reached = reachedFrom(lowered)
    const weights = lowered.parameters.filter(({ shape }) => shape.length === 4).map(({ origin }) => origin.name)
    const nexts = new Set(weights.flatMap((name) => [`${name}.next`, `${name}.momentum.next`]))
    // Between the blocks and the classifier the pooling has to pass.
    const converted = reorders.filter((node) => flowing.has(node) && /stem|stage/.test(node.scope))
    expect(converted.length).toBeGreaterThan(0)
    const more = converted.filter(({ outputs }) => [...reached(outputs[0]!)].some((name) => !nexts.has(name)))
    expect(more.map(nameOf)).toEqual([])
  })

  it('has ReLUs and sums inside its convolutions, forward and backward', () => {
    const apart = lowered.nodes.filter(
      ({ operator, outputs: [y], scope }) =>
        ['Relu', 'Add', 'Sum'].includes(operator.name) && y!.shape.length === 4 && !/^(normalize|update)/.test(scope),
    )
    expect(apart.map(nameOf)).toEqual([])
  })

  it('computes no convolution twice', () => {
    const heavy = ({ nodes }: Graph, among?: ReadonlySet<Node>) =>
      nodes.filter((node) => node.operator.name === 'Conv' && node.attributes.group === 1 && (among?.has(node) ?? true))
        .length
    expect(heavy(lowered, forward)).toBe(heavy(fixed))
  })

  it('keeps inputs, parameters, outputs and their types', () => {
    expect(lowered.inputs).toEqual(fixed.inputs)
    expect(new Set(lowered.parameters)).toEqual(new Set(fixed.parameters))
    expect([...lowered.outputs].map(typeOf)).toEqual([...fixed.outputs].map(typeOf))
  })

  it('is the same each time', () => {
    expect(printGraph(ortCpu({ block: 8 }).lower(fixed))).toBe(printGraph(lowered))
  })
})

describe('a step whose batch is not known', () => {
  it('stays plain, and computes the same', () => {
    const step = stepOf('widths that are no whole blocks')
    const wideStep = stepOf('a mixed CNN')
    for (const { graph: source } of [step, wideStep]) {
      const lowered = ortCpu({ block: 8 }).lower(source)
      expect(lowered.nodes.filter(({ operator }) => operator.domain === NCHWC_DOMAIN)).toEqual([])
      const feeds = new Map([...disturbed(source, 5), ...tinyBatch(source, 7, { size: 3 })])
      const actual = evaluate(lowered, feeds)
      for (const [output, value] of evaluate(source, feeds))
        expectClose(actual.get(output)!, value, output, 1e-8, floorOf(output))
    }
  })
})

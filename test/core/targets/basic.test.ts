// Level `basic` in whole files: what is not in them, and that they are trained as those of the standard level are.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { ancestors, graph } from '../../../src/core/graph/graph.js'
import { type Attributes, ONNX_DOMAIN, TRAINING_DOMAIN } from '../../../src/core/graph/operator.js'
import { widen } from '../../../src/core/graph/tensor.js'
import { apply, constantOf, input, nodeOf, type Value } from '../../../src/core/graph/value.js'
import { keys } from '../../../src/core/model/metadata.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import type { Part } from '../../../src/core/model/write.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { findOperator, MaxPool, mul, reduceMean, reduceSum } from '../../../src/core/ops/index.js'
import { basic } from '../../../src/core/targets/portable/basic.js'
import { expandPrimitives, expandStandard, isPrimitive } from '../../../src/core/targets/target.js'
import { initializationGraph } from '../../../src/core/training/initialize.js'
import { byName, drawnFor } from '../../support/blocks.js'
import { fileOf, networkNames, networks, paper } from '../../support/models.js'
import { disturbed, tinyBatch, tinyNames, tinyNetwork } from '../../support/networks.js'
import { expectClose, openModel } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

const avoided = [
  'BatchNormalization',
  'GatherElements',
  'HardSigmoid',
  'OneHot',
  'RandomNormal',
  'RandomUniform',
  'ReduceSumSquare',
]

/** Operators of a part and of its functions. */
function operatorsOf(name: string, part: Part, inline: boolean): Set<string> {
  const { graph, functions } = decodeModel(fileOf(networks[name]!(), { part, inline, level: 'basic' }))
  const nodes = [graph?.node ?? [], ...functions.map(({ node }) => node ?? [])].flat()
  return new Set(nodes.map(({ opType }) => opType ?? ''))
}

describe.each(networkNames)('%s', (name) => {
  it('has none of the operators that stand in the way of a runtime', () => {
    for (const part of ['train', 'init'] as const)
      expect(avoided.filter((operator) => operatorsOf(name, part, false).has(operator))).toEqual([])
  })
  it('says sizes, and folds the batch away on its own', () => {
    const written = expandPrimitives(sgdStep(networks[name]!(), paper).graph, basic)
    expect(written.nodes.some(isPrimitive)).toBe(false)
    const operators = new Set(written.nodes.map(({ operator }) => operator.name))
    expect(avoided.filter((operator) => operators.has(operator))).toEqual([])
    const constants = (operator: string) =>
      written.nodes.filter((node) => node.operator.name === operator).map(({ inputs }) => constantOf(inputs[1])!)
    for (const shape of constants('Reshape')) {
      expect(shape).not.toContain(0)
      // Only the batch is not known, in front or as part of a product's rows.
      expect(shape.filter((size) => size === -1).length).toBeLessThanOrEqual(1)
    }
    for (const axes of [...constants('ReduceMean'), ...constants('ReduceSum')])
      if (axes.includes(0)) expect(axes).toEqual([0])
  })
})

it('names the operators that it replaces as ONNX does', () => {
  const known = (name: string) => findOperator(ONNX_DOMAIN, name) ?? findOperator(TRAINING_DOMAIN, name)
  for (const name of Object.keys(basic.expansions)) expect(known(name)?.name).toBe(name)
})

it.each([
  [
    [0, 2, 3],
    [[2, 3], [0]],
  ],
  [
    [-1, -4],
    [[3], [0]],
  ],
  [[1, 2], [[1, 2]]],
  [[0], [[0]]],
  [undefined, [undefined]],
])('sums and means over axes %j', (axes, expected) => {
  const x = input('x', 'float32', [3, 2, 4, 5])
  for (const reduce of [reduceMean, reduceSum])
    for (const keepdims of [0, 1]) {
      const before = graph('g', [x], { y: reduce(x, axes, { keepdims }) })
      const after = expandStandard(before, basic)
      expect(after.nodes.map(({ inputs }) => constantOf(inputs[1]))).toEqual(expected)
      const feeds = drawnFor([x], 'reduce')
      const [want, got] = [before, after].map((one) => evaluate(one, byName(feeds)).get('y')!)
      expectClose(got!, want!, String(axes), 1e-12)
    }
})

it('an initialization gives in ONNX Runtime what it drew, other numbers for another seed', async () => {
  const network = tinyNetwork('RDM basic')
  const step = sgdStep(network, paper)
  const drawn = evaluate(initializationGraph('tiny', [network, step.graph], 7).graph, new Map())
  const firstOf = async (seed: number) => {
    const model = await openModel(fileOf(network, { part: 'init', level: 'basic', seed }))
    const first = await model.run(new Map())
    await model.close()
    return first
  }
  const first = await firstOf(7)
  expect([...first.keys()]).toEqual([...drawn.keys()])
  for (const [output, value] of drawn) expectClose(first.get(output)!, value, output, 1e-7)
  const other = await firstOf(8)
  expect(other.get('stem.weight.initial')!.data).not.toEqual(first.get('stem.weight.initial')!.data)
})

it.each(tinyNames)(
  'a whole file of %s is read as one that trains, draws its own first weights, and steps alike',
  (name) => {
    const [standard, plain] = (['standard', 'basic'] as const).map((level) =>
      readTrainableModel(fileOf(tinyNetwork(name), { level })),
    )
    expect(plain!.signature).toEqual(standard!.signature)
    expect(plain!.initialization(1).initial).toEqual(standard!.initialization(1).initial)
    const step = plain!.graph()
    expect(ancestors(step.outputs.values()).some(({ operator }) => operator.name === 'BatchNormTraining')).toBe(true)
    const own = sgdStep(tinyNetwork(name), paper).graph
    const feeds = new Map([...disturbed(own, 5), ...tinyBatch(own, 2)])
    const expected = evaluate(standard!.graph(), feeds)
    for (const [output, value] of evaluate(step, feeds)) expectClose(value, expected.get(output)!, output, 1e-9, 1e-2)
    expect(widen(plain!.state['stem.weight']!)).toEqual(widen(standard!.state['stem.weight']!))
  },
)

it('says the same of itself', () => {
  const propertiesOf = (level: 'standard' | 'basic') =>
    Object.fromEntries(
      decodeModel(fileOf(tinyNetwork('RDM basic'), { part: 'train', level })).metadataProps.map(({ key, value }) => [
        key,
        value,
      ]),
    )
  expect(propertiesOf('basic')).toEqual(propertiesOf('standard'))
  expect(Object.keys(propertiesOf('basic'))).toContain(keys.carried)
})

describe('the gradient of max pooling', () => {
  it.each<[string, Attributes, number[]]>([
    ['overlapping, padded', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, [7, 8]],
    ['of another size on each axis', { kernel_shape: [3, 2], strides: [1, 1], pads: [0, 1, 2, 0] }, [5, 6]],
    ['dilated, over the edge', { kernel_shape: [2, 3], strides: [3, 2], dilations: [2, 1], ceil_mode: 1 }, [7, 6]],
    ['of one axis', { kernel_shape: [4], strides: [2], pads: [2, 1] }, [9]],
  ])('%s: no places, no scatter that adds, the same numbers', (_, options, sizes) => {
    const batches = (batch: string | number) => {
      const x = input('x', 'float32', [batch, 3, ...sizes])
      const [y] = apply(MaxPool, [x], options) as [Value]
      return { x, y, weight: input('weight', 'float32', y.shape) }
    }
    const { x, y, weight } = batches('batch')
    const [dx] = gradients(reduceSum(mul(y, weight), undefined, { keepdims: 0 }), [x])
    const before = graph('g', [x, weight], new Map([['dx', dx!]]))
    const after = expandPrimitives(before, basic)
    const using = (name: string, index: number) =>
      after.nodes.filter(({ inputs }) =>
        inputs.some((value) => nodeOf(value)?.operator.name === name && nodeOf(value)?.outputs[index] === value),
      )
    expect(using('MaxPool', 1)).toEqual([])
    const scatters = after.nodes.filter(({ operator }) => operator.name === 'ScatterElements')
    expect(new Set(scatters.map(({ attributes }) => attributes.reduction ?? 'none'))).toEqual(new Set(['none']))
    const known = batches(2)
    const feeds = byName(drawnFor([known.x, known.weight], 'pool'))
    // As after a ReLU: of several zeros in a window the first has the gradient, and none of the padding.
    const { data, ...rest } = feeds.get('x')!
    feeds.set('x', { ...rest, data: data.map((value) => Math.max(0, value)) })
    const [want, got] = [before, after].map((one) => evaluate(one, feeds).get('dx')!)
    expectClose(got!, want!, 'dx', 1e-12)
  })
})

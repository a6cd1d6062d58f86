// Low-rank adapters: they begin as nothing, count what they should at every kind of layer, and can be merged and taken out.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { adaptersOf, merged, withAdapters, withoutUpdates } from '../../../src/core/derive/adapters.js'
import { prepared } from '../../../src/core/derive/derive.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { rewrite } from '../../../src/core/graph/rewrite.js'
import { type Numbers, numbers, tensor } from '../../../src/core/graph/tensor.js'
import {
  apply1,
  input,
  nameOf,
  type Parameter,
  parameter,
  rootScope,
  type Value,
} from '../../../src/core/graph/value.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { add, conv, Gemm, gather, matmul, relu, transpose } from '../../../src/core/ops/index.js'

const drawn = (shape: readonly number[], seed: number): Float64Array =>
  Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i + seed))

/** A parameter as a file gives it. */
const given = (name: string, shape: readonly number[], dtype: 'float32' | 'float64' = 'float64'): Parameter =>
  parameter(name, shape, { kind: 'given', tensor: tensor(dtype, shape, drawn(shape, name.length)) }, { dtype })

/** The same network with drawn numbers in its adapters, which then give something. */
function trained(network: Graph): Graph {
  const leaves = new Map<Value, Value>(
    adaptersOf(network).map((value) => [
      value,
      rootScope('', () => given(nameOf(value), value.shape as number[], value.dtype as 'float64')),
    ]),
  )
  return rewrite(network, () => undefined, { leaves })
}

const outputOf = (network: Graph, x: Numbers): readonly number[] => {
  const [taken] = network.inputs
  const values = evaluate(network, new Map([[nameOf(taken!), x]]))
  return [...values.get([...network.outputs.keys()][0]!)!.data]
}

const w = (...shape: number[]) => given('w', shape)
const x4 = input('x', 'float64', ['batch', 3, 5, 6])
const x2 = input('x', 'float64', [4, 3])
const x3 = input('x', 'float64', ['batch', 2, 3])
const layers: Readonly<Record<string, readonly [Value, () => Value]>> = {
  'a product': [x3, () => matmul(x3, w(3, 5))],
  'a product with a transposed weight': [x3, () => matmul(x3, transpose(w(5, 3), [1, 0]))],
  'a Gemm': [x2, () => apply1(Gemm, [x2, w(5, 3), given('b', [5])], { transB: 1, alpha: 0.5, beta: 2 })],
  'a Gemm of columns': [x2, () => apply1(Gemm, [x2, w(4, 5)], { transA: 1 })],
  'a convolution': [x4, () => conv(x4, w(4, 3, 3, 2), { strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 2] })],
  'a convolution with the weight’s axes in another order': [
    x4,
    () => conv(x4, transpose(w(3, 2, 3, 4), [3, 2, 0, 1]), {}),
  ],
}

describe.each(Object.entries(layers))('adapters of %s', (_, [taken, layer]) => {
  const plain = graph('one', [taken], { y: relu(layer()) })
  const adapted = withAdapters(plain, { rank: 2, on: ['w'], alpha: 3 })
  const sizes = taken.shape.map((dim) => (typeof dim === 'number' ? dim : 2))
  const x = numbers('float64', sizes, drawn(sizes, 9))

  it('give nothing to begin with', () => {
    expect(outputOf(withoutUpdates(trained(adapted)), x)).toEqual(outputOf(plain, x))
    const ups = adapted.parameters.filter((value) => nameOf(value).endsWith('.lora_B'))
    expect(ups.map(({ origin }) => origin.initializer)).toEqual([{ kind: 'constant', value: 0 }])
  })

  it('merged into the weight give what they gave beside it, in the network as it was', () => {
    const after = trained(adapted)
    const back = merged(after)
    const [beside, within] = [outputOf(after, x), outputOf(back, x)]
    expect(beside.some((value, i) => Math.abs(value - outputOf(plain, x)[i]!) > 0.1)).toBe(true)
    within.forEach((value, i) => {
      expect(value).toBeCloseTo(beside[i]!, 10)
    })
    expect(back.nodes.map(({ operator, scope }) => [operator.name, scope])).toEqual(
      plain.nodes.map(({ operator, scope }) => [operator.name, scope]),
    )
    expect(back.parameters.map(nameOf).toSorted()).toEqual(plain.parameters.map(nameOf).toSorted())
  })
})

it('a product by hand: y + α/r · (x·A)·B', () => {
  const plain = graph('one', [x2], { y: matmul(x2, w(3, 2)) })
  const after = trained(withAdapters(plain, { rank: 1, on: ['w'], alpha: 4 }))
  const x = drawn([4, 3], 5)
  const [weight, down, up] = ['w', 'w.lora_A', 'w.lora_B'].map((name, i) => drawn([[6], [3], [2]][i]!, name.length))
  const expected = Array.from({ length: 8 }, (_, at) => {
    const [row, column] = [Math.floor(at / 2), at % 2]
    let [y, low] = [0, 0]
    for (let i = 0; i < 3; i++) {
      y += x[row * 3 + i]! * weight![i * 2 + column]!
      low += x[row * 3 + i]! * down![i]!
    }
    return y + 4 * low * up![column]!
  })
  outputOf(after, numbers('float64', [4, 3], x)).forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 12)
  })
})

it('two layers with one weight share their adapter', () => {
  const shared = given('shared', [3, 3])
  const x = input('x', 'float64', ['batch', 3])
  const plain = graph('two', [x], { y: matmul(relu(matmul(x, shared)), shared) })
  const after = trained(withAdapters(plain, { rank: 2, on: ['shared'] }))
  expect(adaptersOf(after).map(nameOf)).toEqual(['shared.lora_A', 'shared.lora_B'])
  const feed = numbers('float64', [2, 3], drawn([2, 3], 1))
  const within = outputOf(merged(after), feed)
  outputOf(after, feed).forEach((value, i) => {
    expect(value).toBeCloseTo(within[i]!, 10)
  })
})

describe('which layers', () => {
  const fixtures = join(import.meta.dirname, '..', '..', 'fixtures', 'networks')
  const read = (name: string) => readNetwork(readFileSync(join(fixtures, `${name}.onnx`)))
  const names = (network: Graph) => adaptersOf(network).map(nameOf)

  // Exporters fold the transposition of these weights and number what comes of it.
  it.each(['bert.script', 'bert.dynamo'])('%s: by the names of layers whose weights are only numbered', (name) => {
    const adapted = withAdapters(read(name), { rank: 2, on: ['*.query', '*.value'] })
    const expected = [0, 1].flatMap((layer) =>
      ['query', 'value'].flatMap((part) =>
        ['A', 'B'].map((factor) => `model.bert.encoder.layer.${layer}.attention.self.${part}.lora_${factor}`),
      ),
    )
    expect(names(adapted).toSorted()).toEqual(expected.toSorted())
  })

  it('all linear layers and convolutions but the last, and those with groups', () => {
    const found = names(withAdapters(read('mobilenet_v3_small.dynamo'), { rank: 1 }))
    const all = read('mobilenet_v3_small.dynamo').nodes.filter(({ operator }) =>
      ['Conv', 'Gemm'].includes(operator.name),
    )
    const grouped = all.filter(({ attributes }) => 'group' in attributes && attributes.group !== 1)
    expect(grouped.length).toBeGreaterThan(0)
    expect(found.length).toBe(2 * (all.length - grouped.length - 1))
  })

  it('only they and a new head train', () => {
    const network = prepared(read('bert.dynamo'), { head: 5, lora: { rank: 2, on: ['*.query'] } })
    const training = network.parameters.filter(({ origin }) => origin.trainable).map(nameOf)
    expect(training.toSorted()).toEqual(
      [...names(network), 'model.classifier.weight', 'model.classifier.bias'].toSorted(),
    )
  })

  it('none whose weight is an embedding as well: merging would change that', () => {
    const shared = given('shared', [4, 3])
    const ids = input('ids', 'int64', ['batch'])
    const tied = graph('tied', [ids], { y: matmul(gather(shared, ids), transpose(shared, [1, 0])) })
    expect(() => withAdapters(tied, { rank: 2 })).toThrow('tied has no layer that adapters fit')
  })

  it.each<[string, () => unknown, string]>([
    [
      'a name that no layer has',
      () => withAdapters(read('bert.dynamo'), { rank: 2, on: ['*.qeury'] }),
      "no layer that adapters fit is named like '*.qeury'; there are model.bert",
    ],
    [
      'adapters twice',
      () => withAdapters(withAdapters(read('bert.dynamo'), { rank: 2 }), { rank: 2 }),
      'has adapters already: merge them first',
    ],
    [
      'nothing to merge',
      () => merged(read('bert.dynamo')),
      'has no adapters to merge: give a file of rdm-derive --lora',
    ],
  ])('refused: %s', (_, act, message) => {
    expect(act).toThrow(message)
  })

  it('a bias is added behind the adapter, whose sum keeps its place', () => {
    const x = input('x', 'float64', ['batch', 3])
    const plain = graph('biased', [x], { y: add(matmul(x, w(3, 2)), given('bias', [2])) })
    const after = trained(withAdapters(plain, { rank: 1, on: ['w'] }))
    expect(after.nodes.at(-1)!.inputs.some((value) => value && nameOf(value) === 'bias')).toBe(true)
  })
})

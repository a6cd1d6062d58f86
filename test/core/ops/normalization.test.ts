// Normalization, dropout and losses as older versions have them, of mixed types, and with a symbolic batch.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { knownIn } from '../../../src/core/graph/dims.js'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import type { Operator } from '../../../src/core/graph/operator.js'
import type { Shape } from '../../../src/core/graph/shape.js'
import { type DType, elementsOf, isFloat, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply, constant, input, type Value } from '../../../src/core/graph/value.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import * as ops from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { onnx } from '../../support/models.js'
import { modelOf, openModel } from '../../support/runtime.js'

const { FLOAT, INT } = onnx.AttributeProto.AttributeType
type Node = NonNullable<ConstructorParameters<typeof onnx.NodeProto>[0]>
type Fed = readonly [shape: readonly number[], data: readonly number[]]

/** What a node of a version computes of float32 inputs, by their names. */
function results(version: number, node: Node, fed: Readonly<Record<string, Fed>>): readonly Numbers[] {
  const outputs = node.output ?? ['y']
  const proto = onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version }],
    graph: {
      name: 'g',
      input: Object.entries(fed).map(([name, [shape]]) => ({
        name,
        type: { tensorType: { elemType: 1, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
      })),
      node: [{ ...node, name: 'it', output: outputs }],
      output: outputs.map((name) => ({ name })),
    },
  })
  const feeds = Object.entries(fed).map(([name, [shape, data]]): [string, Numbers] => [
    name,
    numbers('float32', shape, data),
  ])
  const found = evaluate(readModel(proto).inference, new Map(feeds))
  return outputs.map((name) => found.get(name)!)
}
const rounded = ({ data }: Numbers) => [...data].map((value) => Number(value.toFixed(4)))

describe('a file of an older version', () => {
  it('has scale and bias of a group normalization by group', () => {
    const node = {
      opType: 'GroupNormalization',
      input: ['x', 'scale', 'bias'],
      attribute: [
        { name: 'num_groups', type: INT, i: 2 },
        { name: 'epsilon', type: FLOAT, f: 0 },
      ],
    }
    const x: Fed = [
      [1, 4, 1],
      [1, 3, 2, 6],
    ]
    const [old] = results(18, node, { x, scale: [[2], [1, 10]], bias: [[2], [0, 1]] })
    expect(rounded(old!)).toEqual([-1, 1, -9, 11])
    const [today] = results(21, node, { x, scale: [[4], [1, 1, 10, 10]], bias: [[4], [0, 0, 1, 1]] })
    expect(rounded(today!)).toEqual([-1, 1, -9, 11])
  })

  const vectors = (data: readonly number[], ...shape: number[]): Record<'s' | 'b' | 'm' | 'v', Fed> => ({
    s: [shape, data],
    b: [shape, data.map(() => 1)],
    m: [shape, data.map(() => 0)],
    v: [shape, data.map(() => 4)],
  })
  const norm = { opType: 'BatchNormalization', input: ['x', 's', 'b', 'm', 'v'] }
  const x: Fed = [
    [2, 1, 2],
    [1, 2, 3, 6],
  ]
  it('normalizes each place by itself, version 7', () => {
    const attribute = [
      { name: 'spatial', type: INT, i: 0 },
      { name: 'epsilon', type: FLOAT, f: 0 },
    ]
    const [y] = results(7, { ...norm, attribute }, { x, ...vectors([2, 4], 1, 2) })
    expect(rounded(y!)).toEqual([2, 5, 4, 13])
  })
  it.each([7, 9, 13])('trains where it names the moved statistics: version %i', (version) => {
    const attribute = [{ name: 'epsilon', type: FLOAT, f: 0 }]
    const node = { ...norm, attribute, output: ['y', 'mean', 'variance'] }
    const [y, mean, variance] = results(version, node, { x, ...vectors([1], 1) })
    expect(rounded(y!)).toEqual(
      [-1, -0.5, 0, 1.5].map((value) => Number((value * (2 / Math.sqrt(3.5)) + 1).toFixed(4))),
    )
    expect(rounded(mean!)).toEqual([0.3])
    expect(rounded(variance!)).toEqual([3.95])
    const [inference] = results(version, { ...norm, attribute }, { x, ...vectors([1], 1) })
    expect(rounded(inference!)).toEqual([1.5, 2, 2.5, 4])
  })

  it('has the ratio of dropout as an attribute, and in version 7 a mask of numbers', () => {
    const attribute = [{ name: 'ratio', type: FLOAT, f: 0.25 }]
    const node = { opType: 'Dropout', input: ['x'], attribute, output: ['y', 'mask'] }
    const fed: Record<string, Fed> = { x: [[2], [3, 4]] }
    expect(results(7, node, fed)).toEqual([numbers('float32', [2], [3, 4]), numbers('float32', [2], [1, 1])])
    expect(results(11, node, fed)).toEqual([numbers('float32', [2], [3, 4]), numbers('bool', [2], [1, 1])])
  })
})

it('batch normalization takes vectors of another type, and gives gradients in it', () => {
  const x = input('x', 'float16', [4, 2])
  const vectors = ['s', 'b', 'm', 'v'].map((name) => input(name, 'float32', [2]))
  for (const training_mode of [0, 1]) {
    const outputs = apply(ops.BatchNormalization, [x, ...vectors], { training_mode })
    expect(outputs.map(({ dtype }) => dtype)).toEqual(['float16', 'float32', 'float32'].slice(0, outputs.length))
    const found = gradients(ops.reduceSum(outputs[0]!, undefined, { keepdims: 0 }), [x, ...vectors])
    expect(found.map(({ dtype }) => dtype)).toEqual(['float16', 'float32', 'float32', 'float32', 'float32'])
  }
})

describe('with symbols for sizes', () => {
  type Given = readonly [dtype: DType, shape: Shape]
  const f = (...shape: Shape): Given => ['float32', shape]
  const i = (...shape: Shape): Given => ['int64', shape]
  const sizes: Readonly<Record<string, number>> = { batch: 2, length: 3, keys: 4 }
  const calls: readonly (readonly [Operator, readonly (Given | undefined)[], Record<string, unknown>?])[] = [
    [ops.BatchNormalization, [f('batch', 3, 2, 2), f(3), f(3), f(3), f(3)]],
    [ops.BatchNormalization, [f('batch', 3, 'length'), f(3), f(3), f(3), f(3)], { training_mode: 1 }],
    [ops.InstanceNormalization, [f('batch', 3, 'length', 2), f(3), f(3)]],
    [ops.GroupNormalization, [f('batch', 4, 'length', 'keys'), f(4), f(4)], { num_groups: 2 }],
    [ops.LayerNormalization, [f('batch', 'length', 4), f(4), f(4)]],
    [ops.RMSNormalization, [f('batch', 'length', 4), f(4)]],
    [ops.LpNormalization, [f('batch', 'length', 4)]],
    [ops.LRN, [f('batch', 4, 2, 3)], { size: 3 }],
    [ops.MeanVarianceNormalization, [f('batch', 4, 'length', 3)]],
    [ops.SoftmaxCrossEntropyLoss, [f('batch', 3, 'length'), i('batch', 'length'), f(3)], { ignore_index: 1 }],
    [ops.NegativeLogLikelihoodLoss, [f('batch', 3), i('batch')], { reduction: 'none' }],
    [ops.Attention, [f('batch', 2, 'length', 4), f('batch', 2, 'keys', 4), f('batch', 2, 'keys', 3)], { is_causal: 1 }],
    [
      ops.Attention,
      [f('batch', 'length', 8), f('batch', 'keys', 4), f('batch', 'keys', 6), f('length', 'keys')],
      { q_num_heads: 4, kv_num_heads: 2, left_window_size: 1 },
    ],
    [
      ops.Attention,
      [
        f('batch', 1, 'length', 4),
        f('batch', 1, 'keys', 4),
        f('batch', 1, 'keys', 3),
        undefined,
        undefined,
        undefined,
        i('batch'),
      ],
      { is_causal: 1 },
    ],
    [ops.RotaryEmbedding, [f('batch', 2, 'length', 4), f(9, 2), f(9, 2), i('batch', 'length')]],
    [
      ops.RotaryEmbedding,
      [f('batch', 'length', 8), f(9, 2), f(9, 2), i('batch', 'length')],
      { num_heads: 2, interleaved: 1 },
    ],
    [
      ops.LinearAttention,
      [f('batch', 2, 4), f('batch', 2, 4), f('batch', 2, 4)],
      { q_num_heads: 2, kv_num_heads: 2, update_rule: 'linear' },
    ],
    [ops.CausalConvWithState, [f('batch', 2, 4), f(2, 1, 3)]],
    [ops.Dropout, [f('batch', 'length')]],
    [ops.Bernoulli, [f('batch', 'length')]],
    [ops.Multinomial, [f('batch', 5)], { sample_size: 3 }],
  ]

  it.each(calls.map((call, n) => [`${call[0].name} ${n}`, ...call] as const))(
    '%s',
    (_, operator, given, attributes) => {
      const random = randomStream(5, operator.name)
      const sized = (shape: Shape) => shape.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]!))
      const trial = (of: (shape: Shape) => Shape) => {
        const inputs = given.map((one, n) => one && input(`x${n}`, one[0], of(one[1])))
        const outputs = apply(operator, inputs, attributes as never)
        const floats = inputs.filter((value): value is Value => !!value && isFloat(value.dtype))
        const [y] = outputs
        const grads = isFloat(y!.dtype) && operator.gradient !== 'zero' ? gradients(total(y!), floats) : []
        return { inputs, values: [...outputs, ...grads] }
      }
      const total = (y: Value) => ops.reduceSum(ops.mul(y, y), undefined, { keepdims: 0 })
      const data = given.map((one) => {
        if (!one) return undefined
        const shape = sized(one[1])
        const next = one[0] === 'int64' ? () => random.below(3) : () => 0.3 + random.uniform()
        return numbers(one[0], shape, Float64Array.from({ length: elementsOf(shape) }, next))
      })
      const found = [(shape: Shape) => shape, sized].map((of) => {
        const { inputs, values } = trial(of)
        const feeds = inputs.flatMap((value, n): [Value, Numbers][] => (value ? [[value, data[n]!]] : []))
        return evaluateValues(values, new Map(feeds))
      })
      expect(found[0]).toEqual(found[1])
    },
  )
})

it('a draw is no constant, whatever is known of its operand', () => {
  const drawn = apply(ops.Bernoulli, [constant('float32', [0.5, 0.5])], { dtype: 7 })[0]!
  expect(knownIn(drawn)).toBeUndefined()
})

it('batch normalization in training is written with all its outputs, which ONNX Runtime demands', async () => {
  const x = input('x', 'float32', [4, 1])
  const vectors = [2, 1, 0, 4].map((value) => constant('float32', [value]))
  const [y] = apply(ops.BatchNormalization, [x, ...vectors], { training_mode: 1, epsilon: 0 })
  const open = await openModel(modelOf(graph('g', [x], { y: y! }), 'inline'))
  const results = await open.run(new Map([['x', numbers('float32', [4, 1], [1, 2, 3, 6])]]))
  await open.close()
  expect(rounded(results.get('y')!)).toEqual(
    [-2, -1, 0, 3].map((x) => Number(((2 * x) / Math.sqrt(3.5) + 1).toFixed(4))),
  )
})

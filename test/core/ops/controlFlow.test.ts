// Recurrent layers over sequences of any length, loops whose values change their shape, and branches: in the reference and in
// ONNX Runtime.
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import type { Operator } from '../../../src/core/graph/operator.js'
import type { Dim } from '../../../src/core/graph/shape.js'
import { type Numbers, narrow, numbers } from '../../../src/core/graph/tensor.js'
import { apply, constant, input, type Value } from '../../../src/core/graph/value.js'
import { encodeModel } from '../../../src/core/onnx/tensors.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import * as ops from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { expandNode } from '../../../src/core/targets/target.js'
import { onnx } from '../../support/models.js'

const random = randomStream(3, 'control flow')
const drawn = (...shape: number[]): Numbers =>
  numbers(
    'float32',
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(0.5 * random.normal())),
  )

async function run(source: Graph, feeds: ReadonlyMap<string, Numbers>): Promise<ReadonlyMap<string, Float64Array>> {
  const model = writeModel({ graph: source, weights: new Map() }, (node, inputs) => expandNode(portable, node, inputs))
  const session = await InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 })
  const given = [...feeds].map(([name, value]): [string, OrtTensor] => {
    const { dtype, shape, data } = narrow(value)
    return [name, new OrtTensor(dtype as 'float32', data as never, [...shape])]
  })
  const results = await session.run(Object.fromEntries(given))
  await session.release()
  return new Map(
    Object.entries(results).map(([name, { data }]) => [name, Float64Array.from(data as Float32Array, Number)]),
  )
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(tolerance * Math.max(1, Math.abs(expected[i]!)))
}

describe('recurrent layers over a length that only the run knows', () => {
  const layers: readonly [Operator<never>, gates: number, states: number][] = [
    [ops.RNN as never, 1, 1],
    [ops.GRU as never, 3, 1],
    [ops.LSTM as never, 4, 2],
  ]
  const [steps, batch, features, hidden] = [5, 2, 3, 2]

  it.each(layers.flatMap((layer) => [false, true].map((lengths) => [layer[0].name, lengths, ...layer] as const)))(
    '%s, lengths given: %s',
    async (_, withLengths, operator, gates, states) => {
      const feeds = new Map([
        ['x', drawn(steps, batch, features)],
        ['w', drawn(2, gates * hidden, features)],
        ['r', drawn(2, gates * hidden, hidden)],
        ['b', drawn(2, 2 * gates * hidden)],
        ['lengths', numbers('int32', [batch], [5, 3])],
        ['dy', drawn(steps, 2, batch, hidden)],
        ['dlast', drawn(2, batch, hidden)],
      ])
      /** Σ dy·y + Σ dlast·last, and its gradients, unrolled or in a loop. */
      const built = (length: Dim, size: Dim): Graph => {
        const inputs = [...feeds].map(([name, { dtype, shape }]) =>
          input(
            name,
            dtype,
            name === 'x'
              ? [length, size, features]
              : name === 'dy'
                ? [length, 2, size, hidden]
                : name === 'dlast'
                  ? [2, size, hidden]
                  : name === 'lengths'
                    ? [size]
                    : shape,
          ),
        )
        const [x, w, r, b, lengths, dy, dlast] = inputs as [Value, Value, Value, Value, Value, Value, Value]
        const outputs = apply(operator, [x, w, r, b, withLengths ? lengths : undefined], {
          direction: 'bidirectional',
          hidden_size: hidden,
        } as never)
        const total = (value: Value) => ops.reduceSum(value, undefined, { keepdims: 0 })
        const loss = ops.add(total(ops.mul(outputs[0]!, dy)), total(ops.mul(outputs[states]!, dlast)))
        const grads = gradients(loss, [x, w, r, b])
        return graph('layer', withLengths ? inputs : inputs.filter((value) => value !== lengths), {
          loss,
          dx: grads[0]!,
          dw: grads[1]!,
          dr: grads[2]!,
          db: grads[3]!,
        })
      }
      const given = new Map([...feeds].filter(([name]) => withLengths || name !== 'lengths'))
      const expected = evaluate(built(steps, batch), given)
      const open = built('steps', 'batch')
      for (const [name, { data }] of evaluate(open, given)) expectClose(data, expected.get(name)!.data, 1e-12)
      for (const [name, data] of await run(open, given)) expectClose(data, expected.get(name)!.data, 1e-5)
    },
  )
})

const { GRAPH, INT, INTS } = onnx.AttributeProto.AttributeType
type NodeProto = NonNullable<ConstructorParameters<typeof onnx.NodeProto>[0]>
type GraphProto = NonNullable<ConstructorParameters<typeof onnx.GraphProto>[0]>
const node = (opType: string, inputs: string, outputs: string, ...attribute: NonNullable<NodeProto['attribute']>) => ({
  opType,
  input: inputs === '' ? [] : inputs.split(' '),
  output: outputs.split(' '),
  attribute,
})
const info = (name: string, elemType: number, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})
const [FLOAT, INT64, BOOL] = [1, 7, 9]
const read = (body: GraphProto, version = 18) =>
  readModel(
    onnx.ModelProto.create({ irVersion: 8, opsetImport: [{ domain: '', version }], graph: { name: 'g', ...body } }),
  ).inference

describe('loops whose values grow', () => {
  const body: GraphProto = {
    name: 'body',
    input: [info('i', INT64), info('go', BOOL), { name: 'list' }],
    node: [node('Concat', 'list x', 'longer', { name: 'axis', type: INT, i: 0 }), node('Identity', 'go', 'still')],
    output: [{ name: 'still' }, { name: 'longer' }],
  }
  const source = () =>
    read({
      input: [info('count', INT64), info('x', FLOAT, 2)],
      node: [node('Loop', 'count  x', 'y', { name: 'body', type: GRAPH, g: body })],
      output: [{ name: 'y' }],
    })

  it('have a length that only the run knows', async () => {
    const feeds = new Map([
      ['count', numbers('int64', [], [2])],
      ['x', numbers('float32', [2], [1, 2])],
    ])
    expect([...evaluate(source(), feeds).get('y')!.data]).toEqual([1, 2, 1, 2, 1, 2])
    expect([...(await run(source(), feeds)).get('y')!]).toEqual([1, 2, 1, 2, 1, 2])
  })

  it('have no gradient', () => {
    const { outputs, inputs } = source()
    const y = outputs.get('y')!
    expect(() => gradients(ops.reduceSum(y, undefined, { keepdims: 0 }), [inputs[1]!])).toThrow(
      'the carried value 0 changes its shape',
    )
  })
})

describe('branches', () => {
  const branch = (name: string, op: string): { name: string; type: number; g: GraphProto } => ({
    name,
    type: GRAPH,
    g: { name, node: [node(op, 'x', `${name}.y`)], output: [{ name: `${name}.y` }] },
  })
  const body = (condition: NonNullable<NodeProto['attribute']>[number]): GraphProto => ({
    input: [info('x', FLOAT, 2), info('go', BOOL)],
    node: [
      node('Constant', '', 'known', condition),
      node('Cast', 'known', 'is', { name: 'to', type: INT, i: BOOL }),
      node('If', 'is', 'y', branch('then_branch', 'Exp'), branch('else_branch', 'NoOperator')),
    ],
    output: [{ name: 'y' }],
  })

  it('of a condition that is known: only the one that is taken is read', () => {
    expect(read(body({ name: 'value_int', type: INT, i: 1 })).nodes.map(({ operator }) => operator.name)).toEqual([
      'Exp',
    ])
    expect(() => read(body({ name: 'value_int', type: INT, i: 0 }))).toThrow('NoOperator')
  })

  it('are not computed where they are not taken', async () => {
    const source = read({
      input: [info('x', FLOAT, 2), info('go', BOOL)],
      node: [node('If', 'go', 'y', branch('else_branch', 'Exp'), branch('then_branch', 'Tanh'))],
      output: [{ name: 'y' }],
    })
    const [x] = source.inputs as [Value]
    const [dx] = gradients(ops.reduceSum(source.outputs.get('y')!, undefined, { keepdims: 0 }), [x]) as [Value]
    const both = graph('both', source.inputs, new Map([...source.outputs, ['dx', dx]]))
    expect(new Set(both.nodes.map(({ operator }) => operator.name))).not.toContain('Exp')
    for (const go of [0, 1]) {
      const feeds = new Map([
        ['x', numbers('float32', [2], [0.5, -1])],
        ['go', numbers('bool', [], [go])],
      ])
      const y = [0.5, -1].map(go ? Math.tanh : Math.exp)
      const results = evaluate(both, feeds)
      expectClose(results.get('y')!.data, y, 1e-12)
      expectClose(
        results.get('dx')!.data,
        y.map((value) => (go ? 1 - value * value : value)),
        1e-12,
      )
      for (const [name, data] of await run(both, feeds)) expectClose(data, results.get(name)!.data, 1e-6)
    }
  })
})

describe('older files', () => {
  const x = numbers('float32', [5], [1, 2, 3, 4, 5])
  const ints = (name: string, ...values: number[]) => ({ name, type: INTS, ints: values })
  const outputsOf = (version: number, made: NodeProto) => {
    const outputs = made.output!.map((name) => ({ name }))
    const source = read({ input: [info('x', FLOAT, 5)], node: [made], output: outputs }, version)
    return [...evaluate(source, new Map([['x', x]])).values()].map(({ data }) => [...data])
  }
  it.each([
    ['Slice', 9, node('Slice', 'x', 'y', ints('starts', 1), ints('ends', -1)), [[2, 3, 4]]],
    ['Pad', 10, node('Pad', 'x', 'y', ints('pads', 1, 2)), [[0, 1, 2, 3, 4, 5, 0, 0]]],
    [
      'Split',
      11,
      node('Split', 'x', 'a b', ints('split', 2, 3)),
      [
        [1, 2],
        [3, 4, 5],
      ],
    ],
    ['Split without lengths', 13, node('Split', 'x', 'a b c d e'), [[1], [2], [3], [4], [5]]],
    [
      'Split by a number',
      18,
      node('Split', 'x', 'a b', { name: 'num_outputs', type: INT, i: 2 }),
      [
        [1, 2, 3],
        [4, 5],
      ],
    ],
  ] as const)('%s', (_, version, made, expected) => {
    expect(outputsOf(version, made as NodeProto)).toEqual(expected)
  })
})

it('a slice up to a symbol has its length, and gives its gradient back', async () => {
  const [ids, table] = [input('ids', 'int64', ['batch', 'time']), input('table', 'float32', [7, 2])]
  const time = ops.gather(ops.shapeOf(ids), constant('int64', [1]))
  const cut = apply(ops.Slice, [table, constant('int64', [0]), time, constant('int64', [0])])[0]!
  expect(cut.shape).toEqual(['time', 2])
  const picked = ops.add(ops.gather(table, ids), cut)
  const [dtable] = gradients(ops.reduceSum(ops.mul(picked, picked), undefined, { keepdims: 0 }), [table]) as [Value]
  const source = graph('g', [ids, table], { dtable })
  const feeds = new Map([
    ['ids', numbers('int64', [2, 3], [0, 6, 6, 1, 2, 0])],
    ['table', drawn(7, 2)],
  ])
  const { data } = evaluate(source, feeds).get('dtable')!
  expectClose((await run(source, feeds)).get('dtable')!, data, 1e-5)
})

it('a draw in a loop is another in each iteration, and has no gradient', () => {
  const body: GraphProto = {
    name: 'body',
    input: [info('i', INT64), info('go', BOOL), info('sum', FLOAT, 2)],
    node: [
      node('RandomUniform', '', 'drawn', { name: 'shape', type: INTS, ints: [2] }),
      node('Mul', 'drawn x', 'scaled'),
      node('Add', 'sum scaled', 'next'),
      node('Identity', 'go', 'still'),
    ],
    output: [{ name: 'still' }, { name: 'next' }],
  }
  const source = read({
    input: [info('count', INT64), info('x', FLOAT, 2)],
    node: [node('Loop', 'count  x', 'y', { name: 'body', type: GRAPH, g: body })],
    output: [{ name: 'y' }],
  })
  expect(source.nodes.map(({ operator }) => operator.name)).toEqual(['Loop'])
  const total = ops.reduceSum(source.outputs.get('y')!, undefined, { keepdims: 0 })
  expect(() => gradients(total, [source.inputs[1]!])).toThrow('its body draws at random')
})

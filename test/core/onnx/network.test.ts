// What a reader decides about a file that says little: which tensors are weights, which branch an exporter meant, and what the
// caller knows better than the file.
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers, tensor } from '../../../src/core/graph/tensor.js'
import { exportGraph } from '../../../src/core/model/write.js'
import { type NetworkOptions, readNetwork } from '../../../src/core/onnx/network.js'
import { type AttributeProto as Attribute, AttributeType, type GraphProto } from '../../../src/core/onnx/schema.js'
import { encodeModel, tensorToProto } from '../../../src/core/onnx/tensors.js'

const { GRAPH, INT, TENSOR } = AttributeType
const [FLOAT, INT64, BOOL] = [1, 7, 9]

const node = (opType: string, inputs: string, output: string, ...attribute: Attribute[]) => ({
  opType,
  input: inputs === '' ? [] : inputs.split(' '),
  output: [output],
  attribute,
})
const info = (name: string, elemType: number, ...dims: (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: dims.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
})
const held = (name: string, shape: number[], ...values: number[]) =>
  tensorToProto(name, tensor('float32', shape, values))
const whole = (name: string, shape: number[], ...values: number[]) =>
  tensorToProto(name, tensor('int64', shape, values))
const branch = (name: string, body: GraphProto): Attribute => ({ name, type: GRAPH, g: { name, ...body } })

const read = (proto: GraphProto, options?: NetworkOptions) =>
  readNetwork(
    encodeModel({ irVersion: 8, opsetImport: [{ domain: '', version: 18 }], graph: { name: 'g', ...proto } }),
    options,
  )
const weightsOf = (proto: GraphProto) => read(proto).parameters.map(({ origin }) => origin.name)

describe('weights of a file that does not say them', () => {
  it('are floats with dimensions, of initializers and of Constant nodes; not single numbers', () => {
    const found = weightsOf({
      input: [info('x', FLOAT, 'batch', 2)],
      initializer: [held('w', [2, 2], 1, 2, 3, 4), held('half', [], 0.5)],
      node: [
        node('Constant', '', 'v', { name: 'value', type: TENSOR, t: held('', [2], 1, 2) }),
        node('Constant', '', 'one', { name: 'value', type: TENSOR, t: held('', [1], 3) }),
        node('MatMul', 'x w', 'xw'),
        node('Mul', 'xw half', 'scaled'),
        node('Mul', 'scaled one', 'again'),
        node('Add', 'again v', 'y'),
      ],
      output: [info('y', FLOAT)],
    })
    expect(found.toSorted()).toEqual(['v', 'w'])
  })

  it('are numbers by themselves where a layer takes them, not where a formula does', () => {
    const found = weightsOf({
      input: [info('x', FLOAT, 'batch', 2)],
      initializer: [held('w', [2, 1], 1, 2), held('b', [1], 3), held('scale', [1], 0.5), held('slope', [1], 0.1)],
      node: [
        node('MatMul', 'x w', 'product'),
        node('Add', 'product b', 'sum'),
        node('Mul', 'sum scale', 'scaled'),
        node('PRelu', 'scaled slope', 'y'),
      ],
      output: [info('y', FLOAT)],
    })
    expect(found.toSorted()).toEqual(['b', 'slope', 'w'])
  })

  it('are not what tells an operator how, however that is computed', () => {
    const resized: GraphProto = {
      input: [info('x', FLOAT, 1, 1, 2, 2)],
      initializer: [held('ones', [2], 1, 1), held('factors', [2], 2, 3)],
      node: [
        node('Concat', 'ones factors', 'scales', { name: 'axis', type: INT, i: 0 }),
        { ...node('Resize', 'x', 'y'), input: ['x', '', 'scales'] },
      ],
      output: [info('y', FLOAT)],
    }
    expect(weightsOf(resized)).toEqual([])
    expect(read(resized).outputs.get('y')!.shape).toEqual([1, 1, 4, 6])
  })

  it('of two graphs inside nodes may have one name', async () => {
    const inner = (value: number): GraphProto => ({
      initializer: [held('w', [2], value, value)],
      node: [node('Mul', 'x w', 'z')],
      output: [info('z', FLOAT)],
    })
    const network = read({
      input: [info('x', FLOAT, 2), info('c', BOOL)],
      node: [node('If', 'c', 'y', branch('then_branch', inner(2)), branch('else_branch', inner(5)))],
      output: [info('y', FLOAT)],
    })
    expect(new Set(network.parameters.map(({ origin }) => origin.name)).size).toBe(2)
    const session = await InferenceSession.create(exportGraph(network))
    for (const [flag, factor] of [
      [true, 2],
      [false, 5],
    ] as const) {
      const x = new OrtTensor('float32', Float32Array.of(1, -3), [2])
      const { y } = await session.run({ x, c: new OrtTensor('bool', Uint8Array.of(Number(flag)), []) })
      expect([...(y!.data as Float32Array)]).toEqual([factor, -3 * factor])
    }
    await session.release()
  })
})

/** y = x.squeeze(1) as exporters write it, times a weight. */
const squeezed: GraphProto = {
  input: [info('x', FLOAT, 'batch', 'steps')],
  initializer: [held('w', [1], 3), whole('one', [1], 1), whole('place', [1], 1)],
  node: [
    node('Shape', 'x', 'shape'),
    node('Gather', 'shape place', 'size'),
    node('Equal', 'size one', 'single'),
    node(
      'If',
      'single',
      'z',
      branch('then_branch', { node: [node('Squeeze', 'x one', 'a')], output: [info('a', FLOAT)] }),
      branch('else_branch', { node: [node('Identity', 'x', 'b')], output: [info('b', FLOAT)] }),
    ),
    node('Mul', 'z w', 'y'),
  ],
  output: [info('y', FLOAT)],
}

describe('If(size == 1, Squeeze(x), x), whose branches have different ranks', () => {
  it('is the Squeeze, which fails where the size is another one', async () => {
    const network = read(squeezed)
    expect(network.outputs.get('y')!.shape).toHaveLength(1)
    const x = numbers('float32', [3, 1], [1, 2, 3])
    expect([...evaluate(network, new Map([['x', x]])).get('y')!.data]).toEqual([3, 6, 9])
    const wide = new Map([['x', numbers('float32', [1, 2], [1, 2])]])
    expect(() => evaluate(network, wide)).toThrow('axis 1 has size 2, only size 1 can be dropped')
    const session = await InferenceSession.create(exportGraph(network), { logSeverityLevel: 4 })
    await expect(session.run({ x: new OrtTensor('float32', Float32Array.of(1, 2), [1, 2]) })).rejects.toThrow('Squeeze')
    await session.release()
  })

  it('is what the given shape says', () => {
    expect(read(squeezed, { shapes: { x: [3, 1] } }).outputs.get('y')!.shape).toEqual([3])
    expect(read(squeezed, { shapes: { x: [3, 2] } }).outputs.get('y')!.shape).toEqual([3, 2])
  })
})

describe('what the caller knows', () => {
  const chosen: GraphProto = {
    input: [info('a', FLOAT, 'n', 'k'), info('b', FLOAT, 'n', 3), info('rate', INT64)],
    initializer: [whole('fast', [], 16)],
    node: [
      node('Equal', 'rate fast', 'isFast'),
      node(
        'If',
        'isFast',
        'y',
        branch('then_branch', { node: [node('MatMul', 'a b', 'p')], output: [info('p', FLOAT)] }),
        branch('else_branch', { node: [node('Add', 'a b', 'q')], output: [info('q', FLOAT)] }),
      ),
    ],
    output: [info('y', FLOAT)],
  }

  it('shapes: a size with a name is the same everywhere', () => {
    const { inputs } = read(chosen, { shapes: { a: [3, 3] } })
    expect(inputs.map(({ shape }) => shape)).toEqual([[3, 3], [3, 3], []])
    const named = read(chosen, { shapes: { a: ['rows', 3] } })
    expect(named.inputs.map(({ shape }) => shape)).toEqual([['rows', 3], ['rows', 3], []])
  })

  it('values: what they decide is decided', () => {
    const network = read(chosen, { values: { rate: tensor('int64', [], [16]) } })
    expect(network.inputs.map(({ origin }) => origin)).toMatchObject([{ name: 'a' }, { name: 'b' }])
    expect(network.nodes.map(({ operator }) => operator.name)).toEqual(['MatMul'])
  })

  it.each<[NetworkOptions, string]>([
    [{ shapes: { z: [1] } }, "a shape is given for 'z', which is no input; expected one of a, b, rate"],
    [{ shapes: { b: [2, 4] } }, "the input 'b' is [n, 3] in the file; the shape [2, 4] does not fit"],
    [{ shapes: { a: [2] } }, "the input 'a' is [n, k] in the file; the shape [2] does not fit"],
    [{ shapes: { a: [2, 3], b: [4, 3] } }, "the shapes given make 'n' both 2 and 4; expected one size"],
    [{ values: { rate: tensor('int32', [], [16]) } }, "the value given for 'rate' is int32; the file has int64"],
  ])('is checked: %j', (options, message) => {
    expect(() => read(chosen, options)).toThrow(message)
  })
})

describe('the gradient through a branch', () => {
  it('has its primitives written out inside the branch', async () => {
    const network = read({
      input: [info('x', FLOAT, 1, 1, 4, 4), info('c', BOOL)],
      initializer: [held('w', [1, 1, 3, 3], 1, 2, 3, 4, 5, 6, 7, 8, 9)],
      node: [
        node(
          'If',
          'c',
          'y',
          branch('then_branch', { node: [node('Conv', 'x w', 'p')], output: [info('p', FLOAT)] }),
          branch('else_branch', {
            node: [node('MaxPool', 'x', 'q', { name: 'kernel_shape', type: 7, ints: [3, 3] })],
            output: [info('q', FLOAT)],
          }),
        ),
      ],
      output: [info('y', FLOAT)],
    })
    const [x, c] = network.inputs
    const dx = gradients(network.outputs.get('y')!, [x!], { seed: network.outputs.get('y')! })[0]!
    const backward = graph('backward', [x!, c!], { dx })
    const values = Float64Array.from({ length: 16 }, (_, i) => (i * 7) % 16)
    const session = await InferenceSession.create(exportGraph(backward))
    for (const flag of [1, 0]) {
      const fed = new Map([
        ['x', numbers('float32', [1, 1, 4, 4], values)],
        ['c', numbers('bool', [], [flag])],
      ])
      const found = await session.run({
        x: new OrtTensor('float32', Float32Array.from(values), [1, 1, 4, 4]),
        c: new OrtTensor('bool', Uint8Array.of(flag), []),
      })
      expect([...(found.dx!.data as Float32Array)]).toEqual([...evaluate(backward, fed).get('dx')!.data])
    }
    await session.release()
  })
})

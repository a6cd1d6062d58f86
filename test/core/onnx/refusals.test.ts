// What cannot be read: all of it at once, in one line, and nothing that follows from it.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { ModelError } from '../../../src/core/onnx/refusals.js'
import { AttributeType, type GraphProto, type NodeProto } from '../../../src/core/onnx/schema.js'
import { encodeModel } from '../../../src/core/onnx/tensors.js'

const node = (opType: string, input: string, output: string, more: NodeProto = {}): NodeProto => ({
  opType,
  name: output.split(' ')[0]!,
  input: input === '' ? [] : input.split(' '),
  output: output.split(' '),
  ...more,
})
const FLOAT = 1
const STRING = 8
const info = (name: string, elemType: number, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})
const names = { name: 'names', dataType: STRING, dims: [1], stringData: [new TextEncoder().encode('a')] }

const bytesOf = (graph: GraphProto, functions = {}) =>
  encodeModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 18 }],
    graph: { name: 'g', input: [info('x', FLOAT, 2)], output: [{ name: 'y' }], ...graph },
    ...functions,
  })
function refusalOf(bytes: Uint8Array): ModelError {
  try {
    readNetwork(bytes)
  } catch (error) {
    if (error instanceof ModelError) return error
    throw error
  }
  throw new Error('accepted')
}
const unknown = (operator: string) =>
  `the operator ${operator} is not known here, and the file has no function of that name`

describe('several things', () => {
  const graph: GraphProto = {
    initializer: [names],
    node: [
      node('Foo', 'x', 'a'),
      node('Relu', 'a', 'b'),
      node('Add', 'b x', 'c'),
      node('Bar', 'x', 'd e'),
      node('Mul', 'e c', 'f'),
      node('Concat', 'names x', 'g', { attribute: [{ name: 'axis', type: AttributeType.INT, i: 0 }] }),
      node('Identity', 'names', 'h'),
      node('Add', 'x f', 'y'),
    ],
  }
  it('are told together, by node, operator and reason', () => {
    const { refusals } = refusalOf(bytesOf(graph))
    expect(refusals.map(({ node, operator }) => [node, operator])).toEqual([
      ['a', 'Foo'],
      ['d', 'Bar'],
      ['g', 'Concat'],
    ])
    expect(refusals[0]!.reason).toBe(unknown('Foo'))
    expect(refusals[2]!.reason).toMatch(/^initializer 'names': element type 8 is not supported/)
  })
  it('make one line', () => {
    const { message } = refusalOf(bytesOf(graph))
    expect(message).toMatch(
      `3 things in the model cannot be read: node 'a' (Foo): ${unknown('Foo')}; node 'd' (Bar): ${unknown('Bar')}; node 'g' (Concat): initializer 'names': element type 8 is not supported`,
    )
    expect(message).not.toMatch(/\n/)
  })
  it('of one kind are counted', () => {
    const many = Array.from({ length: 12 }, (_, i) => node('Foo', 'x', `n${i}`))
    const last = node('Sum', many.map((one) => one.output![0]).join(' '), 'y')
    const { message, refusals } = refusalOf(bytesOf({ node: [...many, last] }))
    expect(message).toBe(`12 nodes 'n0', 'n1', 'n2', … (Foo): ${unknown('Foo')}`)
    expect(refusals).toHaveLength(12)
  })
  it('of many kinds are cut short', () => {
    const many = Array.from({ length: 100 }, (_, i) => node(`Foo${i}`, 'x', `n${i}`))
    const { message, refusals } = refusalOf(bytesOf({ node: [...many, node('Add', 'n1 n2', 'y')] }))
    expect(message).toMatch(/^100 things in the model cannot be read: .*; and 92 more$/)
    expect(message.length).toBeLessThan(1010)
    expect(refusals).toHaveLength(100)
  })
  it('beyond ten thousand end the reading', () => {
    const many = Array.from({ length: 30_000 }, (_, i) => node('Foo', 'x', `n${i}`))
    expect(refusalOf(bytesOf({ node: many })).refusals).toHaveLength(10_000)
  })
  it('names hold no second line', () => {
    const { message } = refusalOf(bytesOf({ node: [node('Foo', 'x', 'y', { name: 'a\nb\u2028c' })] }))
    expect(message).toBe(`node 'a b c' (Foo): ${unknown('Foo')}`)
  })
})

describe('inputs, bodies and functions', () => {
  it('tell of an input, and not of what uses it', () => {
    const graph = {
      input: [info('x', STRING, 2), info('z', FLOAT, 2)],
      node: [node('Add', 'x z', 'y'), node('Foo', 'z', 'w')],
    }
    const { refusals } = refusalOf(bytesOf(graph))
    expect(refusals.map(({ node, operator, reason }) => [node, operator, reason.slice(0, 31)])).toEqual([
      ['', '', "the input 'x': element type 8 i"],
      ['w', 'Foo', 'the operator Foo is not known h'],
    ])
  })
  it('tell of nodes in a branch, and go on behind it', () => {
    const branch = (opType: string): GraphProto => ({
      name: opType,
      node: [node(opType, 'x', `${opType}.out`)],
      output: [{ name: `${opType}.out` }],
    })
    const attribute = [
      { name: 'then_branch', type: AttributeType.GRAPH, g: branch('Foo') },
      { name: 'else_branch', type: AttributeType.GRAPH, g: branch('Relu') },
    ]
    const graph = {
      input: [info('x', FLOAT, 2), info('go', 9)],
      node: [node('If', 'go', 'a', { attribute }), node('Neg', 'a', 'b'), node('Bar', 'x', 'y')],
    }
    expect(refusalOf(bytesOf(graph)).refusals.map(({ node }) => node)).toEqual(['a/Foo.out', 'y'])
  })
  it('tell of the nodes of a function at each call', () => {
    const functions = [
      {
        domain: 'f',
        name: 'F',
        input: ['a'],
        output: ['b'],
        node: [node('Foo', 'a', 'c'), node('Neg', 'c', 'b')],
        opsetImport: [{ domain: '', version: 18 }],
      },
    ]
    const call = (input: string, output: string) => node('F', input, output, { domain: 'f' })
    const graph = { node: [call('x', 'p'), call('x', 'q'), node('Add', 'p q', 'y')] }
    const { message, refusals } = refusalOf(bytesOf(graph, { functions }))
    expect(refusals.map(({ node }) => node)).toEqual(['p/c', 'q/c'])
    expect(message).toBe(`2 nodes 'p/c', 'q/c' (Foo): ${unknown('Foo')}`)
  })
})

describe('what nobody uses', () => {
  const graph = { node: [node('Neg', 'x', 'y')] }
  const result = (bytes: Uint8Array) => [
    ...evaluate(readNetwork(bytes), new Map([['x', numbers('float32', [2], [1, -2])]])).get('y')!.data,
  ]
  it.each([
    ['strings', names],
    ['an element type of the future', { name: 'w', dataType: 99, dims: [1], rawData: new Uint8Array(1) }],
    [
      'data in another file',
      { name: 'w', dataType: 1, dims: [1], dataLocation: 1, externalData: [{ key: 'location', value: 'gone' }] },
    ],
    ['too few numbers', { name: 'w', dataType: 1, dims: [5], floatData: [1] }],
  ])('is left alone: %s', (_, initializer) => {
    expect(result(bytesOf({ ...graph, initializer: [initializer] }))).toEqual([-1, 2])
  })
})

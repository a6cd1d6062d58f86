// Local functions of any domain: their bodies take the place of the calls, with the caller's attributes, and within bounds.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import {
  type AttributeProto as Attribute,
  AttributeType,
  type FunctionProto as Body,
  type ModelProto,
  type NodeProto as Node,
} from '../../../src/core/onnx/schema.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'

const { FLOAT, INT, INTS, TENSOR } = AttributeType

const node = (opType: string, input: string, output: string, more: Partial<Node> = {}): Node => ({
  opType,
  input: input.split(' '),
  output: output.split(' '),
  ...more,
})
const called = (opType: string, input: string, output: string, attribute: Attribute[] = []): Node =>
  node(opType, input, output, { domain: 'other', attribute: attribute.map((a) => ({ ...a })) })
const body = (name: string, input: string, output: string, nodes: Node[], more: Partial<Body> = {}): Body => ({
  domain: 'other',
  name,
  input: input.split(' '),
  output: output.split(' '),
  node: nodes,
  opsetImport: [{ domain: '', version: 18 }],
  ...more,
})
const info = (name: string, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType: 1, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})

/** A model of x [2, 3] → y, of these nodes and functions. */
const modelOf = (nodes: Node[], functions: Body[]): ModelProto => ({
  irVersion: 10,
  opsetImport: [{ domain: '', version: 18 }],
  graph: { name: 'g', input: [info('x', 2, 3)], output: [{ name: 'y' }], node: nodes },
  functions,
})

const x = numbers('float32', [2, 3], [1, -2, 3, -4, 5, -6])
const result = (nodes: Node[], functions: Body[]) => [
  ...evaluate(readModel(modelOf(nodes, functions)).inference, new Map([['x', x]])).get('y')!.data,
]
const refusal = (nodes: Node[], functions: Body[]): string => {
  try {
    readModel(modelOf(nodes, functions))
    return 'accepted'
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : ''
  }
}

const reference = (name: string, refAttrName: string, type: number): Attribute => ({ name, refAttrName, type })

/** alpha·x for negative x, and by how much the whole is scaled as a constant of the function. */
const leaky = body(
  'Leaky',
  'a',
  'b',
  [
    node('Constant', '', 'slope', { input: [], attribute: [reference('value_float', 'slope', FLOAT)!] }),
    node('Relu', 'a', 'up'),
    node('Sub', 'a up', 'down'),
    node('Mul', 'down slope', 'small'),
    node('Add', 'up small', 'b'),
  ],
  { attribute: ['slope'] },
)

describe('a function of a foreign domain', () => {
  it('computes with the attributes of each call', () => {
    const slope = (f: number): Attribute[] => [{ name: 'slope', type: FLOAT, f }]
    expect(result([called('Leaky', 'x', 'y', slope(0.5))], [leaky])).toEqual([1, -1, 3, -2, 5, -3])
    const twice = [called('Leaky', 'x', 'h', slope(0.5)), called('Leaky', 'h', 'y', slope(0.25))]
    expect(result(twice, [leaky])).toEqual([1, -0.25, 3, -0.5, 5, -0.75])
  })
  it('hands attributes on under other names, and leaves out those that the call does not give', () => {
    const turned = body(
      'Turned',
      'a',
      'b',
      [node('Transpose', 'a', 'b', { attribute: [reference('perm', 'order', INTS)!] })],
      {
        attribute: ['order'],
      },
    )
    const order = { name: 'order', type: INTS, ints: [0, 1] }
    expect(result([called('Turned', 'x', 'y', [order])], [turned])).toEqual([...x.data])
    expect(result([called('Turned', 'x', 'y')], [turned])).toEqual([1, -4, -2, 5, 3, -6])
  })
  it('may call others, whose nodes are named below the call', () => {
    const outer = body(
      'Outer',
      'a',
      'b c',
      [called('Leaky', 'a', 'h', [reference('slope', 's', FLOAT)]), node('Neg', 'h', 'c'), node('Abs', 'h', 'b')],
      { attribute: ['s'] },
    )
    const call = { ...called('Outer', 'x', 'p q', [{ name: 's', type: FLOAT, f: 2 }]), name: 'mine' }
    const nodes = [call, node('Add', 'p q', 'y')]
    expect(result(nodes, [outer, leaky])).toEqual([0, 8, 0, 16, 0, 24])
    expect(printGraph(readModel(modelOf(nodes, [outer, leaky])).inference)).toContain('# mine/Leaky/Relu float32[2, 3]')
  })
  it('may have inputs that a call leaves out', () => {
    const transB = { name: 'transB', type: INT, i: 1 }
    const square = body('Square', 'a c', 'b', [node('Gemm', 'a a c', 'b', { attribute: [transB] })])
    expect(result([called('Square', 'x', 'y')], [square])).toEqual([14, -32, -32, 77])
    const one = node('Constant', '', 'one', { input: [], attribute: [{ name: 'value_float', type: FLOAT, f: 1 }] })
    expect(result([one, called('Square', 'x one', 'y')], [square])).toEqual([15, -31, -31, 78])
  })
  it('reads the names of its own domain, whatever ai.onnx is called', () => {
    const other = { ...leaky, name: 'Relu' }
    const slope = { name: 'slope', type: FLOAT, f: 0.5 }
    expect(result([called('Relu', 'x', 'y', [slope])], [other])).toEqual([1, -1, 3, -2, 5, -3])
    expect(result([node('Relu', 'x', 'y', { domain: 'ai.onnx' })], [other])).toEqual([1, 0, 3, 0, 5, 0])
  })
})

describe('functions as newer versions of the format have them', () => {
  it('are told apart by overload, in calls and in calls of calls', () => {
    const scale = (overload: string, factor: number): Body => ({
      ...body('Scale', 'a', 'b', [
        node('Constant', '', 'k', { input: [], attribute: [{ name: 'value_float', type: FLOAT, f: factor }] }),
        node('Mul', 'a k', 'b'),
      ]),
      overload,
    })
    const inner = { ...called('Scale', 'a', 'b'), overload: 'ten' }
    const functions = [scale('', 2), scale('ten', 10), body('Outer', 'a', 'b', [inner])]
    const nodes = [called('Scale', 'x', 'p'), called('Outer', 'p', 'y')]
    expect(result(nodes, functions)).toEqual([20, -40, 60, -80, 100, -120])
    expect(refusal([{ ...called('Scale', 'x', 'y'), overload: 'three' }], functions)).toBe(
      "UserError: node 'Scale' (Scale): the operator other.Scale is not known here, and the file has no function of that name and overload 'three'",
    )
  })
  it('are called where the overload of an operator is asked for, which has none', () => {
    const relu = { ...body('Relu', 'a', 'b', [node('Neg', 'a', 'b')]), domain: '', overload: 'mine' }
    expect(result([{ ...node('Relu', 'x', 'y'), overload: 'mine' }], [relu])).toEqual([-1, 2, -3, 4, -5, 6])
  })
  it('have defaults, which a call may replace', () => {
    const attributeProto = [{ name: 'slope', type: FLOAT, f: 0.5 }]
    const withDefault: Body = {
      ...leaky,
      attribute: (leaky.attribute ?? []).filter((a) => a !== 'slope'),
      attributeProto,
    }
    const given = { name: 'slope', type: FLOAT, f: 2 }
    expect(result([called('Leaky', 'x', 'y')], [withDefault])).toEqual([1, -1, 3, -2, 5, -3])
    expect(result([called('Leaky', 'x', 'y', [given])], [withDefault])).toEqual([1, -4, 3, -8, 5, -12])
    // The reference of an outer function, which has a default itself, is given to the inner one.
    const outer: Body = {
      ...body('Outer', 'a', 'b', [called('Leaky', 'a', 'b', [reference('slope', 'steep', FLOAT)])]),
      attributeProto: [{ name: 'steep', type: FLOAT, f: 3 }],
    }
    expect(result([called('Outer', 'x', 'y')], [withDefault, outer])).toEqual([1, -6, 3, -12, 5, -18])
  })
})

describe('a function that does not fit', () => {
  const cases: readonly [string, Node[], Body[], string][] = [
    [
      'an attribute that neither a call nor a default gives',
      [called('Leaky', 'x', 'y')],
      [{ ...leaky, attribute: [] }],
      "UserError: node 'Leaky/Constant' (Constant): the attribute 'value_float' refers to 'slope', which neither the call gives nor the function has a default for; give it at the call",
    ],
    [
      'one of two of its name and overload',
      [called('Leaky', 'x', 'y')],
      [leaky, { ...leaky }],
      'UserError: two functions are called other::Leaky; expected an overload of its own for each',
    ],
    [
      'too many inputs',
      [called('Leaky', 'x x', 'y')],
      [leaky],
      "UserError: node 'Leaky' (Leaky): the function Leaky takes 1 inputs, got 2",
    ],
    [
      'too many outputs',
      [called('Leaky', 'x', 'h y', [{ name: 'slope', type: FLOAT, f: 1 }])],
      [leaky],
      "UserError: node 'Leaky' (Leaky): has an output 1 ('y') that Leaky does not make",
    ],
    [
      'an output that it does not make',
      [called('Half', 'x', 'y')],
      [body('Half', 'a', 'b', [])],
      "UserError: node 'Half' (Half): the function Half does not make its output 'b'",
    ],
    [
      'an operator set that is not read',
      [called('Old', 'x', 'y')],
      [body('Old', 'a', 'b', [node('Relu', 'a', 'b')], { opsetImport: [{ domain: '', version: 0 }] })],
      "UserError: node 'Old' (Old): the function Old uses version 0 of the ONNX operators; expected 1 to 28: convert the model to opset 18",
    ],
    [
      'a body that uses what it cannot see',
      [called('Blind', 'x', 'y')],
      [body('Blind', 'a', 'b', [node('Relu', 'x', 'b')])],
      "UserError: node 'Blind/Relu' (Relu): uses 'x', which nothing before it defines",
    ],
    [
      'an operator that is not known, inside',
      [called('Odd', 'x', 'y')],
      [body('Odd', 'a', 'b', [node('Frobnicate', 'a', 'b')])],
      "UserError: node 'Odd/Frobnicate' (Frobnicate): the operator Frobnicate is not known here, and the file has no function of that name",
    ],
    [
      'a constant by an attribute of another kind',
      [called('Odd', 'x', 'y', [{ name: 'k', type: INT, i: 3 }])],
      [
        body('Odd', 'a', 'b', [node('Relu', 'a', 'b', { attribute: [reference('slope', 'k', INT)!] })], {
          attribute: ['k'],
        }),
      ],
      "UserError: node 'Odd/Relu' (Relu): the attribute 'slope' (3) is not supported; Relu takes none",
    ],
  ]
  it.each(cases)('%s', (_, nodes, functions, message) => {
    expect(refusal(nodes, functions)).toBe(message)
  })
})

describe('functions without end', () => {
  it('calling themselves are refused', () => {
    const self = body('Self', 'a', 'b', [called('Self', 'a', 'b')])
    expect(refusal([called('Self', 'x', 'y')], [self])).toMatch(
      /^UserError: node 'Self(\/Self)+' \(Self\): functions call each other more than 32 levels deep; a function must not call itself$/,
    )
    const [ping, pong] = [
      body('Ping', 'a', 'b', [called('Pong', 'a', 'b')]),
      body('Pong', 'a', 'b', [called('Ping', 'a', 'b')]),
    ]
    expect(refusal([called('Ping', 'x', 'y')], [ping, pong])).toMatch(/more than 32 levels deep/)
  })
  /** Ten calls a level: ten to the power of the levels. */
  const laughs = (levels: number, last: Node[]): Body[] =>
    Array.from({ length: levels + 1 }, (_, level) => {
      const calls = Array.from({ length: 10 }, (__, i) => called(`L${level - 1}`, `v${i}`, `v${i + 1}`))
      return level === 0 ? body('L0', 'v0', 'v10', last) : body(`L${level}`, 'v0', 'v10', calls)
    })

  it('doubling at each level are refused in bounded time', () => {
    const started = performance.now()
    expect(refusal([called('L20', 'x', 'y')], laughs(20, [node('Relu', 'v0', 'v10')]))).toMatch(
      /^UserError: node '(L\d+\/)*(L\d+|Relu)' \(\w+\): calls of functions come to more than 100000 nodes; expected a smaller model$/,
    )
    expect(performance.now() - started).toBeLessThan(10_000)
  })
  it('hold their constants once, however often they are called', () => {
    const big = { dataType: 1, dims: [2, 3, 10_000], rawData: new Uint8Array(240_000) }
    const constant = node('Constant', '', 'big', { input: [], attribute: [{ name: 'value', type: TENSOR, t: big }] })
    const before = process.memoryUsage().arrayBuffers
    const { inference } = readModel(modelOf([called('L3', 'x', 'y')], laughs(3, [constant, node('Relu', 'v0', 'v10')])))
    expect(inference.nodes).toHaveLength(1000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50e6)
  })
})

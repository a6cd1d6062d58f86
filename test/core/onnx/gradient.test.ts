// ONNX's Gradient as files say it, by the examples of its specification (docs/Operators.md, ai.onnx.preview.training.Gradient):
// what comes out, against derivatives worked out by hand; what is refused in one line and in bounded time.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { onnx } from '../../support/models.js'

const { STRING, STRINGS, GRAPH, INT } = onnx.AttributeProto.AttributeType
type Node = NonNullable<ConstructorParameters<typeof onnx.NodeProto>[0]>
const [FLOAT, INT64, BOOL] = [1, 7, 9]

const words = (text: string) => text.split(' ').filter((word) => word !== '')
const bytes = (text: string) => new TextEncoder().encode(text)
const node = (opType: string, input: string, output: string, attribute: Node['attribute'] = []): Node => {
  return { opType, input: words(input), output: output.split(' '), attribute }
}
const strings = (name: string, text: string) => ({ name, type: STRINGS, strings: words(text).map(bytes) })

/** `xs` then `zs` of the node, and what they are. */
const gradient = (xs: string, zs: string, y: string, inputs: string, outputs: string): Node => ({
  ...node('Gradient', inputs, outputs, [
    strings('xs', xs),
    ...(zs === '' ? [] : [strings('zs', zs)]),
    { name: 'y', type: STRING, s: bytes(y) },
  ]),
  domain: 'ai.onnx.preview.training',
})

const info = (name: string, elemType: number, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})

type Inputs = Readonly<Record<string, number | readonly number[]>>
const modelOf = (inputs: Inputs, nodes: readonly Node[], outputs: string, more = {}) =>
  onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 18 },
      { domain: 'ai.onnx.preview.training', version: 1 },
    ],
    graph: {
      name: 'g',
      input: Object.entries(inputs).map(([name, value]) =>
        info(name, name === 'go' ? BOOL : FLOAT, ...(typeof value === 'number' ? [] : [value.length])),
      ),
      node: [...nodes],
      output: words(outputs).map((name) => ({ name })),
    },
    ...more,
  })

function computed(inputs: Inputs, nodes: readonly Node[], outputs: string, more = {}): readonly (readonly number[])[] {
  const { inference } = readModel(modelOf(inputs, nodes, outputs, more))
  const feeds = Object.entries(inputs).map(([name, value]) => {
    const dtype = name === 'go' ? 'bool' : 'float32'
    return [name, numbers(dtype, typeof value === 'number' ? [] : [value.length], [value].flat())] as const
  })
  const results = evaluate(inference, new Map(feeds))
  return words(outputs).map((name) => [...results.get(name)!.data])
}

const refusal = (inputs: Inputs, nodes: readonly Node[], outputs: string): string => {
  try {
    readModel(modelOf(inputs, nodes, outputs))
    return 'accepted'
  } catch (error) {
    return String(error)
  }
}

/** h = w·x, y = h·h·z: with h = 6, y = 180. */
const product = [node('Mul', 'w x', 'h'), node('Mul', 'h h', 'square'), node('Mul', 'square z', 'y')]
const point = { w: 2, x: 3, z: 5 }

describe('what comes out', () => {
  it('is ∂y/∂x of each x, at the values that it is given', () => {
    const own = gradient('w z', 'x', 'y', 'w z x', 'dw dz')
    expect(computed(point, [...product, own], 'dw dz')).toEqual([[180], [36]])
    // By an inner value, which is held: y = h²·z.
    expect(computed(point, [...product, gradient('h z', '', 'y', 'h z', 'dh dz')], 'dh dz')).toEqual([[60], [36]])
    // At h = 1, y = 5, whatever w and x are.
    const elsewhere = gradient('h z', '', 'y', 'one z', 'dh dz')
    expect(computed({ ...point, one: 1 }, [...product, elsewhere], 'dh dz')).toEqual([[10], [1]])
    // One tensor in two places: of each the derivative by itself, at w = z = 2 and x = 3.
    expect(computed(point, [...product, gradient('w z', 'x', 'y', 'w w x', 'dw dz')], 'dw dz')).toEqual([[72], [36]])
    // A z that is not given is what it is, and an output without a name is left out.
    expect(computed(point, [...product, gradient('w z', 'x', 'y', 'w z', ' dz')], 'dz')).toEqual([[36]])
  })

  it('is 0 where y does not depend on it', () => {
    expect(computed(point, [...product, gradient('z', '', 'h', 'z', 'dz')], 'dz')).toEqual([[0]])
  })

  it('is that of the sum where y has several elements', () => {
    const nodes = [node('Mul', 'a a', 'y'), gradient('a', '', 'y', 'a', 'da')]
    expect(computed({ a: [1, 2, -3] }, nodes, 'da')).toEqual([[2, 4, -6]])
  })

  it('has a gradient itself: ∂²(x⁴)/∂x² = 12x², and ∂³', () => {
    const nodes = [
      node('Mul', 'x x', 'x2'),
      node('Mul', 'x2 x2', 'y'),
      gradient('x', '', 'y', 'x', 'd1'),
      gradient('x', '', 'd1', 'x', 'd2'),
      gradient('x', '', 'd2', 'x', 'd3'),
    ]
    expect(computed({ x: 3 }, nodes, 'd1 d2 d3')).toEqual([[108], [108], [72]])
  })

  it('is the same of a parameter, whose gradient is marked, twice over', () => {
    const w = { name: 'w', dataType: FLOAT, dims: [], floatData: [2] }
    const nodes = [
      ...product,
      gradient('w', '', 'y', 'w', 'dw'),
      node('Mul', 'dw dw', 'penalty'),
      gradient('w', '', 'penalty', 'w', 'ddw'),
    ]
    const model = modelOf({ x: 3, z: 5 }, nodes, 'dw ddw')
    model.graph!.initializer = [w]
    const { inference } = readModel(model)
    const feeds = Object.entries({ x: 3, z: 5 }).map(
      ([name, value]) => [name, numbers('float32', [], [value])] as const,
    )
    const results = evaluate(inference, new Map([...feeds, ['w', numbers('float32', [], [2])]]))
    // dw = 2·w·x²·z = 90w, the penalty 8100w².
    expect([...results.values()].map(({ data }) => data[0])).toEqual([180, 32_400])
  })

  it('is resolved by the names where it stands: in functions and in branches', () => {
    const body = { ...gradient('a', 'b', 'c', 'a b', 'da') }
    const functions = [
      {
        domain: 'own',
        name: 'Slope',
        input: ['a', 'b'],
        output: ['da'],
        opsetImport: [
          { domain: '', version: 18 },
          { domain: 'ai.onnx.preview.training', version: 1 },
        ],
        node: [node('Mul', 'a b', 'ab'), node('Mul', 'ab a', 'c'), body],
      },
    ]
    const call = { ...node('Slope', 'w z', 'slope'), domain: 'own' }
    expect(computed(point, [call], 'slope', { functions })).toEqual([[20]])
    const branch = (name: string, inner: Node) => ({
      name,
      type: GRAPH,
      g: { name, node: [inner], output: [{ name: inner.output![0]! }] },
    })
    const chosen = node('If', 'go', 'd', [
      branch('then_branch', gradient('w', '', 'y', 'w', 'then')),
      branch('else_branch', gradient('z', '', 'y', 'z', 'else')),
    ])
    expect(computed({ ...point, go: 1 }, [...product, chosen], 'd')).toEqual([[180]])
    expect(computed({ ...point, go: 0 }, [...product, chosen], 'd')).toEqual([[36]])
  })
})

describe('what is refused', () => {
  const said = (call: Node, inputs: Inputs = point, nodes: readonly Node[] = product) =>
    refusal(inputs, [...nodes, call], 'dw').replace(/^.*?\(Gradient\): /, '')

  it.each([
    ['an unknown name', gradient('w', '', 'loss', 'w', 'dw'), "names 'loss', which nothing before it defines"],
    [
      'a name given twice',
      gradient('w w', '', 'y', 'w w', 'dw dv'),
      "names 'w' twice in xs and zs; expected each once",
    ],
    ['no xs', gradient('', '', 'y', '', 'dw'), "needs the attributes 'xs' and 'y'"],
    ['too many inputs', gradient('w', '', 'y', 'w x', 'dw'), 'takes one input for each of xs and zs, 1; got 2'],
    ['too few inputs', gradient('w z', '', 'y', 'w', 'dw dz'), 'takes one input for each of xs and zs, 2; got 1'],
    [
      'values that depend on each other',
      gradient('w h', '', 'y', 'w h', 'dw dh'),
      "names 'h', which depends on 'w': xs and zs must be independent of each other, leave out one",
    ],
  ])('%s', (_, call, message) => {
    expect(said(call)).toBe(message)
  })

  it('an input that does not fit what it stands for', () => {
    const call = gradient('w', '', 'y', 'many', 'dw')
    expect(said(call, { ...point, many: [1, 2] })).toBe("input 0 is float32[2], but stands for 'w', float32[]")
  })

  it('whole numbers', () => {
    const whole = node('Cast', 'w', 'n', [{ name: 'to', type: INT, i: INT64 }])
    expect(said(gradient('n', '', 'y', 'n', 'dw'), point, [...product, whole])).toBe(
      "names 'n', which is int64[]; only floats have a gradient",
    )
  })

  it('gradients of gradients that grow without end, soon', () => {
    const nodes = Array.from({ length: 40 }, (_, i): Node[] => [
      node('Mul', `y${i} x`, `a${i}`),
      node('Sin', `a${i}`, `b${i}`),
      gradient('x', '', `b${i}`, 'x', `y${i + 1}`),
    ])
    const first = node('Mul', 'x x', 'y0')
    const began = performance.now()
    expect(refusal({ x: 1 }, [first, ...nodes.flat()], 'y40')).toMatch(/gradients go through more than 100000 nodes/)
    expect(performance.now() - began).toBeLessThan(20_000)
  })
})

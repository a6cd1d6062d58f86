// Common subexpressions: what is equal becomes one, what only looks equal stays apart, and no number changes.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../src/graph/evaluate.js'
import { type Graph, graph } from '../../src/graph/graph.js'
import { shareEqual } from '../../src/graph/share.js'
import { tensor } from '../../src/graph/tensor.js'
import { constant, input, parameter, scope, type Value } from '../../src/graph/value.js'
import {
  add,
  conv,
  div,
  mul,
  randomNormal,
  randomUniform,
  reduceSum,
  relu,
  reshape,
  sub,
  transpose,
} from '../../src/ops/index.js'
import { portable } from '../../src/targets/portable/index.js'
import { expandPrimitives } from '../../src/targets/target.js'
import { trainingStep } from '../../src/training/step.js'
import { disturbed, tinyBatch, tinyNetwork } from '../support/networks.js'
import { modelOf, openModel, relativeError } from '../support/runtime.js'

const x = input('x', 'float32', [2, 3])
const y = input('y', 'float32', [2, 3])
const feeds = new Map([
  ['x', tensor('float32', [2, 3], [1, -2, 3, -4, 5, -6])],
  ['y', tensor('float32', [2, 3], [0.5, 0.25, -1, -2, 4, 8])],
])

const shared = (outputs: Readonly<Record<string, Value>>): Graph => shareEqual(graph('g', [x, y], outputs))
const operatorsOf = ({ nodes }: Graph) => nodes.map(({ operator }) => operator.name)

describe('equal nodes', () => {
  it('become one, with all that is computed from them', () => {
    const chain = () => relu(add(mul(x, y), x))
    const result = shared({ total: add(chain(), chain()) })
    expect(operatorsOf(result)).toEqual(['Mul', 'Add', 'Relu', 'Add'])
    expect([...evaluate(result, feeds).get('total')!.data]).toEqual([3, 0, 0, 8, 50, 0])
  })

  it('keep the name of the first', () => {
    const [a, b] = ['first', 'second'].map((name) => scope(name, () => mul(x, y)))
    const result = shared({ a: relu(a!), b: sub(b!, x) })
    expect(result.nodes.map(({ operator, scope }) => `${operator.name} ${scope}`)).toEqual([
      'Mul first',
      'Relu ',
      'Sub ',
    ])
  })

  it('are found by the value of constants, not by the constants themselves', () => {
    const scaled = () => mul(x, constant('float32', [1, 2, 3]))
    expect(operatorsOf(shared({ total: add(scaled(), scaled()) }))).toEqual(['Mul', 'Add'])
    expect(operatorsOf(shared({ total: add(reshape(x, [3, 2]), reshape(x, [3, 2])) }))).toEqual(['Reshape', 'Add'])
  })

  it('may have several outputs', () => {
    const step = trainingStep(tinyNetwork('RDM basic'), { momentum: 0.9, weightDecay: 0, nesterov: false }).graph
    const twice = graph('twice', step.inputs, new Map([...step.outputs, ['again', step.outputs.get('loss')!]]))
    const result = shareEqual(twice)
    expect(operatorsOf(result).filter((name) => name === 'BatchNormTraining')).toHaveLength(
      operatorsOf(step).filter((name) => name === 'BatchNormTraining').length,
    )
  })

  it('leave a graph without any as it is', () => {
    const source = graph('g', [x, y], { a: relu(mul(x, y)), b: add(x, y) })
    const result = shareEqual(source)
    expect(result.nodes).toEqual(source.nodes)
    for (const [i, node] of result.nodes.entries()) expect(node).toBe(source.nodes[i])
  })
})

describe('what differs stays apart', () => {
  const counted: readonly (readonly [string, () => readonly [Value, Value]])[] = [
    ['operators', () => [add(x, y), mul(x, y)]],
    ['the order of operands', () => [sub(x, y), sub(y, x)]],
    ['attributes', () => [transpose(x, [0, 1]), transpose(x, [1, 0])]],
    ['an attribute that is given, and one that is not', () => [reduceSum(x, [1]), reduceSum(x, [1], { keepdims: 0 })]],
    ['numbers of constants', () => [mul(x, constant('float32', 2)), mul(x, constant('float32', 3))]],
    [
      'dtypes of constants',
      () => [reshape(constant('float32', [1, 2]), [2]), reshape(constant('float64', [1, 2]), [2])],
    ],
    ['shapes of constants', () => [mul(x, constant('float32', [2], [1])), mul(x, constant('float32', [2], [1, 1]))]],
    ['axes', () => [reduceSum(x, [0]), reduceSum(x, [1])]],
    ['the sign of zero', () => [div(x, constant('float32', 0)), div(x, constant('float32', -0))]],
    [
      'optional operands',
      () => {
        const image = input('image', 'float32', [1, 2, 3, 3])
        const w = constant('float32', new Float64Array(4).fill(1), [2, 2, 1, 1])
        return [conv(image, w), conv(image, w, { bias: constant('float32', [1, 2]) })]
      },
    ],
    [
      'parameters of the same shape and first values',
      () => {
        const [a, b] = ['a', 'b'].map((name) => parameter(name, [3], { kind: 'constant', value: 1 }))
        return [mul(x, a!), mul(x, b!)]
      },
    ],
  ]
  it.each(counted)('%s', (_, build) => {
    const [a, b] = build()
    const image = [a, b].flatMap(({ origin }) => (origin.kind === 'node' ? origin.node.inputs : []))
    const inputs = new Set([x, y, ...image.filter((value) => value?.origin.kind === 'input')] as Value[])
    const result = shareEqual(graph('g', [...inputs], { first: a, second: b }))
    expect(result.nodes).toHaveLength(2)
    expect(result.outputs.get('first')).not.toBe(result.outputs.get('second'))
  })

  it('and is written apart', async () => {
    const source = shared({ up: div(x, constant('float32', 0)), down: div(x, constant('float32', -0)) })
    const model = await openModel(modelOf(source, 'inline'))
    const actual = await model.run(feeds)
    await model.close()
    expect([...actual.get('up')!.data]).toEqual([1, -1, 1, -1, 1, -1].map((sign) => sign * Infinity))
    expect([...actual.get('down')!.data]).toEqual([-1, 1, -1, 1, -1, 1].map((sign) => sign * Infinity))
  })

  it('random draws, even of one seed', () => {
    const draws = [randomNormal([4], 1), randomNormal([4], 1), randomUniform([4], 1), randomUniform([4], 1)]
    const result = shareEqual(graph('g', [], { total: draws.map((draw) => relu(draw)).reduce(add) }))
    expect(operatorsOf(result).filter((name) => name.startsWith('Random'))).toHaveLength(4)
    expect(operatorsOf(result).filter((name) => name === 'Relu')).toHaveLength(4)
  })
})

describe('outputs', () => {
  it('keep names and types, and what was equal is given out twice', async () => {
    const result = shared({ a: mul(x, y), b: mul(x, y), passed: x })
    expect([...result.outputs.keys()]).toEqual(['a', 'b', 'passed'])
    expect(result.outputs.get('a')).toBe(result.outputs.get('b'))
    expect(result.outputs.get('passed')).toBe(x)
    const model = await openModel(modelOf(result, 'inline'))
    const actual = await model.run(feeds)
    await model.close()
    for (const [name, value] of evaluate(result, feeds)) expect([...actual.get(name)!.data]).toEqual([...value.data])
  })

  it('of a whole step have the same types and numbers', () => {
    const step = trainingStep(tinyNetwork('RDM basic, stochastic depth'), {
      momentum: 0.9,
      weightDecay: 1e-4,
      nesterov: true,
    }).graph
    const source = expandPrimitives(step, portable)
    const result = shareEqual(source)
    expect(result.nodes.length).toBeLessThan(source.nodes.length)
    expect(result.inputs).toEqual(source.inputs)
    expect(new Set(result.parameters)).toEqual(new Set(source.parameters))
    const types = ({ outputs }: Graph) => [...outputs].map(([name, { dtype, shape }]) => [name, dtype, shape])
    expect(types(result)).toEqual(types(source))
    const given = new Map([...disturbed(step, 5), ...tinyBatch(step, 1)])
    const actual = evaluate(result, given)
    for (const [name, value] of evaluate(source, given)) expect(relativeError(actual.get(name)!, value, 1)).toBe(0)
  })

  it('do not change when it is done twice', () => {
    const once = shared({ total: add(relu(mul(x, y)), relu(mul(x, y))) })
    expect(shareEqual(once).nodes).toEqual(once.nodes)
  })
})

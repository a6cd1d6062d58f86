// What is known of whole numbers before anything runs: shapes computed from shapes.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { dimsIn, knownIn, requireKnown } from '../../../src/core/graph/dims.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { fold } from '../../../src/core/graph/fold.js'
import { graph } from '../../../src/core/graph/graph.js'
import { isUnknown } from '../../../src/core/graph/shape.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { numbers, tensorOf } from '../../../src/core/graph/tensor.js'
import { apply1, constant, constantTensor, GraphError, input, type Value } from '../../../src/core/graph/value.js'
import * as ops from '../../../src/core/ops/index.js'

const x = input('x', 'float32', ['batch', 3, 'height', 5])
const shape = apply1(ops.Shape_, [x])
const at = (axis: number): Value => ops.gather(shape, constant('int64', axis))
const vector = (value: Value): Value => ops.unsqueeze(value, 0)
const flowing = input('flowing', 'int64', [2])

describe('dimensions in values', () => {
  it.each([
    ['Shape', shape, ['batch', 3, 'height', 5]],
    ['Shape from an axis on', apply1(ops.Shape_, [x], { start: -2 }), ['height', 5]],
    ['Gather', at(0), ['batch']],
    ['Concat', ops.concat([vector(at(0)), ops.int64([-1])], 0), ['batch', -1]],
    ['Mul', ops.mul(at(1), at(2)), ['3*height']],
    ['Div', ops.div(ops.mul(at(0), 8), 4), ['2*batch']],
    ['Div of numbers truncates', ops.div(at(3), 2), [2]],
    ['Add', ops.add(at(2), 2), ['(height+2)']],
    ['Sub of the same', ops.sub(at(2), at(2)), [0]],
    ['Cast', ops.cast(at(0), 'int32'), ['batch']],
    ['Slice', ops.slice(shape, [0], [1], [3]), [3, 'height']],
    ['Equal to a negative number, which no size is', ops.equal(shape, ops.int64([-1, 3, -1, 4])), [0, 1, 0, 0]],
    ['Equal to itself', ops.equal(at(0), at(0)), [1]],
    [
      'Where, as exporters write a size to expand to',
      ops.where(ops.equal(shape, ops.int64([-1, -1, -1, -1])), ops.int64([1, 1, 1, 1]), shape),
      ['batch', 3, 'height', 5],
    ],
    ['numbers, evaluated', ops.cast(ops.floor(ops.div(ops.cast(at(3), 'float32'), 2)), 'int64'), [2]],
  ])('%s', (_, value, expected) => {
    expect(dimsIn(value)).toEqual(expected)
  })

  it('knows nothing of what is fed, and of quotients that do not divide', () => {
    expect(dimsIn(flowing)).toBeUndefined()
    expect(knownIn(at(0))).toBeUndefined()
    expect(isUnknown(dimsIn(ops.div(at(0), 2))![0]!)).toBe(true)
    // A size may be 2, and a difference of sizes may be negative.
    expect(isUnknown(dimsIn(ops.equal(at(0), 2))![0]!)).toBe(true)
    expect(isUnknown(dimsIn(ops.equal(ops.sub(at(0), 2), -1))![0]!)).toBe(true)
    expect(() => requireKnown(flowing, 'axes')).toThrow(GraphError)
  })
})

describe('whole numbers beyond 2^53', () => {
  const large = constantTensor(tensorOf('int64', [], BigInt64Array.of(2n ** 53n + 1n)))
  it('are left to the run, and refused by the reference', () => {
    const one = ops.sub(large, 9007199254740992)
    expect(dimsIn(one)).toBeUndefined()
    expect(() => evaluateValues([one], new Map())).toThrow('9007199254740993 is beyond 2^53: float64 cannot hold it')
  })

  it('are not rounded on the way either', () => {
    const product = ops.mul(constant('int64', 2 ** 40 + 1), 2 ** 40 + 1)
    expect(dimsIn(product)).toBeUndefined()
    expect(() => evaluateValues([product], new Map())).toThrow('evaluate: Mul: gives about 1.2089')
  })

  it('mean the ends of an axis in slices', () => {
    const ends = constantTensor(tensorOf('int64', [1], BigInt64Array.of(-(2n ** 63n) + 1n)))
    const backwards = apply1(ops.Slice, [shape, ops.int64([-1]), ends, ops.int64([0]), ops.int64([-1])])
    expect(dimsIn(backwards)).toEqual([5, 'height', 3, 'batch'])
  })
})

describe('shapes that follow from values', () => {
  it('Reshape to computed sizes keeps the batch', () => {
    // x.view(x.size(0), -1)
    const flat = apply1(ops.Reshape, [x, ops.concat([vector(at(0)), ops.int64([-1])], 0)])
    expect(flat.shape).toEqual(['batch', '15*height'])
    const [grad] = gradients(ops.reduceSum(ops.mul(flat, flat), undefined, { keepdims: 0 }), [x])
    expect(grad!.shape).toEqual(x.shape)
    const fed = numbers(
      'float32',
      [2, 3, 1, 5],
      Array.from({ length: 30 }, (_, i) => i),
    )
    expect([...evaluateValues([grad!], new Map([[x, fed]]))[0]!.data]).toEqual([...fed.data].map((value) => 2 * value))
  })

  it('Reshape and Expand to shapes that are fed have dimensions that only the data tell', () => {
    const [rows, columns] = apply1(ops.Reshape, [x, flowing]).shape
    expect([isUnknown(rows!), isUnknown(columns!), rows === columns]).toEqual([true, true, false])
    expect(apply1(ops.Expand, [input('one', 'float32', [7, 1]), flowing]).shape[0]).toBe(7)
  })

  it('a graph for known sizes computes no shapes', () => {
    const flat = apply1(ops.Reshape, [x, ops.concat([vector(at(0)), ops.int64([-1])], 0)])
    const whole = graph('flat', [x], { flat })
    expect(whole.nodes.length).toBe(5)
    const known = fold(specialize(whole, { batch: 2, height: 4 }))
    expect(known.nodes.map(({ operator }) => operator.name)).toEqual(['Reshape'])
    expect(known.outputs.get('flat')!.shape).toEqual([2, 60])
  })
})

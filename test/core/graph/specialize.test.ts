// Symbolic sizes made numbers: everywhere that they reach, and nothing else.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant, input, type Value } from '../../../src/core/graph/value.js'
import { add, cast, concat, loop, mul, pad, relu, reshape, size, transpose } from '../../../src/core/ops/index.js'
import { disturbed, tinyBatch, tinyNames, tinyNetwork } from '../../support/networks.js'
import { sgdStep } from '../../support/steps.js'

const shapesOf = (values: Iterable<Value | undefined>) => [...values].map((value) => value?.shape ?? [])

const namesOf = ({ nodes }: Graph) => nodes.map(({ operator, scope }) => `${scope} ${operator.name}`).sort()

it('reaches the bodies of loops, one in another', () => {
  const x = input('x', 'float32', ['batch', 2])
  const twice = (value: Value) =>
    loop(constant('int64', 2), { value }, (_, carried) => ({
      carried: { value: mul(carried.value, x) },
      stacked: {},
    })).carried.value
  const { carried, stacked } = loop(constant('int64', 3), { y: reshape(x, [-1]) }, (_, { y }) => {
    const next = reshape(twice(reshape(y, [-1, 2])), [-1])
    return { carried: { y: next }, stacked: { next } }
  })
  const source = graph('g', [x], { y: carried.y, all: stacked.next! })
  const fixed = specialize(source, { batch: 3 })
  expect(shapesOf(source.outputs.values())).toEqual([['2*batch'], [3, '2*batch']])
  expect(shapesOf(fixed.outputs.values())).toEqual([[6], [3, 6]])
  expect(printGraph(fixed)).not.toContain('batch')
  const feeds = new Map([['x', numbers('float32', [3, 2], [1, 2, 0.5, -1, 3, 0])]])
  expect(evaluate(fixed, feeds)).toEqual(evaluate(source, feeds))
})

describe('a training step for a given batch', () => {
  it.each(tinyNames)('%s has no symbol left and computes the same', (name) => {
    const step = sgdStep(tinyNetwork(name), { momentum: 0.9, weightDecay: 1e-4, nesterov: false }).graph
    const fixed = specialize(step, { batch: 5 })
    const values = fixed.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
    for (const shape of shapesOf([...fixed.inputs, ...values, ...fixed.outputs.values()]))
      for (const dim of shape) expect(dim).toBeTypeOf('number')
    expect(fixed.name).toBe(step.name)
    expect(namesOf(fixed)).toEqual(namesOf(step))
    expect(new Set(fixed.parameters)).toEqual(new Set(step.parameters))
    expect([...fixed.outputs.keys()]).toEqual([...step.outputs.keys()])
    if (name !== 'RDM basic') return
    const feeds = new Map([...disturbed(step, 5), ...tinyBatch(step, 2, { size: 5 })])
    expect(evaluate(fixed, feeds)).toEqual(evaluate(step, feeds))
  })

  it('keeps names, dtypes and order of inputs', () => {
    const step = sgdStep(tinyNetwork('RDM basic, stochastic depth'), {
      momentum: 0,
      weightDecay: 0,
      nesterov: false,
    }).graph
    const list = specialize(step, { batch: 7 }).inputs.map(({ origin, dtype, shape }) => [
      'name' in origin && origin.name,
      dtype,
      shape,
    ])
    expect(list).toEqual([
      ['images', 'uint8', [7, 3, 12, 12]],
      ['labels', 'int64', [7]],
      ['learning_rate', 'float32', []],
      ['gates', 'float32', [4]],
    ])
  })
})

describe('symbols', () => {
  const x = input('x', 'float32', ['batch', 'rows', 3])
  const z = input('z', 'float32', ['other', 2])

  it('that are not named stay, where they stand in products and sums as well', () => {
    const flat = reshape(x, [-1, 3])
    const longer = pad(x, [0], [1], [1])
    const source = graph('g', [x, z], { flat, longer, turned: transpose(x, [1, 0, 2]), last: relu(z) })
    const outputs = (sizes: Readonly<Record<string, number>>) =>
      Object.fromEntries([...specialize(source, sizes).outputs].map(([name, { shape }]) => [name, shape]))
    expect(outputs({ batch: 4 })).toEqual({
      flat: ['4*rows', 3],
      longer: [6, 'rows', 3],
      turned: ['rows', 4, 3],
      last: ['other', 2],
    })
    expect(outputs({ batch: 4, rows: 5 })).toEqual({
      flat: [20, 3],
      longer: [6, 5, 3],
      turned: [5, 4, 3],
      last: ['other', 2],
    })
  })

  it('of no input change nothing', () => {
    const source = graph('g', [x, z], { a: relu(x), b: relu(z) })
    const same = specialize(source, { toString: 3, absent: 2 })
    expect(same.inputs).toEqual(source.inputs)
    same.inputs.forEach((value, i) => {
      expect(value).toBe(source.inputs[i])
    })
    same.nodes.forEach((node, i) => {
      expect(node).toBe(source.nodes[i])
    })
    // A symbol is no property that every object has.
    const odd = input('x', 'float32', ['toString', 'constructor'])
    expect(specialize(graph('g', [odd], { a: relu(odd) }), { batch: 1 }).inputs[0]).toBe(odd)
  })

  it('nodes that they do not reach stay the same objects', () => {
    const untouched = relu(z)
    const fixed = specialize(graph('g', [x, z], { a: relu(x), untouched }), { batch: 2, rows: 2 })
    expect(fixed.outputs.get('untouched')).toBe(untouched)
    expect(fixed.inputs[1]).toBe(z)
  })

  it('outputs that are inputs follow them', () => {
    const fixed = specialize(graph('g', [z], { z }), { other: 3 })
    expect(fixed.outputs.get('z')).toBe(fixed.inputs[0])
    expect(fixed.outputs.get('z')!.shape).toEqual([3, 2])
  })

  it('the number of elements follows', () => {
    const count = cast(size(x), 'float32')
    const source = graph('g', [x], { mean: mul(x, count), both: concat([x, add(x, 1)], 0) })
    expect(specialize(source, { batch: 2, rows: 5 }).outputs.get('both')!.shape).toEqual([4, 5, 3])
  })
})

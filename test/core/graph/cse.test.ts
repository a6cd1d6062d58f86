// Common subexpressions: what is one and what only looks alike.
import { expect, it } from 'vitest'
import { cse } from '../../../src/core/graph/cse.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant, input, type Value } from '../../../src/core/graph/value.js'
import { add, exp, loop, mul, reduceSum, sub } from '../../../src/core/ops/index.js'

const x = input('x', 'float32', [3])
const shared = (outputs: Readonly<Record<string, Value>>) => cse(graph('g', [x], outputs))
const operators = (outputs: Readonly<Record<string, Value>>) =>
  shared(outputs).nodes.map(({ operator }) => operator.name)

it('computes once what is the same, and what follows from it', () => {
  const once = () => mul(exp(x), constant('float32', 2))
  expect(operators({ y: add(once(), once()) })).toEqual(['Exp', 'Mul', 'Add'])
  const feeds = new Map([['x', numbers('float32', [3], [0, 1, -2])]])
  const source = graph('g', [x], { y: add(once(), once()) })
  expect(evaluate(cse(source), feeds)).toEqual(evaluate(source, feeds))
})

it('tells apart operands in another order, attributes, constants and their signs', () => {
  const two = constant('float32', 2)
  expect(operators({ a: sub(x, two), b: sub(two, x) })).toEqual(['Sub', 'Sub'])
  expect(operators({ a: reduceSum(x, [0]), b: reduceSum(x, [0], { keepdims: 0 }) })).toHaveLength(2)
  expect(operators({ a: mul(x, 0), b: mul(x, -0) })).toEqual(['Mul', 'Mul'])
  expect(operators({ a: mul(x, two), b: mul(x, constant('float32', [2])) })).toEqual(['Mul', 'Mul'])
})

it('leaves what holds graphs', () => {
  const twice = () =>
    loop(constant('int64', 2), { x }, (_, { x }) => ({ carried: { x: exp(x) }, stacked: {} })).carried.x
  expect(operators({ a: twice(), b: twice() })).toEqual(['Loop', 'Loop'])
})

// Where several places of a window hold its maximum, the first of them, row by row, gets the gradient, as in PyTorch; and by
// scatters that add nothing up it is what it is by one that adds.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { ancestors } from '../../../src/core/graph/graph.js'
import { rewriteOutputs } from '../../../src/core/graph/rewrite.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { input, type Value } from '../../../src/core/graph/value.js'
import { MaxPoolScatter, maxPool, mul, type PoolOptions, reduceSum, scatterApart } from '../../../src/core/ops/index.js'
import { drawnFor } from '../../support/blocks.js'
import { expectClose } from '../../support/runtime.js'

// Two windows of 2 × 2 in a row, and a column and a row that no window covers.
const values = [
  [1, 3, 5, 5, 9],
  [3, 0, 5, 5, 9],
  [2, 2, 0, 0, 9],
  [2, 2, 7, 0, 9],
  [9, 9, 9, 9, 9],
]
const expected = [
  [0, 10, 20, 0, 0],
  [0, 0, 0, 0, 0],
  [30, 0, 0, 0, 0],
  [0, 0, 40, 0, 0],
  [0, 0, 0, 0, 0],
]

it('windows that stand side by side', () => {
  const x = input('x', 'float32', [1, 1, 5, 5])
  const w = input('w', 'float32', [1, 1, 2, 2])
  const y = maxPool(x, { kernel_shape: [2, 2], strides: [2, 2] })
  const [dx] = gradients(reduceSum(mul(y, w), undefined, { keepdims: 0 }), [x])
  const feeds = new Map([
    [x, numbers('float32', [1, 1, 5, 5], values.flat())],
    [w, numbers('float32', [1, 1, 2, 2], [10, 20, 30, 40])],
  ])
  expect([...evaluateValues([dx!], feeds)[0]!.data]).toEqual(expected.flat())
})

it('windows that overlap', () => {
  const x = input('x', 'float32', [1, 1, 1, 4])
  const w = input('w', 'float32', [1, 1, 1, 3])
  const y = maxPool(x, { kernel_shape: [1, 2] })
  const [dx] = gradients(reduceSum(mul(y, w), undefined, { keepdims: 0 }), [x])
  const feeds = new Map([
    [x, numbers('float32', [1, 1, 1, 4], [4, 4, 4, 1])],
    [w, numbers('float32', [1, 1, 1, 3], [10, 20, 30])],
  ])
  expect([...evaluateValues([dx!], feeds)[0]!.data]).toEqual([10, 20, 30, 0])
})

const windows: readonly (readonly [string, readonly number[], PoolOptions])[] = [
  ['kernel 3, stride 2, pads 1', [8, 9], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ['kernel 3, stride 1', [5, 6], { kernel_shape: [3, 2] }],
  ['dilations', [9, 7], { kernel_shape: [2, 3], strides: [2, 1], dilations: [3, 2] }],
  ['a stride beyond the kernel', [7, 8], { kernel_shape: [2, 2], strides: [3, 3] }],
  ['fewer windows than lie apart', [5, 5], { kernel_shape: [5, 4] }],
  ['one axis', [11], { kernel_shape: [5], strides: [2] }],
  ['three axes', [4, 5, 6], { kernel_shape: [2, 3, 2], strides: [1, 2, 1] }],
]

it.each(windows)('scatters apart: %s', (_, sizes, options) => {
  const x = input('x', 'float32', [2, 3, ...sizes])
  const y = maxPool(x, options)
  const w = input('w', 'float32', y.shape)
  const [dx] = gradients(reduceSum(mul(y, w), undefined, { keepdims: 0 }), [x])
  let replaced = 0
  const apart = rewriteOutputs(
    { nodes: ancestors([dx!]), outputs: new Map([['dx', dx!]]) },
    ({ operator, attributes }, operands) => {
      if (operator !== MaxPoolScatter) return undefined
      replaced++
      return [scatterApart(operands as [Value, Value, Value], attributes as never)]
    },
  ).get('dx')!
  const feeds = drawnFor([x, w], 'pooling')
  const [expected, actual] = evaluateValues([dx!, apart], feeds)
  expect(replaced).toBe(1)
  expect(expected!.data.some((value) => value !== 0)).toBe(true)
  expectClose(actual!, expected!, 'dx', 1e-6)
})

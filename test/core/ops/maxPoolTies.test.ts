// Where several places of a window hold its maximum, the first of them, row by row, gets the gradient, as in PyTorch.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { maxPool, mul, reduceSum } from '../../../src/core/ops/index.js'

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

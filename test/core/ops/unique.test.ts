// Unique where numbers come more than once: differences cannot say which of them has the gradient.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply, input } from '../../../src/core/graph/value.js'
import { Unique } from '../../../src/core/ops/index.js'

it('the first of equal numbers has the gradient', () => {
  const x = input('x', 'float32', [6])
  const dy = input('dy', 'float32', [4])
  const [y] = apply(Unique, [x])
  const fed = new Map([
    [x, numbers('float32', [6], [2, 1, 1, 3, 4, 3])],
    [dy, numbers('float32', [4], [10, 20, 30, 40])],
  ])
  // 1, 2, 3, 4 stand first at 1, 0, 3, 4.
  const [dx] = evaluateValues(gradients(y!, [x], { seed: dy }), fed)
  expect([...dx!.data]).toEqual([20, 10, 0, 30, 40, 0])
})

// InPlaceAccumulatorV2: what it refuses, and its reference evaluation. Its kernel is seen at work in training.test.ts.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply, input } from '../../../src/core/graph/value.js'
import { reduceSum } from '../../../src/core/ops/index.js'
import { accumulate, InPlaceAccumulatorV2 } from '../../../src/driver/artifacts/accumulator.js'

const value = input('value', 'float32', [2, 3])
const flag = input('flag', 'bool', [1])

it.each([
  [
    'a value of another shape',
    () => accumulate(input('buffer', 'float32', [3, 2]), value, flag),
    'InPlaceAccumulatorV2: needs a value of the type of the buffer (inputs float32[3, 2], float32[2, 3], bool[1])',
  ],
  [
    'a value of another type',
    () => accumulate(input('buffer', 'float64', [2, 3]), value, flag),
    'InPlaceAccumulatorV2: needs a value of the type of the buffer (inputs float64[2, 3], float32[2, 3], bool[1])',
  ],
  [
    'a flag without a dimension',
    () => accumulate(value, value, input('flag', 'bool', [])),
    'InPlaceAccumulatorV2: needs a flag bool[1] (inputs float32[2, 3], float32[2, 3], bool[])',
  ],
  [
    'differentiation',
    () => gradients(reduceSum(apply(InPlaceAccumulatorV2, [value, value, flag])[1]!, [0, 1], { keepdims: 0 }), [value]),
    'accumulate what gradients gives, and differentiate before',
  ],
])('refuses %s', (_, build, message) => {
  expect(build).toThrow(message)
})

it.each([
  ['adds', 0, [11, 22]],
  ['overwrites', 1, [10, 20]],
])('%s', (_, overwrite, expected) => {
  const inputs = [input('buffer', 'float32', [2]), input('value', 'float32', [2]), flag] as const
  const given: readonly Numbers[] = [
    numbers('float32', [2], [1, 2]),
    numbers('float32', [2], [10, 20]),
    numbers('bool', [1], [overwrite]),
  ]
  const results = evaluateValues(
    apply(InPlaceAccumulatorV2, inputs),
    new Map(inputs.map((value, i) => [value, given[i]!])),
  )
  expect(results).toEqual([numbers('bool', [1], [1]), numbers('float32', [2], expected)])
})

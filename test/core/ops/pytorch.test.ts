// Operators and their gradients in float64 are PyTorch's (test/fixtures/pytorch/operators.py), at kinks and ties as well.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { type AttributeValue, ONNX_DOMAIN } from '../../../src/core/graph/operator.js'
import { type DType, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply, constantTensor, input, type Value } from '../../../src/core/graph/value.js'
import { add, cast, findOperator, mul, reduceSum } from '../../../src/core/ops/index.js'
import { fixture } from '../../support/pytorch.js'

interface Written {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: readonly number[]
  /** A constant of the graph. */
  readonly held?: boolean
}
interface Case {
  readonly operator: string
  readonly note: string
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly inputs: readonly (Written | null)[]
  /** None where it is not compared. */
  readonly outputs: readonly (Written | null)[]
  /** The gradient at each output; none where nothing flows back. */
  readonly seeds: readonly (Written | null)[]
  readonly gradients: readonly (Written | null)[]
}

const tensor = ({ dtype, shape, data }: Written): Numbers => numbers(dtype, shape, data)

function expectClose(actual: Numbers, expected: Written, what: string): void {
  expect(actual.dtype, what).toBe(expected.dtype)
  expect(actual.shape, what).toEqual(expected.shape)
  const scale = Math.max(1, ...expected.data.map(Math.abs))
  expected.data.forEach((value, i) => {
    expect(Math.abs(actual.data[i]! - value) / scale, `${what} at ${i}: ${actual.data[i]}, ${value}`).toBeLessThan(1e-9)
  })
}

function check({ operator, attributes, inputs, outputs, seeds, gradients: expected }: Case): void {
  const feeds = new Map<Value, Numbers>()
  const operands = inputs.map((written, i) => {
    if (!written) return undefined
    if (written.held) return constantTensor(tensor(written))
    const value = input(`x${i}`, written.dtype, written.shape)
    feeds.set(value, tensor(written))
    return value
  })
  const results = apply(findOperator(ONNX_DOMAIN, operator)!, operands, attributes)
  outputs.forEach((written, i) => {
    if (written) expectClose(evaluateValues([results[i]!], feeds)[0]!, written, `output ${i}`)
  })
  const weighted = seeds.flatMap((seed, i) => {
    if (!seed) return []
    const [y, weights] = [results[i]!, constantTensor(tensor(seed))]
    return [reduceSum(mul(y.dtype === seed.dtype ? y : cast(y, seed.dtype), weights), undefined, { keepdims: 0 })]
  })
  const total = weighted.reduce(add)
  expected.forEach((written, i) => {
    if (written) expectClose(evaluateValues(gradients(total, [operands[i]!]), feeds)[0]!, written, `gradient ${i}`)
  })
}

const cases = fixture<readonly Case[]>('operators')

describe('operators and their gradients are those of PyTorch', () => {
  for (const one of cases) {
    it(`${one.operator} ${one.note}`.trim(), () => check(one))
  }
})

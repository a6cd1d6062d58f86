// Operators and gradients where every size is a symbol of its own: as where all are known.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import type { Attributes, Operator } from '../../../src/core/graph/operator.js'
import type { Shape } from '../../../src/core/graph/shape.js'
import { elementsOf, numbers } from '../../../src/core/graph/tensor.js'
import { apply1, constant, input, type Value } from '../../../src/core/graph/value.js'
import {
  CumProd,
  Det,
  Einsum,
  Gemm,
  MatMul,
  Max,
  Mean,
  mul,
  PRelu,
  ReduceL2,
  ReduceLogSumExp,
  ReduceProd,
  reduceSum,
  Softmax,
  TopK,
} from '../../../src/core/ops/index.js'

const filled = (shape: readonly number[], phase: number) =>
  numbers(
    'float32',
    shape,
    Array.from({ length: elementsOf(shape) }, (_, i) => Math.sin(1.7 * i + phase)),
  )
const total = (y: Value) => reduceSum(mul(y, y), undefined, { keepdims: 0 })

/** y, the gradients of Σy², and those of the sum of the squares of the first. */
function results(
  operator: Operator,
  shapes: readonly Shape[],
  sizes: readonly (readonly number[])[],
  { attributes = {}, axes }: { attributes?: Attributes; axes?: Value } = {},
) {
  const inputs = shapes.map((shape, i) => input(`x${i}`, 'float32', shape))
  const y = apply1(operator, axes ? [...inputs, axes] : inputs, attributes)
  const first = gradients(total(y), inputs)
  const second = gradients(total(first[0]!), inputs)
  const feeds = new Map(inputs.map((x, i) => [x, filled(sizes[i]!, i)]))
  return evaluateValues([y, ...first, ...second], feeds).map(({ shape, data }) => ({
    shape,
    data: Array.from(data, (value) => Math.round(value * 1e8) / 1e8 + 0),
  }))
}

const one = constant('int64', [1])
type Row = readonly [operator: unknown, sizes: readonly (readonly number[])[], options?: Parameters<typeof results>[3]]
const rows: readonly Row[] = [
  ...['bhwc,khc->kbhw', 'bhwc,khc->wb', 'bhwc,khc', '...c,khc->...k', 'bhwc,khc->'].map(
    (equation): Row => [
      Einsum,
      [
        [2, 3, 2, 4],
        [5, 3, 4],
      ],
      { attributes: { equation } },
    ],
  ),
  [Einsum, [[2, 3, 3]], { attributes: { equation: 'aii->ia' } }],
  [
    MatMul,
    [
      [2, 3, 4],
      [4, 2],
    ],
  ],
  [MatMul, [[2, 3, 4], [4]]],
  [MatMul, [[4], [2, 4, 3]]],
  [Gemm, [[3, 4], [2, 4], [2]], { attributes: { transB: 1 } }],
  [TopK, [[3, 5]], { axes: constant('int64', [2]) }],
  [ReduceLogSumExp, [[3, 5, 2]], { attributes: { keepdims: 0 }, axes: one }],
  [ReduceL2, [[3, 5, 2]], { attributes: { keepdims: 0 }, axes: one }],
  [ReduceProd, [[3, 5, 2]], { axes: constant('int64', [0, 2]) }],
  [CumProd, [[3, 5]], { axes: constant('int64', 1) }],
  [Softmax, [[3, 5]], { attributes: { axis: 0 } }],
  [
    PRelu,
    [
      [3, 5, 2],
      [5, 1],
    ],
  ],
  [Max, [[3, 5], [5], [3, 1]]],
  [Mean, [[3, 5], [5], [3, 1]]],
]

const named = rows.map(([operator, sizes, options], i) => {
  const record = operator as Operator
  return { name: `${record.name} #${i}`, record, sizes, options }
})
it.each(named)('$name', ({ record, sizes, options }) => {
  const shapes = sizes.map((size, i) => size.map((dim, axis) => (dim === 1 ? 1 : `${'abc'[i]}${axis}`)))
  expect(results(record, shapes, sizes, options)).toEqual(results(record, sizes, sizes, options))
})

it('the gradient of a determinant is the cofactors, without an inverse too', () => {
  const x = input('x', 'float32', ['batch', 3, 3])
  const [dx] = gradients(reduceSum(apply1(Det, [x]), undefined, { keepdims: 0 }), [x])
  const given = numbers('float32', [1, 3, 3], [1, 2, 3, 2, 4, 6, 1, 0, 1])
  expect([...evaluateValues([dx!], new Map([[x, given]]))[0]!.data]).toEqual([4, 4, -4, -2, -2, 2, 0, 0, 0])
})

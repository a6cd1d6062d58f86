// The determinant.

import { ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { isKnown, unifyDims } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { constant, GraphError, type Value } from '../graph/value.js'
import { mul, neg, sub } from './elementwise.js'
import { matmul } from './matmul.js'
import { reduceSum } from './reduction.js'
import { expandAs, squeeze, unsqueeze } from './shape.js'
import { slice } from './slice.js'

/** By elimination, with the largest of a column as pivot. */
function determinant(matrix: Float64Array, size: number): number {
  const rows = Array.from({ length: size }, (_, i) => matrix.slice(i * size, (i + 1) * size))
  let product = 1
  for (let k = 0; k < size; k++) {
    let pivot = k
    for (let i = k + 1; i < size; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i
    if (pivot !== k) {
      ;[rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!]
      product = -product
    }
    const top = rows[k]!
    product *= top[k]!
    if (top[k] === 0) return 0
    for (const row of rows.slice(k + 1)) {
      const factor = row[k]! / top[k]!
      for (let j = k; j < size; j++) row[j]! -= factor * top[j]!
    }
  }
  return product
}

/**
 * In products of matrices alone, without division (Bird 2011): n − 1 times X becomes μ(X)·A, where μ keeps what is above the
 * diagonal and has on it the negative sums of the diagonal below. So its gradient, the cofactors, is right for a matrix
 * without an inverse too.
 */
function byProducts(a: Value): Value {
  const size = a.shape.at(-1)!
  const rank = a.shape.length
  if (!isKnown(size)) throw new GraphError('the gradient needs a known number of rows')
  if (size === 0) return expandAs(constant(a.dtype, 1), reduceSum(a, [-2, -1], { keepdims: 0 }))
  const grid = (f: (row: number, column: number) => boolean) =>
    constant(
      a.dtype,
      Array.from({ length: size ** 2 }, (_, i) => Number(f(Math.floor(i / size), i % size))),
      [size, size],
    )
  const [above, below, diagonal] = [
    grid((row, column) => column > row),
    grid((row, column) => row > column),
    grid((row, column) => row === column),
  ]
  let x = a
  for (let k = 1; k < size; k++) {
    const sums = matmul(unsqueeze(reduceSum(mul(x, diagonal), [-1], { keepdims: 0 }), -2), below)
    x = matmul(sub(mul(x, above), mul(diagonal, sums)), a)
  }
  const corner = squeeze(slice(x, [rank - 2, rank - 1], [0, 0], [1, 1]), -2, -1)
  return size % 2 === 1 ? corner : neg(corner)
}

/** The determinant of the matrices in the last two axes; its gradient is the cofactors. */
export const Det: Operator<Record<never, never>> = operator({
  name: 'Det',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: {},
  arity: [1, 1],
  infer([x]) {
    const [rows, columns] = x!.shape.slice(-2)
    if (columns === undefined || unifyDims(rows!, columns) === undefined) throw new GraphError('needs square matrices')
    return [{ dtype: x!.dtype, shape: x!.shape.slice(0, -2) }]
  },
  body: ([x]) => [byProducts(x!)],
  gradient: 'body',
  evaluate([x]) {
    const shape = x!.shape.slice(0, -2)
    const size = x!.shape.at(-1)!
    const count = shape.reduce((product, dim) => product * dim, 1)
    const matrices = Array.from({ length: count }, (_, i) => x!.data.slice(i * size ** 2, (i + 1) * size ** 2))
    return [
      numbers(
        x!.dtype,
        shape,
        matrices.map((matrix) => determinant(matrix, size)),
      ),
    ]
  },
  samples: [{ inputs: [normal(3, 3)] }, { inputs: [normal(2, 4, 4)] }, { inputs: [normal(1, 1)] }],
})

// Matrix products.

import { float, int, ONNX_DOMAIN, operator } from '../graph/operator.js'
import { fixed, normal } from '../graph/sample.js'
import { broadcastShapes, isKnown, type Shape, sizeOf, unifyDims, unifyShapes } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { mul } from './elementwise.js'
import { roundedTo } from './pointwise.js'
import { indices, map, positionOf } from './reference.js'
import { reshape, squeeze, transpose, unsqueeze } from './shape.js'

/** numpy's rule: the last two axes multiply, those before broadcast, one-dimensional operands gain an axis and lose it. */
function matmulShape(a: Shape, b: Shape): { left: Shape; right: Shape; batch: Shape; result: Shape } {
  if (a.length === 0 || b.length === 0) throw new GraphError('operands need at least one dimension')
  const left = a.length === 1 ? [1, ...a] : a
  const right = b.length === 1 ? [...b, 1] : b
  if (unifyDims(left.at(-1)!, right.at(-2)!) === undefined) {
    throw new GraphError(`inner dimensions differ: ${left.at(-1)} columns meet ${right.at(-2)} rows`)
  }
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2))
  if (!batch) throw new GraphError('batch dimensions do not broadcast')
  const result = [...batch, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])]
  return { left, right, batch, result }
}

const transposeLast = (x: Value): Value => {
  const rank = x.shape.length
  return transpose(x, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2])
}

/** Aᵀ dC. Where B is a matrix and A many, all their rows are those of one product: nothing is left to sum over the batch. */
function weightGradient(a: Value, grad: Value, b: Value): Value {
  const [inner, columns] = [a.shape.at(-1)!, grad.shape.at(-1)!]
  if (b.shape.length !== 2 || a.shape.length === 2 || !isKnown(inner) || !isKnown(columns))
    return matmul(transposeLast(a), grad)
  return matmul(transposeLast(reshape(a, [-1, inner])), reshape(grad, [-1, columns]))
}

/** C = A B over the last two axes. dA = dC Bᵀ, dB = Aᵀ dC, each summed over the axes it was broadcast along. */
export const MatMul = operator({
  name: 'MatMul',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [2, 2],
  infer([a, b]) {
    if (a!.dtype !== b!.dtype) throw new GraphError('needs operands of one dtype; cast one of them')
    return [{ dtype: a!.dtype, shape: matmulShape(a!.shape, b!.shape).result }]
  },
  gradient: {
    rule({ grad, inputs: [a, b] }) {
      const [isRow, isColumn] = [a!.shape.length === 1, b!.shape.length === 1]
      // A vector gains an axis, and its gradient loses it again; broadcast batch axes are the engine's to sum.
      const tall = isColumn ? unsqueeze(grad, -1) : grad
      const full = isRow ? unsqueeze(tall, -2) : tall
      const da = matmul(full, transposeLast(isColumn ? unsqueeze(b!, -1) : b!))
      const db = weightGradient(isRow ? unsqueeze(a!, 0) : a!, full, b!)
      return [isRow ? squeeze(da, -2) : da, isColumn ? squeeze(db, -1) : db]
    },
  },
  evaluate([a, b]) {
    const shapes = matmulShape(a!.shape, b!.shape)
    const [left, right, batch] = [shapes.left, shapes.right, shapes.batch] as readonly (readonly number[])[]
    const [m, k, n] = [left!.at(-2)!, left!.at(-1)!, right!.at(-1)!]
    const data = new Float64Array(Number(sizeOf(batch!)) * m * n)
    let start = 0
    for (const index of indices(batch!)) {
      const at = positionOf(index, left!.slice(0, -2)) * m * k
      const bt = positionOf(index, right!.slice(0, -2)) * k * n
      for (let i = 0; i < m; i++)
        for (let p = 0; p < k; p++) {
          const factor = a!.data[at + i * k + p]!
          for (let j = 0; j < n; j++) data[start + i * n + j]! += factor * b!.data[bt + p * n + j]!
        }
      start += m * n
    }
    return [map(numbers(a!.dtype, shapes.result as readonly number[], data), (value) => roundedTo(a!.dtype, value))]
  },
  samples: [
    { inputs: [normal(2, 3), normal(3, 4)] },
    { inputs: [normal(2, 1, 2, 3), normal(3, 3, 2)] },
    { inputs: [normal(2, 2, 3), normal(3, 4)] },
    { inputs: [normal(3), normal(2, 3, 2)] },
    { inputs: [normal(2, 3), normal(3)] },
    { inputs: [normal(3), normal(3)] },
    { inputs: [fixed('int32', [1, 2], [2, -3]), fixed('int32', [2, 1], [5, 7])] },
  ],
})
/** The matrix product of the last two axes, [M, K] · [K, N]; axes before them are broadcast, a vector is a row or a column. */
export const matmul = (a: Value, b: Value): Value => apply1(MatMul, [a, b])

const transposed2d = (x: Numbers): Numbers => {
  const [rows, columns] = x.shape as [number, number]
  const data = Float64Array.from(x.data, (_, i) => x.data[(i % rows) * columns + Math.floor(i / rows)]!)
  return numbers(x.dtype, [columns, rows], data)
}

/** Y = alpha·A′B′ + beta·C, where A′ is Aᵀ if transA. dA′ = alpha·dY·B′ᵀ, dB′ = alpha·A′ᵀ·dY, dC = beta·dY. */
export const Gemm = operator({
  name: 'Gemm',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  arity: [2, 3],
  infer([a, b, c], { transA, transB }) {
    if (a!.dtype !== b!.dtype || (c && c.dtype !== a!.dtype)) throw new GraphError('needs operands of one dtype')
    if (a!.shape.length !== 2 || b!.shape.length !== 2) throw new GraphError('needs two-dimensional A and B')
    const [m, k] = transA ? [a!.shape[1]!, a!.shape[0]!] : [a!.shape[0]!, a!.shape[1]!]
    const [rows, n] = transB ? [b!.shape[1]!, b!.shape[0]!] : [b!.shape[0]!, b!.shape[1]!]
    if (unifyDims(k, rows) === undefined)
      throw new GraphError(`inner dimensions differ: ${k} columns meet ${rows} rows`)
    const shape = [m, n]
    const met = c ? broadcastShapes(c.shape, shape) : shape
    if (!met || !unifyShapes(met, shape)) throw new GraphError(`C does not broadcast to [${shape}]`)
    return [{ dtype: a!.dtype, shape }]
  },
  gradient: {
    rule({ grad, inputs: [a, b, c], attributes: { alpha, beta, transA, transB } }) {
      const product = (x: Value, y: Value, transposes: GemmOptions) => gemm(x, y, undefined, { alpha, ...transposes })
      return [
        transA ? product(b!, grad, { transA: transB, transB: 1 }) : product(grad, b!, { transB: transB ? 0 : 1 }),
        transB ? product(grad, a!, { transA: 1, transB: transA }) : product(a!, grad, { transA: transA ? 0 : 1 }),
        c && (beta === 1 ? grad : mul(grad, beta)),
      ]
    },
  },
  evaluate([a, b, c], { alpha, beta, transA, transB }) {
    const product = MatMul.evaluate([transA ? transposed2d(a!) : a!, transB ? transposed2d(b!) : b!], {})[0]!
    const data = new Float64Array(product.data.length)
    let i = 0
    for (const index of indices(product.shape)) {
      const sum = alpha * product.data[i]! + (c ? beta * c.data[positionOf(index, c.shape)]! : 0)
      data[i] = roundedTo(a!.dtype, sum)
      i++
    }
    return [numbers(a!.dtype, product.shape, data)]
  },
  samples: [
    { inputs: [normal(2, 3), normal(3, 4), normal(4)] },
    { inputs: [normal(2, 3), normal(4, 3), normal(2, 1)], attributes: { transB: 1, alpha: 0.5, beta: 2 } },
    { inputs: [normal(3, 2), normal(3, 4)], attributes: { transA: 1 } },
    { inputs: [normal(3, 2), normal(4, 3), normal()], attributes: { transA: 1, transB: 1, alpha: -1.5 } },
  ],
})
/** Y = A′B′ + C. */
export function gemm(a: Value, b: Value, c?: Value, attributes: GemmOptions = {}): Value {
  return apply1(Gemm, c ? [a, b, c] : [a, b], attributes)
}
/** alpha · A · B + beta · C; transA and transB: 1 transposes. Unless given 1, 1, 0 and 0. */
export interface GemmOptions {
  alpha?: number
  beta?: number
  transA?: number
  transB?: number
}

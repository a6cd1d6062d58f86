// com.microsoft.FusedMatMul: alpha times a matrix product that can read its operands transposed, in ONNX Runtime's CPU and CUDA
// providers. Attributes: onnxruntime docs/ContribOperators.md.

import { float, int, operator } from '../../core/graph/operator.js'
import { normal } from '../../core/graph/sample.js'
import type { Numbers } from '../../core/graph/tensor.js'
import { apply1, GraphError, type Value } from '../../core/graph/value.js'
import { MatMul, Transpose } from '../../core/ops/index.js'
import { map } from '../../core/ops/reference.js'

/** The last two axes exchanged. */
const swapped = <T>(list: readonly T[]): readonly T[] => [...list.slice(0, -2), list.at(-1)!, list.at(-2)!]
const transposed = (x: Numbers): Numbers =>
  Transpose.evaluate([x], { perm: swapped(x.shape.map((_, axis) => axis)) })[0]!

export const FusedMatMul = operator({
  name: 'FusedMatMul',
  domain: 'com.microsoft',
  since: 1,
  attributes: { transA: int(0), transB: int(0), alpha: float(1) },
  arity: [2, 2],
  infer([a, b], { transA, transB }) {
    if ([a, b].some((operand) => operand!.shape.length < 2))
      throw new GraphError('needs operands of at least two dimensions')
    const seen = (x: Value, isTransposed: number): Value => (isTransposed ? { ...x, shape: swapped(x.shape) } : x)
    return MatMul.infer([seen(a!, transA), seen(b!, transB)], {})
  },
  gradient: { forbidden: 'differentiate matmul, and lower the result' },
  evaluate([a, b], { transA, transB, alpha }) {
    const [y] = MatMul.evaluate([transA ? transposed(a!) : a!, transB ? transposed(b!) : b!], {})
    return [map(y!, (value) => alpha * value)]
  },
  samples: [
    { inputs: [normal(3, 2, 4), normal(3, 5, 4)], attributes: { transB: 1 } },
    { inputs: [normal(4, 2), normal(4, 3)], attributes: { transA: 1, alpha: 0.5 } },
    { inputs: [normal(2, 4), normal(4, 3)] },
  ],
})

/** A Bᵀ over the last two axes. */
export const matmulTransposed = (a: Value, b: Value): Value => apply1(FusedMatMul, [a, b], { transB: 1 })

// com.microsoft.FusedMatMul: a matrix product that reads an operand transposed, in ONNX Runtime's CPU and CUDA providers.
// Attributes: onnxruntime docs/ContribOperators.md.

import { int, operator } from '../../../core/graph/operator.js'
import { normal } from '../../../core/graph/sample.js'
import type { Numbers } from '../../../core/graph/tensor.js'
import { apply1, GraphError, type Value } from '../../../core/graph/value.js'
import { MatMul, Transpose } from '../../../core/ops/index.js'

/** The last two axes exchanged. */
const swapped = <T>(list: readonly T[]): readonly T[] => [...list.slice(0, -2), list.at(-1)!, list.at(-2)!]
const transposed = (x: Numbers): Numbers =>
  Transpose.evaluate([x], { perm: swapped(x.shape.map((_, axis) => axis)) })[0]!

export const FusedMatMul = operator({
  name: 'FusedMatMul',
  domain: 'com.microsoft',
  since: 1,
  attributes: { transB: int(0) },
  arity: [2, 2],
  infer([a, b], { transB }) {
    if (b!.shape.length < 2) throw new GraphError('needs a second operand of at least two dimensions')
    return MatMul.infer([a!, transB ? { ...b!, shape: swapped(b!.shape) } : b!], {})
  },
  gradient: { forbidden: 'differentiate matmul, and lower the result' },
  evaluate: ([a, b], { transB }) => MatMul.evaluate([a!, transB ? transposed(b!) : b!], {}),
  samples: [
    { inputs: [normal(3, 2, 4), normal(3, 5, 4)], attributes: { transB: 1 } },
    { inputs: [normal(2, 4), normal(4, 3)] },
  ],
})

/** A Bᵀ over the last two axes. */
export const matmulTransposed = (a: Value, b: Value): Value => apply1(FusedMatMul, [a, b], { transB: 1 })

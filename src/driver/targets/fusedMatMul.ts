// com.microsoft.FusedMatMul: a matrix product that reads an operand transposed, in ONNX Runtime's CPU and CUDA providers.
// Attributes: onnxruntime docs/ContribOperators.md.

import type { Graph } from '../../core/graph/graph.js'
import { int, operator } from '../../core/graph/operator.js'
import { rewrite } from '../../core/graph/rewrite.js'
import { normal } from '../../core/graph/sample.js'
import type { Numbers } from '../../core/graph/tensor.js'
import { apply1, GraphError, nodeOf, type Value } from '../../core/graph/value.js'
import { MatMul, Transpose } from '../../core/ops/index.js'

/** The last two axes exchanged. */
const swapped = <T>(list: readonly T[]): readonly T[] => [...list.slice(0, -2), list.at(-1)!, list.at(-2)!]
const transposed = (x: Numbers): Numbers =>
  Transpose.evaluate([x], { perm: swapped(x.shape.map((_, axis) => axis)) })[0]!

export const FusedMatMul = operator({
  name: 'FusedMatMul',
  domain: 'com.microsoft',
  since: 1,
  attributes: { transA: int(0), transB: int(0) },
  arity: [2, 2],
  infer([a, b], { transA, transB }) {
    if ([a, b].some((operand) => operand!.shape.length < 2))
      throw new GraphError('needs operands of at least two dimensions')
    const seen = (x: Value, isTransposed: number): Value => (isTransposed ? { ...x, shape: swapped(x.shape) } : x)
    return MatMul.infer([seen(a!, transA), seen(b!, transB)], {})
  },
  gradient: { forbidden: 'differentiate matmul, and lower the result' },
  evaluate: ([a, b], { transA, transB }) =>
    MatMul.evaluate([transA ? transposed(a!) : a!, transB ? transposed(b!) : b!], {}),
  samples: [
    { inputs: [normal(3, 2, 4), normal(3, 5, 4)], attributes: { transB: 1 } },
    { inputs: [normal(4, 2), normal(4, 3)], attributes: { transA: 1 } },
    { inputs: [normal(2, 4), normal(4, 3)] },
  ],
})

/** A Bᵀ over the last two axes. */
export const matmulTransposed = (a: Value, b: Value): Value => apply1(FusedMatMul, [a, b], { transB: 1 })

/** The value that x is the transpose of over the last two axes, if it is one. */
function transposedFrom(x: Value): Value | undefined {
  const node = nodeOf(x)
  if (node?.operator !== Transpose || x.shape.length < 2) return undefined
  const axes = x.shape.map((_, axis) => axis)
  const { perm } = node.attributes as { readonly perm?: readonly number[] }
  return (perm ?? [...axes].reverse()).join() === swapped(axes).join() ? node.inputs[0] : undefined
}

/** Products read their operands transposed, in place of a Transpose before them. */
export const withoutTransposes = (source: Graph): Graph =>
  rewrite(source, (node, [a, b]) => {
    if (node.operator !== MatMul || a!.dtype !== 'float32' || a!.shape.length < 2 || b!.shape.length < 2)
      return undefined
    const [left, right] = [transposedFrom(a!), transposedFrom(b!)]
    if (!left && !right) return undefined
    return [apply1(FusedMatMul, [left ?? a!, right ?? b!], { transA: Number(!!left), transB: Number(!!right) })]
  })

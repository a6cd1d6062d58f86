// Matrix products take in what stands around them: transposes, factors, and sums over rows, which a product with ones does by all
// threads.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { isKnown, sizeOf } from '../../../core/graph/shape.js'
import { apply1, constant, constantOf, type Node, nodeOf, type Value } from '../../../core/graph/value.js'
import { Div, MatMul, Mul, matmul, ReduceSum, Reshape, reshape, Transpose, transpose } from '../../../core/ops/index.js'
import { FusedMatMul } from '../fusedMatMul.js'
import { usesOf } from './fuse.js'

/** Fewer rows than this ReduceSum adds as fast. */
const MANY_ROWS = 256
/** For more rows than this, the row of ones alone would add over 16 MiB to the file. */
const MOST_ROWS = 2 ** 22

interface Product {
  readonly a: Value
  readonly b: Value
  readonly transA: boolean
  readonly transB: boolean
  readonly alpha: number
}

/** Whether FusedMatMul takes them. */
const areMatrices = (a: Value, b: Value): boolean => a.dtype === 'float32' && a.shape.length > 1 && b.shape.length > 1

function productOf(x: Value): Product | undefined {
  const node = nodeOf(x)
  if (node?.operator !== MatMul && node?.operator !== FusedMatMul) return undefined
  const [a, b] = node.inputs as readonly [Value, Value]
  if (!areMatrices(a, b)) return undefined
  const { transA = 0, transB = 0, alpha = 1 } = node.attributes as Partial<Record<string, number>>
  return { a, b, transA: transA === 1, transB: transB === 1, alpha }
}

const written = ({ a, b, transA, transB, alpha }: Product): Value =>
  transA || transB || alpha !== 1
    ? apply1(FusedMatMul, [a, b], { transA: Number(transA), transB: Number(transB), alpha })
    : matmul(a, b)

const permOf = (node: Node): readonly number[] =>
  (node.attributes.perm as readonly number[] | undefined) ?? [...node.inputs[0]!.shape.keys()].reverse()
/** The last two exchanged. */
const swapped = (perm: readonly number[]): readonly number[] => [...perm.slice(0, -2), perm.at(-1)!, perm.at(-2)!]
const isIdentity = (perm: readonly number[]) => perm.every((axis, i) => axis === i)
const permuted = (x: Value, perm: readonly number[]): Value => (isIdentity(perm) ? x : transpose(x, perm))

/**
 * What an operand is read from transposed: the source of a Transpose that exchanges the last two axes; or, of one that brings the
 * last axis to the last place but one, the source in an order in which it stays last, so that whole rows are copied.
 */
function readFrom(x: Value): Value | undefined {
  const node = nodeOf(x)
  const rank = x.shape.length
  if (node?.operator !== Transpose || rank < 2) return undefined
  const perm = permOf(node)
  return perm.at(-2) === rank - 1 ? permuted(node.inputs[0]!, swapped(perm)) : undefined
}

const same = (x: number): number => x

interface Multiple {
  readonly of: Value
  readonly factor: number
}

/** What an operand is a multiple of: a product multiplies by a number anyway. Through a Reshape too. */
function multiple(x: Value): Multiple {
  const node = nodeOf(x)
  const [of, factor] = node?.inputs ?? []
  if (node?.operator === Reshape) {
    const inner = multiple(of!)
    return inner.factor === 1 ? { of: x, factor: 1 } : { ...inner, of: reshape(inner.of, x.shape as readonly number[]) }
  }
  const value = node?.operator === Mul ? constantOf(factor) : undefined
  return value?.length === 1 && factor!.shape.length <= of!.shape.length
    ? { of: of!, factor: value[0]! }
    : { of: x, factor: 1 }
}

/** A value as an operand: what a product can read transposed and multiplied by a number. */
function operandOf(x: Value): Multiple & { readonly isTransposed: boolean } {
  const outer = multiple(x)
  const source = readFrom(outer.of)
  if (!source) return { ...outer, isTransposed: false }
  const inner = multiple(source)
  return { of: inner.of, factor: outer.factor * inner.factor, isTransposed: true }
}

export function aroundProducts(source: Graph): Graph {
  const uses = usesOf(source)
  /** The product that a value of the new graph is, where nobody but this node uses it. */
  const own = (node: Node, place: number, x: Value) => (uses.get(node.inputs[place]!) === 1 ? productOf(x) : undefined)

  /** The product at a place among the node's operands, times a number that the other one gives. */
  function scaled(node: Node, operands: readonly Value[], place: 0 | 1, times: (x: number) => number) {
    const [x, factor] = [operands[place]!, operands[1 - place]!]
    const value = constantOf(factor)
    const product = own(node, place, x)
    if (!product || value?.length !== 1 || factor.shape.length > x.shape.length) return undefined
    return written({ ...product, alpha: product.alpha * times(value[0]!) })
  }

  /** (A·B)ᵀ = Bᵀ·Aᵀ, where the product's last axis would not stay last. */
  function turned(node: Node, x: Value): Value | undefined {
    const perm = permOf(node)
    const rank = perm.length
    const product = own(node, 0, x)
    if (!product || perm.at(-1) !== rank - 2) return undefined
    const { a, b, transA, transB, alpha } = product
    const other = written({ a: b, b: a, transA: !transB, transB: !transA, alpha })
    return permuted(
      other,
      perm.map((axis) => (axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis)),
    )
  }

  /** Over the first axes of many rows. */
  function summed([x, axes]: readonly Value[], keepdims: unknown): Value | undefined {
    const over = axes && constantOf(axes)
    if (!over || x!.dtype !== 'float32' || over.length >= x!.shape.length || [...over].some((axis, i) => axis !== i))
      return undefined
    const rest = x!.shape.slice(over.length)
    const [rows, columns] = [sizeOf(x!.shape.slice(0, over.length)), sizeOf(rest)]
    if (!isKnown(rows) || !isKnown(columns) || rows < MANY_ROWS || rows > MOST_ROWS) return undefined
    const ones = constant('float32', new Float32Array(rows).fill(1), [1, rows])
    const total = matmul(ones, reshape(x!, [rows, columns]))
    return reshape(total, [...(keepdims ? [...over].map(() => 1) : []), ...(rest as readonly number[])])
  }

  return rewrite(source, (node, inputs) => {
    const operands = inputs as readonly Value[]
    const [a, b] = operands as readonly [Value, Value]
    const one = (value: Value | undefined) => value && [value]
    switch (node.operator) {
      case MatMul: {
        if (!areMatrices(a, b)) return undefined
        const [left, right] = [operandOf(a), operandOf(b)]
        const alpha = left.factor * right.factor
        if (!left.isTransposed && !right.isTransposed && alpha === 1) return undefined
        const product = { a: left.of, b: right.of, alpha }
        return [written({ ...product, transA: left.isTransposed, transB: right.isTransposed })]
      }
      case Mul:
        return one(scaled(node, operands, 0, same) ?? scaled(node, operands, 1, same))
      case Div:
        return one(scaled(node, operands, 0, (x) => 1 / x))
      case Transpose:
        return one(turned(node, a))
      case ReduceSum:
        return one(summed(operands, node.attributes.keepdims))
      default:
        return undefined
    }
  })
}

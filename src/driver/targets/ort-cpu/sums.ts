// Σᵢ Aᵢᵀ·Bᵢ as one product of all rows: the gradient of a weight that every word of a recurrent network multiplies, or that several
// layers share.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { apply1, nodeOf, type Value } from '../../../core/graph/value.js'
import { Add, add, concat } from '../../../core/ops/index.js'
import { FusedMatMul } from '../fusedMatMul.js'
import { usesOf } from './fuse.js'

/** Fewer products than this are as fast one by one. */
const MANY = 4

/** The product's attributes and sizes, where it is of Aᵀ and B, both matrices: those alike go together. */
function kindOf(x: Value): string | undefined {
  const node = nodeOf(x)
  const [a, b] = node?.inputs ?? []
  const { transA, transB, alpha } = node?.attributes ?? {}
  const fits = node?.operator === FusedMatMul && transA === 1 && transB === 0
  return fits && a!.shape.length === 2 && b!.shape.length === 2 ? [alpha, ...x.shape].join() : undefined
}

/** A value of the source, and what has taken its place. */
interface Pair {
  readonly before: Value
  readonly now: Value
}
type Operands = readonly (Value | undefined)[]
const pairsOf = (before: Operands, now: Operands): Pair[] =>
  before.map((value, i) => ({ before: value!, now: now[i]! }))

export function productsOfAllRows(source: Graph): Graph {
  const uses = usesOf(source)
  const isOwn = (value: Value | undefined) => value !== undefined && uses.get(value) === 1
  const sums = source.nodes.filter(({ operator }) => operator === Add)
  /** Sums that are a summand of another one, and nothing else. */
  const inner = new Set(sums.flatMap(({ inputs }) => inputs.filter(isOwn)))

  /** The summands of values, in their order. A product that is used elsewhere has no kind. */
  function summands(pairs: readonly Pair[]): readonly { readonly value: Value; readonly kind: string | undefined }[] {
    const found = []
    const waiting = [...pairs].reverse()
    for (let pair = waiting.pop(); pair; pair = waiting.pop()) {
      const { before, now } = pair
      const [node, image] = [nodeOf(before), nodeOf(now)]
      if (node?.operator === Add && image?.operator === Add && inner.has(before))
        waiting.push(...pairsOf(node.inputs, image.inputs).reverse())
      else found.push({ value: now, kind: isOwn(before) ? kindOf(now) : undefined })
    }
    return found
  }

  return rewrite(source, ({ operator, inputs: before, outputs: [y] }, inputs) => {
    if (operator !== Add || inner.has(y)) return undefined
    const all = summands(pairsOf(before, inputs))
    const kinds = new Set(all.flatMap(({ kind }) => kind ?? []))
    const alike = [...kinds].map((kind) => all.flatMap((one) => (one.kind === kind ? one.value : [])))
    const many = alike.filter(({ length }) => length >= MANY)
    if (many.length === 0) return undefined
    const together = many.map((products) => {
      const { attributes } = nodeOf(products[0]!)!
      const rows = [0, 1].map((place) =>
        concat(
          products.map((product) => nodeOf(product)!.inputs[place]!),
          0,
        ),
      )
      return apply1(FusedMatMul, rows, attributes)
    })
    const taken = new Set(many.flat())
    const rest = all.flatMap(({ value }) => (taken.has(value) ? [] : [value]))
    return [[...together, ...rest].reduce((a, b) => add(a, b))]
  })
}

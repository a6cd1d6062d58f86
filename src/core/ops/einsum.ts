// Sums of products by Einstein's notation, made of matrix products.

import { composite } from '../graph/composite.js'
import { ONNX_DOMAIN, required } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { type Shape, unifyDims } from '../graph/shape.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { mul, where } from './elementwise.js'
import { matmul } from './matmul.js'
import { diagonalMask } from './product.js'
import { reduceSum } from './reduction.js'
import { int64, Reshape, shapeVector, squeeze, transpose, unsqueeze } from './shape.js'
import { concat } from './slice.js'

/** A value and a label for each of its axes: a letter, or a number for one that an ellipsis stands for, from the back. */
interface Labelled {
  readonly value: Value
  readonly labels: readonly string[]
}

/** The labels of a term; the axes that no letter names are those of its ellipsis. */
function labelsOf(term: string, rank: number): string[] {
  const [before = '', after, ...more] = term.split('...')
  if (more.length > 0 || !/^[A-Za-z]*$/.test(before + (after ?? '')))
    throw new GraphError(`'${term}' is no term: letters, and one ellipsis at most`)
  const open = rank - before.length - (after ?? '').length
  if (open < 0 || (after === undefined && open > 0))
    throw new GraphError(`'${term}' does not name the axes of an operand of ${rank} dimensions`)
  const covered = Array.from({ length: open }, (_, i) => String(open - 1 - i))
  return [...before, ...covered, ...(after ?? '')]
}

/** The terms of the operands and the labels of the result. */
function parsed(equation: string, shapes: readonly Shape[]): { terms: string[][]; result: string[] } {
  const [left = '', right, ...more] = equation.replaceAll(/\s/g, '').split('->')
  const given = left.split(',')
  if (more.length > 0 || given.length !== shapes.length)
    throw new GraphError(`the equation '${equation}' has ${given.length} terms for ${shapes.length} operands`)
  const terms = given.map((term, i) => labelsOf(term, shapes[i]!.length))
  const all = terms.flat()
  const covered = [...new Set(all.filter((label) => /\d/.test(label)))].sort((a, b) => Number(b) - Number(a))
  // Without an arrow it is what comes once, in the order of the alphabet.
  const once = [...new Set(all)].filter((label) => /\D/.test(label) && all.filter((one) => one === label).length === 1)
  if (right === undefined) return { terms, result: [...covered, ...once.sort()] }
  const result = labelsOf(right, right.replace('...', '').length + (right.includes('...') ? covered.length : 0))
  const wrong = result.find((label, i) => !all.includes(label) || result.indexOf(label) !== i)
  if (wrong !== undefined) throw new GraphError(`'${wrong}' of the result must be an axis of an operand, and come once`)
  return { terms, result }
}

/** An axis that a term names twice is the diagonal of the two. */
function withoutRepeats({ value, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, i) => labels.indexOf(label) !== i)
  if (second < 0) return { value, labels }
  const first = labels.indexOf(labels[second]!)
  if (unifyDims(value.shape[first]!, value.shape[second]!) === undefined)
    throw new GraphError(`'${labels[second]}' names axes of ${value.shape[first]} and of ${value.shape[second]}`)
  const others = labels.map((_, axis) => axis).filter((axis) => axis !== first && axis !== second)
  const mask = unsqueezed(diagonalMask(value, first), others)
  const kept = reduceSum(where(mask, value, 0), [second], { keepdims: 0 })
  return withoutRepeats({ value: kept, labels: labels.filter((_, axis) => axis !== second) })
}

const unsqueezed = (x: Value, axes: readonly number[]): Value => (axes.length > 0 ? unsqueeze(x, ...axes) : x)
const isOne = ({ value, labels }: Labelled, label: string): boolean => value.shape[labels.indexOf(label)] === 1

/** Sums over the axes that nothing after needs. */
function summed({ value, labels }: Labelled, needed: (label: string) => boolean): Labelled {
  const gone = labels.flatMap((label, axis) => (needed(label) ? [] : [axis]))
  if (gone.length === 0) return { value, labels }
  return { value: reduceSum(value, gone, { keepdims: 0 }), labels: labels.filter(needed) }
}

/** The axes in the order of labels; where one is lacking, an axis of one. */
function arranged({ value, labels }: Labelled, order: readonly string[]): Value {
  const present = order.filter((label) => labels.includes(label))
  const perm = present.map((label) => labels.indexOf(label))
  const moved = perm.every((axis, i) => axis === i) ? value : transpose(value, perm)
  return unsqueezed(
    moved,
    order.flatMap((label, i) => (labels.includes(label) ? [] : [i])),
  )
}

/** The last `count` axes as one. */
function mergedLast(x: Value, count: number): Value {
  if (count === 1) return x
  if (count === 0) return unsqueeze(x, -1)
  return apply1(Reshape, [x, int64([...x.shape.slice(count).map(() => 0), -1])])
}
const swapped = (x: Value): Value =>
  transpose(x, [...x.shape.slice(2).map((_, i) => i), x.shape.length - 1, x.shape.length - 2])

/** One axis for the labels `inner` at the end, and one for `outer` before it, behind the batch. */
function asMatrix(part: Labelled, batch: readonly string[], outer: readonly string[], inner: readonly string[]): Value {
  const rows = mergedLast(arranged(part, [...batch, ...outer, ...inner]), inner.length)
  if (outer.length === 1) return rows
  const rank = rows.shape.length
  const start = batch.length
  // Behind, so that what stands before it is copied: [batch, inner, outer …].
  const turned = transpose(rows, [
    ...batch.map((_, i) => i),
    rank - 1,
    ...Array.from({ length: rank - 1 - start }, (_, i) => start + i),
  ])
  return swapped(mergedLast(turned, outer.length))
}

/** The last axis as those of a value that were merged into it. */
function split(x: Value, { value, labels }: Labelled, into: readonly string[]): Value {
  if (into.length === 1) return x
  if (into.length === 0) return squeeze(x, -1)
  const dims = into.map((label) => value.shape[labels.indexOf(label)]!)
  const zeros = int64(x.shape.slice(1).map(() => 0))
  return apply1(Reshape, [x, concat([zeros, shapeVector(dims, [value])], 0)])
}

/** The product of two, summed over what both have and nothing after needs. */
function product(one: Labelled, other: Labelled, needed: (label: string) => boolean): Labelled {
  const shared = one.labels.filter((label) => other.labels.includes(label))
  // An axis of one meets any length.
  const broadcast = shared.filter((label) => !needed(label) && isOne(one, label) !== isOne(other, label))
  if (broadcast.length > 0) {
    const without = (part: Labelled): Labelled =>
      summed(part, (label) => !(broadcast.includes(label) && isOne(part, label)))
    return product(without(one), without(other), needed)
  }
  const [a, b] = [one, other].map((part) => summed(part, (label) => shared.includes(label) || needed(label))) as [
    Labelled,
    Labelled,
  ]
  for (const label of shared) {
    const [p, q] = [a, b].map(({ value, labels }) => value.shape[labels.indexOf(label)]!) as [Shape[0], Shape[0]]
    if (unifyDims(p, q) === undefined && p !== 1 && q !== 1)
      throw new GraphError(`'${label}' names axes of ${p} and of ${q}`)
  }
  const inner = shared.filter((label) => !needed(label))
  const batch = shared.filter(needed)
  const [left, right] = [a, b].map(({ labels }) => labels.filter((label) => !shared.includes(label))) as [
    string[],
    string[],
  ]
  const labels = [...batch, ...left, ...right]
  if (inner.length === 0) return { value: mul(arranged(a, labels), arranged(b, labels)), labels }
  const flat = matmul(asMatrix(a, batch, left, inner), swapped(asMatrix(b, batch, right, inner)))
  const columns = split(flat, b, right)
  // The rows go to the end to be split, and back.
  const at = batch.length
  if (left.length === 1) return { value: columns, labels }
  const behind = transpose(columns, [...batch.map((_, i) => i), ...right.map((_, i) => at + 1 + i), at])
  const rows = split(behind, a, left)
  return { value: arranged({ value: rows, labels: [...batch, ...right, ...left] }, labels), labels }
}

/** Σ over the axes that the result does not name of the products of the operands, by an equation such as `ij,jk->ik`. */
export const Einsum = composite({
  name: 'Einsum',
  domain: ONNX_DOMAIN,
  since: 12,
  attributes: { equation: required('string') },
  arity: [1, Number.POSITIVE_INFINITY],
  body(operands, { equation }) {
    const { terms, result } = parsed(
      equation,
      operands.map(({ shape }) => shape),
    )
    const parts = operands.map((value, i) => withoutRepeats({ value, labels: terms[i]! }))
    const total = parts.reduce((before, part, i) => {
      const later = parts.slice(i + 1).flatMap(({ labels }) => labels)
      return product(before, part, (label) => result.includes(label) || later.includes(label))
    })
    return [
      arranged(
        summed(total, (label) => result.includes(label)),
        result,
      ),
    ]
  },
  samples: [
    { inputs: [normal(2, 3), normal(3, 4)], attributes: { equation: 'ij,jk->ik' } },
    { inputs: [normal(2, 2, 3), normal(2, 3, 4)], attributes: { equation: 'bij, bjk -> bik' } },
    { inputs: [normal(2, 3, 2, 4), normal(5, 3, 4), normal(6, 2)], attributes: { equation: 'bhwc,khc,ow->kob' } },
    { inputs: [normal(2, 3, 3)], attributes: { equation: '...ii->...i' } },
    { inputs: [normal(3, 3)], attributes: { equation: 'ii' } },
    { inputs: [normal(2, 3), normal(4)], attributes: { equation: 'ij,k' } },
    { inputs: [normal(2, 2, 3), normal(2, 3, 5)], attributes: { equation: '...ij,...jk->...ki' } },
    { inputs: [normal(2, 3, 4), normal(2, 3, 4)], attributes: { equation: 'abc,abc->' } },
  ],
})

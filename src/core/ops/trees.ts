// Ensembles of decision trees (ai.onnx.ml): each row of x goes down each tree to a leaf, whose weights are summed.
//
// In files each tree is arithmetic: a row is at a leaf where as many of the branches above it as lie on its true side, less those on
// its false side, hold as there are of the former. That is a matrix product for each tree (Nakandala et al. 2020, "GEMM").

import { type DType, type Numbers, numbers } from '../graph/tensor.js'
import { constant, GraphError, type Value } from '../graph/value.js'
import {
  add,
  and,
  cast,
  div,
  equal,
  greater,
  greaterOrEqual,
  isNan,
  less,
  lessOrEqual,
  not,
  or,
} from './elementwise.js'
import { gather } from './indexing.js'
import { castTo } from './layerNorm.js'
import { matmul } from './matmul.js'
import { reduceSum } from './reduction.js'
import { reshape, transpose, unsqueeze } from './shape.js'

/** How a feature is compared: by a number, or by whether it is one of several. */
export const modes = ['LEQ', 'LT', 'GTE', 'GT', 'EQ', 'NEQ', 'MEMBER'] as const
export type Mode = (typeof modes)[number]

export interface Split {
  readonly feature: number
  readonly mode: Mode
  /** What the feature is compared with; several where it is to be a member. */
  readonly values: readonly number[]
  /** Whether NaN goes to the true side. */
  readonly missing: boolean
}
export interface Leaf {
  /** What it adds to targets. */
  readonly weights: readonly (readonly [target: number, weight: number])[]
}
export type Tree = Branch | Leaf
interface Branch extends Split {
  readonly yes: Tree
  readonly no: Tree
}
export interface Ensemble {
  readonly trees: readonly Tree[]
  readonly targets: number
  /** What is added to each target, or nothing. */
  readonly base: readonly number[]
  readonly isAverage: boolean
  /** In which features are compared and weights are summed. */
  readonly dtype: DType
}

/** Deeper trees are none that were learned. */
const DEEPEST = 1000

/**
 * A tree from a table.
 * @param at what stands at a place of the table: a leaf, or a split and the places of its sides
 * @throws GraphError where something stands below itself, or twice
 */
export function grown<P>(
  root: P,
  at: (place: P) => Leaf | (Split & { readonly below: readonly [yes: P, no: P] }),
): Tree {
  const seen = new Set<P>()
  const from = (place: P, depth: number): Tree => {
    const found = at(place)
    if (!('below' in found)) return found
    if (seen.has(place)) throw new GraphError(`the node ${place} of a tree stands at two places; expected one`)
    if (depth > DEEPEST) throw new GraphError(`a tree is more than ${DEEPEST} levels deep`)
    seen.add(place)
    const { below, ...split } = found
    return { ...split, yes: from(below[0], depth + 1), no: from(below[1], depth + 1) }
  }
  return from(root, 0)
}

const isBranch = (tree: Tree): tree is Branch => 'feature' in tree

const tests: Readonly<Record<Mode, (x: number, values: readonly number[]) => boolean>> = {
  LEQ: (x, [value]) => x <= value!,
  LT: (x, [value]) => x < value!,
  GTE: (x, [value]) => x >= value!,
  GT: (x, [value]) => x > value!,
  EQ: (x, [value]) => x === value,
  NEQ: (x, [value]) => x !== value,
  MEMBER: (x, values) => values.includes(x),
}

/** The leaf that a row of features comes to. */
function leafOf(tree: Tree, row: Float64Array): Leaf {
  let at = tree
  while (isBranch(at)) {
    const x = row[at.feature]!
    at = tests[at.mode](x, at.values) || (at.missing && Number.isNaN(x)) ? at.yes : at.no
  }
  return at
}

/** @throws GraphError where x lacks a feature */
function requireFeatures(count: number, trees: readonly Tree[]): void {
  for (const { branches } of trees.map(partsOf)) {
    const missing = branches.find(({ feature }) => !(feature >= 0 && feature < count))
    if (missing) throw new GraphError(`a tree asks for feature ${missing.feature}, x has ${count}`)
  }
}

/** The sums of each row's leaves, [rows, targets]. */
export function sums(x: Numbers, { trees, targets, base, isAverage, dtype }: Ensemble): Numbers {
  const [rows, features] = x.shape as [number, number]
  requireFeatures(features, trees)
  const data = new Float64Array(rows * targets)
  for (let row = 0; row < rows; row++) {
    const own = x.data.subarray(row * features, (row + 1) * features)
    for (const tree of trees)
      for (const [target, weight] of leafOf(tree, own).weights) data[row * targets + target]! += weight
    for (let target = 0; target < targets; target++) {
      const at = row * targets + target
      data[at] = data[at]! / (isAverage ? trees.length : 1) + (base[target] ?? 0)
    }
  }
  return numbers(dtype, [rows, targets], data)
}

/** The branches above a leaf, from the nearest up, each with the side of it that the leaf is on: true (1) or false (−1). */
interface Path {
  readonly branch: number
  readonly side: 1 | -1
  readonly above: Path | undefined
}
function* pathOf(path: Path | undefined): Generator<Path> {
  for (let at = path; at; at = at.above) yield at
}

/** Leaves and branches of a tree. */
function partsOf(tree: Tree) {
  const branches: Branch[] = []
  const leaves: { readonly leaf: Leaf; readonly above: Path | undefined }[] = []
  const waiting: [Tree, Path | undefined][] = [[tree, undefined]]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [at, above] = next
    if (!isBranch(at)) leaves.push({ leaf: at, above })
    else {
      const branch = branches.push(at) - 1
      waiting.push([at.no, { branch, side: -1, above }], [at.yes, { branch, side: 1, above }])
    }
  }
  return { branches, leaves }
}

/** The most numbers in the matrices of an ensemble that is written. */
const MOST = 2 ** 24

/** Whether each branch holds, as floats: [rows, branches]. */
function held(x: Value, branches: readonly Branch[], dtype: DType): Value {
  const columns = gather(
    x,
    constant(
      'int64',
      branches.map(({ feature }) => feature),
    ),
    1,
  )
  const values = constant(
    dtype,
    branches.map(({ values }) => values[0] ?? 0),
  )
  const outcomes: Readonly<Record<Exclude<Mode, 'MEMBER'>, () => Value>> = {
    LEQ: () => lessOrEqual(columns, values),
    LT: () => less(columns, values),
    GTE: () => greaterOrEqual(columns, values),
    GT: () => greater(columns, values),
    EQ: () => equal(columns, values),
    NEQ: () => not(equal(columns, values)),
  }
  const where = (test: (branch: Branch) => boolean) =>
    constant(
      'bool',
      branches.map((branch) => Number(test(branch))),
    )
  const parts = [...new Set(branches.map(({ mode }) => mode))].map((mode) =>
    and(
      mode === 'MEMBER' ? members(x, branches, dtype) : outcomes[mode](),
      where((branch) => branch.mode === mode),
    ),
  )
  if (branches.some(({ missing }) => missing))
    parts.push(
      and(
        isNan(columns),
        where(({ missing }) => missing),
      ),
    )
  return cast(parts.reduce(or), dtype)
}

/** Whether the feature of each branch is one of its values. */
function members(x: Value, branches: readonly Branch[], dtype: DType): Value {
  const all = branches.flatMap(({ mode, feature, values }, i) =>
    mode === 'MEMBER' ? values.map((value) => ({ branch: i, feature, value })) : [],
  )
  const columns = gather(
    x,
    constant(
      'int64',
      all.map(({ feature }) => feature),
    ),
    1,
  )
  const same = cast(
    equal(
      columns,
      constant(
        dtype,
        all.map(({ value }) => value),
      ),
    ),
    dtype,
  )
  const owners = new Float64Array(all.length * branches.length)
  all.forEach(({ branch }, i) => {
    owners[i * branches.length + branch] = 1
  })
  return greater(matmul(same, constant(dtype, owners, [all.length, branches.length])), 0)
}

/** As `sums`, in operators. */
export function summed(x: Value, { trees, targets, base, isAverage, dtype }: Ensemble): Value {
  const parts = trees.map(partsOf)
  // A tree that is a leaf has no branch: it gets one that nobody asks.
  const [width, leaves] = [
    Math.max(1, ...parts.map((p) => p.branches.length)),
    Math.max(...parts.map((p) => p.leaves.length)),
  ]
  if (trees.length * Math.max(width, targets) * leaves > MOST)
    throw new GraphError(`${trees.length} trees of up to ${leaves} leaves are too large to be written as matrices`)
  const sides = new Float64Array(trees.length * width * leaves)
  const wanted = new Float64Array(trees.length * leaves).fill(-1)
  const weights = new Float64Array(trees.length * leaves * targets)
  const idle: Branch = {
    feature: 0,
    mode: 'LEQ',
    values: [0],
    missing: false,
    yes: { weights: [] },
    no: { weights: [] },
  }
  const branches = parts.flatMap((p) => [...p.branches, ...new Array<Branch>(width - p.branches.length).fill(idle)])
  for (const [t, part] of parts.entries())
    for (const [l, { leaf, above }] of part.leaves.entries()) {
      wanted[t * leaves + l] = 0
      for (const { branch, side } of pathOf(above)) {
        sides[(t * width + branch) * leaves + l] = side
        if (side === 1) wanted[t * leaves + l]!++
      }
      for (const [target, weight] of leaf.weights) weights[(t * leaves + l) * targets + target]! += weight
    }
  const perTree = transpose(reshape(held(castTo(x, dtype), branches, dtype), [-1, trees.length, width]), [1, 0, 2])
  const reached = equal(
    matmul(perTree, constant(dtype, sides, [trees.length, width, leaves])),
    unsqueeze(constant(dtype, wanted, [trees.length, leaves]), 1),
  )
  const found = matmul(cast(reached, dtype), constant(dtype, weights, [trees.length, leaves, targets]))
  const total = reduceSum(found, [0], { keepdims: 0 })
  const mean = isAverage ? div(total, trees.length) : total
  return base.length > 0 ? add(mean, constant(dtype, base)) : mean
}

// Weights as a tree by their names.

import type { WeightFacts } from './inspection.js'

/** A branch: what its weights have in common in their names. */
export interface Branch {
  readonly name: string
  readonly weights: readonly WeightFacts[]
  readonly branches: readonly Branch[]
}

/** Parts of a name: `layer4.1.conv2.weight`, `block1/conv`. */
export const partsOf = (name: string): readonly string[] => name.split(/[./]/).filter((part) => part !== '')

/** Names as a tree; a branch that has nothing but another branch is told with it. */
export function treeOf(weights: readonly WeightFacts[], name = '', depth = 0): Branch {
  const groups = new Map<string, WeightFacts[]>()
  const own: WeightFacts[] = []
  for (const weight of weights) {
    const parts = partsOf(weight.name)
    const part = parts.length > depth + 1 ? parts[depth]! : undefined
    if (part === undefined) own.push(weight)
    else groups.set(part, [...(groups.get(part) ?? []), weight])
  }
  const branches = [...groups].map(([part, inside]) => treeOf(inside, part, depth + 1))
  const [only] = branches
  if (own.length === 0 && branches.length === 1 && name !== '') return { ...only!, name: `${name}.${only!.name}` }
  return { name, weights: own, branches }
}

export function* leavesOf({ weights, branches }: Branch): Generator<WeightFacts> {
  yield* weights
  for (const branch of branches) yield* leavesOf(branch)
}

// Trees as the attributes of files have them: tables of nodes, and of what their leaves say.

import { type AttributesOf, optional, required, string } from '../graph/operator.js'
import { type DType, type Numbers, type Tensor, widen } from '../graph/tensor.js'
import { GraphError } from '../graph/value.js'
import { grown, modes } from './trees.js'

type Given = readonly number[] | Tensor | Numbers | undefined

/** Numbers of a list or a tensor, as the dtype has them: trees part where a number equals another. */
export function listOf(given: Given, dtype: DType): readonly number[] {
  const values = given === undefined ? [] : 'dtype' in given ? [...widen(given).data] : given
  return dtype === 'float32' ? values.map(Math.fround) : values
}

export const nodeAttributes = {
  nodes_treeids: required('ints'),
  nodes_nodeids: required('ints'),
  nodes_featureids: required('ints'),
  nodes_modes: required('strings'),
  nodes_truenodeids: required('ints'),
  nodes_falsenodeids: required('ints'),
  nodes_values: optional('floats'),
  nodes_values_as_tensor: optional('tensor'),
  nodes_missing_value_tracks_true: optional('ints'),
  nodes_hitrates: optional('floats'),
  nodes_hitrates_as_tensor: optional('tensor'),
  base_values: optional('floats'),
  base_values_as_tensor: optional('tensor'),
  post_transform: string('NONE'),
} as const

interface Votes {
  readonly trees: readonly number[]
  readonly nodes: readonly number[]
  readonly targets: readonly number[]
  readonly weights: readonly number[]
}

/** @throws GraphError for lists that do not lie beside each other */
export function requireLength(length: number, lists: Readonly<Record<string, { readonly length: number }>>): void {
  for (const [name, list] of Object.entries(lists))
    if (list.length !== length) throw new GraphError(`${name} has ${list.length} entries, expected ${length}`)
}

const keyOf = (tree: number, node: number): string => `${tree}:${node}`

/** The trees of tables of nodes and of votes at their leaves. */
export function treesOf(attributes: AttributesOf<typeof nodeAttributes>, votes: Votes, targets: number, dtype: DType) {
  const { nodes_treeids, nodes_nodeids, nodes_featureids, nodes_modes, ...rest } = attributes
  const { nodes_truenodeids, nodes_falsenodeids, nodes_missing_value_tracks_true: missing } = rest
  const values = listOf(rest.nodes_values_as_tensor ?? rest.nodes_values, dtype)
  const count = nodes_nodeids.length
  requireLength(count, { nodes_treeids, nodes_featureids, nodes_modes, nodes_truenodeids, nodes_falsenodeids })
  requireLength(count, { nodes_values: values, ...(missing ? { nodes_missing_value_tracks_true: missing } : {}) })
  requireLength(votes.weights.length, { ...votes })
  const places = new Map(nodes_nodeids.map((node, i) => [keyOf(nodes_treeids[i]!, node), i]))
  if (places.size !== count) throw new GraphError('two nodes of a tree have one id')
  const weights = new Map<string, (readonly [number, number])[]>()
  votes.targets.forEach((target, i) => {
    if (!(target >= 0 && target < targets)) throw new GraphError(`a leaf votes for ${target} of ${targets} targets`)
    const key = keyOf(votes.trees[i]!, votes.nodes[i]!)
    weights.set(key, [...(weights.get(key) ?? []), [target, votes.weights[i]!]])
  })
  const isLeaf = (place: number) => nodes_modes[place] === 'LEAF'
  const below = (place: number): readonly [string, string] => {
    const tree = nodes_treeids[place]!
    return [keyOf(tree, nodes_truenodeids[place]!), keyOf(tree, nodes_falsenodeids[place]!)]
  }
  const children = new Set(nodes_modes.flatMap((_, place) => (isLeaf(place) ? [] : below(place))))
  const roots = [...places.keys()].filter((key) => !children.has(key))
  if (roots.length !== new Set(nodes_treeids).size)
    throw new GraphError('each tree needs one node that is below no other')
  return roots.map((root) =>
    grown(root, (key) => {
      const place = places.get(key)
      if (place === undefined) throw new GraphError(`a tree has no node ${key.split(':')[1]}`)
      if (isLeaf(place)) return { weights: weights.get(key) ?? [] }
      const mode = modes.find((one) => nodes_modes[place] === `BRANCH_${one}` && one !== 'MEMBER')
      if (!mode) throw new GraphError(`the mode '${nodes_modes[place]}' is not known`)
      return {
        feature: nodes_featureids[place]!,
        mode,
        values: [values[place]!],
        missing: missing?.[place] === 1,
        below: below(place),
      }
    }),
  )
}

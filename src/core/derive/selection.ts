// Which weights of a network train.

import { UserError } from '../errors.js'
import { ancestors, type Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { isParameter, parameter, rootScope, type Value } from '../graph/value.js'
import { matching } from '../training/groups.js'

/** Which parameters train. By names, or by how far from the end their layers are. */
export interface Selection {
  /** Patterns of names (`*` stands for any characters): these train; all unless given. */
  readonly train?: readonly string[] | undefined
  /** Patterns of names: these do not. */
  readonly freeze?: readonly string[] | undefined
  /** Only the last so many layers train. */
  readonly trainLast?: number | undefined
}

/** What a weight's name has before the last dot or slash; empty where it has none. */
const prefixOf = (name: string): string => /^(.+)[./]/.exec(name)?.[1] ?? ''

/**
 * Weights that can train, layer by layer in the order in which the network uses them: those of one node, and those whose names have
 * one prefix (`layer4.1.conv2.weight` and `.bias`), are of one layer.
 */
export function layersOf(network: Graph): readonly (readonly string[])[] {
  const layers: Set<string>[] = []
  const layerOf = new Map<string, Set<string>>()
  for (const { inputs } of ancestors(network.outputs.values())) {
    const names = inputs.flatMap((value) =>
      value && isParameter(value) && value.origin.trainable ? [value.origin.name] : [],
    )
    const [first] = names
    if (first === undefined) continue
    const known = names.flatMap((name) => layerOf.get(name) ?? layerOf.get(prefixOf(name)) ?? [])[0]
    const layer = known ?? new Set<string>()
    if (!known) layers.push(layer)
    for (const name of names) {
      layer.add(name)
      layerOf.set(name, layer)
      const prefix = prefixOf(name)
      if (prefix !== '') layerOf.set(prefix, layer)
    }
  }
  return layers.map((layer) => [...layer])
}

/**
 * The same network, of which only some weights train. Running statistics never do.
 * @throws UserError for a pattern that matches no weight, or where nothing is left to train
 */
export function select(network: Graph, { train, freeze = [], trainLast }: Selection): Graph {
  const names = network.parameters.filter(({ origin }) => origin.trainable).map(({ origin }) => origin.name)
  const last = trainLast === undefined ? undefined : new Set(layersOf(network).slice(-trainLast).flat())
  const chosen = new Set(train ? train.flatMap((pattern) => matching(pattern, names)) : names)
  const frozen = new Set(freeze.flatMap((pattern) => matching(pattern, names)))
  const trains = (name: string) => chosen.has(name) && !frozen.has(name) && (last?.has(name) ?? true)
  if (!names.some(trains))
    throw new UserError(
      names.length === 0
        ? 'the network has no weights that could train'
        : 'no weight is left to train; take fewer patterns to freeze, or more to train',
    )
  return frozenBut(network, trains)
}

/** The same network without training of the weights that are not named. */
function frozenBut(network: Graph, trains: (name: string) => boolean): Graph {
  const leaves = new Map<Value, Value>()
  for (const value of network.parameters) {
    const { name, initializer, trainable } = value.origin
    if (!trainable || trains(name)) continue
    leaves.set(
      value,
      rootScope('', () =>
        parameter(name, value.shape as readonly number[], initializer, { dtype: value.dtype, trainable: false }),
      ),
    )
  }
  return leaves.size === 0 ? network : rewrite(network, () => undefined, { leaves })
}

// Common subexpressions: what is computed twice from the same values is computed once.

import type { Graph } from './graph.js'
import { rebuild, rewrite } from './rewrite.js'
import { keyOf } from './tensor.js'
import type { Value } from './value.js'

/** The same graph, in which no two nodes do the same. Nodes that hold graphs or draw at random, and those
 * without inputs, stay as they are. */
export function cse(source: Graph): Graph {
  const numbers = new Map<Value | string, number>()
  const numberOf = (key: Value | string): number => {
    const known = numbers.get(key) ?? numbers.size
    numbers.set(key, known)
    return known
  }
  const idOf = (value: Value | undefined): number | undefined => {
    if (value?.origin.kind !== 'constant') return value && numberOf(value)
    return numberOf(keyOf(value.origin.tensor))
  }
  const known = new Map<string, readonly Value[]>()
  return rewrite(source, (node, inputs) => {
    const { operator, attributes } = node
    if (operator.random || inputs.length === 0) return undefined
    if (Object.values(attributes).some((value) => typeof value === 'object' && 'graph' in value)) return undefined
    const key = JSON.stringify([operator.domain, operator.name, attributes, inputs.map((value) => idOf(value) ?? null)])
    const same = known.get(key)
    if (same) return same
    const outputs = rebuild(node, inputs)
    known.set(key, outputs)
    return outputs
  })
}

// Common subexpressions: what is computed twice from the same values is computed once.

import type { Graph } from './graph.js'
import { attributeKey, isBody } from './operator.js'
import { rebuild, rewrite } from './rewrite.js'
import { keyOf } from './tensor.js'
import type { Value } from './value.js'

/** The same graph, in which no two nodes do the same. Nodes that hold graphs or draw at random, and those
 * without inputs, stay as they are. */
export function cse(source: Graph): Graph {
  /** Values by themselves, constants by what they hold too: that is looked at once. */
  const numbers = new Map<Value | string, number>()
  const numberOf = (key: Value | string, from?: string): number => {
    const known = numbers.get(key) ?? (from === undefined ? numbers.size : numberOf(from))
    numbers.set(key, known)
    return known
  }
  const idOf = (value: Value): number =>
    numbers.get(value) ?? numberOf(value, value.origin.kind === 'constant' ? keyOf(value.origin.tensor) : undefined)
  const known = new Map<string, readonly Value[]>()
  return rewrite(source, (node, inputs) => {
    const { operator, attributes } = node
    if (operator.random || inputs.length === 0 || Object.values(attributes).some(isBody)) return undefined
    const given = Object.entries(attributes).map(([name, value]) => [name, attributeKey(value)])
    const key = JSON.stringify([
      operator.domain,
      operator.name,
      given,
      inputs.map((value) => (value ? idOf(value) : null)),
    ])
    const same = known.get(key)
    if (same) return same
    const outputs = rebuild(node, inputs)
    known.set(key, outputs)
    return outputs
  })
}

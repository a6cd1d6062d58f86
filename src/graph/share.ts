// Common subexpressions: nodes that compute the same of the same become one.

import type { Graph } from './graph.js'
import { rewrite } from './rewrite.js'
import { apply, type Node, type Value } from './value.js'

/** Operators that give something else each time they run. */
const isRandom = ({ operator }: Node): boolean => operator.name.startsWith('Random')

/** The graph with equal nodes computed once; what was first keeps its name. */
export function shareEqual(source: Graph): Graph {
  const numbers = new Map<unknown, number>()
  const numberOf = (key: unknown) => {
    const known = numbers.get(key) ?? numbers.size
    numbers.set(key, known)
    return known
  }
  const identityOf = (value: Value | undefined): number => {
    if (value?.origin.kind !== 'constant') return numberOf(value)
    const { dtype, shape, data } = value.origin.tensor
    return numberOf(`${dtype}[${shape}]{${data.join()}}`)
  }
  const known = new Map<string, readonly Value[]>()
  return rewrite(source, (node, inputs) => {
    if (isRandom(node)) return undefined
    const { operator, attributes } = node
    const given = Object.entries(attributes).map(([name, value]) => `${name}=${value}`)
    const key = [numberOf(operator), ...given, ...inputs.map(identityOf)].join(' ')
    const earlier = known.get(key)
    if (earlier) return earlier
    const same = inputs.every((value, i) => value === node.inputs[i])
    const outputs = same ? node.outputs : apply(operator, inputs, attributes)
    known.set(key, outputs)
    return outputs
  })
}

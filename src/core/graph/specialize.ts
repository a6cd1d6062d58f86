// Symbolic dimensions made numbers.

import type { Graph } from './graph.js'
import { rewrite } from './rewrite.js'
import { isKnown } from './shape.js'
import { input, type Value } from './value.js'

/** The same graph for given sizes: `specialize(step, { batch: 128 })`. Symbols that are not named stay symbols. */
export function specialize(source: Graph, sizes: Readonly<Record<string, number>>): Graph {
  const leaves = new Map<Value, Value>()
  for (const value of source.inputs) {
    const shape = value.shape.map((dim) => (isKnown(dim) ? dim : Object.hasOwn(sizes, dim) ? sizes[dim]! : dim))
    const changed = shape.some((dim, axis) => dim !== value.shape[axis])
    if (changed && value.origin.kind === 'input') leaves.set(value, input(value.origin.name, value.dtype, shape))
  }
  return rewrite(source, () => undefined, { leaves })
}

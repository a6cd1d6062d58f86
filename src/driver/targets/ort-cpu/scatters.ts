// The gradient of an embedding is zeros to which rows are added; where it is added to something of its size, as weight decay is,
// the rows are added to that: two passes over the whole table less.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { apply1, constantOf, nodeOf, type Value } from '../../../core/graph/value.js'
import { Add, Expand, ScatterElements } from '../../../core/ops/index.js'
import { usesOf } from './fuse.js'

const areZeros = (x: Value): boolean => {
  const node = nodeOf(x)
  const values = constantOf(node?.operator === Expand ? node.inputs[0] : x)
  return values?.every((value) => value === 0) ?? false
}

export function intoSums(source: Graph): Graph {
  const uses = usesOf(source)
  return rewrite(source, ({ operator, inputs: before }, inputs) => {
    if (operator !== Add) return undefined
    const [a, b] = inputs as [Value, Value]
    for (const [place, scattered, other] of [
      [0, a, b],
      [1, b, a],
    ] as const) {
      const node = nodeOf(scattered)
      const adds = node?.operator === ScatterElements && node.attributes.reduction === 'add'
      if (!adds || uses.get(before[place]!) !== 1 || scattered.shape.join() !== other.shape.join()) continue
      const [zeros, places, rows] = node.inputs
      if (areZeros(zeros!)) return [apply1(ScatterElements, [other, places, rows], node.attributes)]
    }
    return undefined
  })
}

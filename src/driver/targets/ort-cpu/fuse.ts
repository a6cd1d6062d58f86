// Second pass: ReLUs and sums go into the blocked convolutions before them, which do them on the way.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { type Node, nodeOf, type Value } from '../../../core/graph/value.js'
import type { ConvAttributes } from '../../../core/ops/convSum.js'
import { Add, Relu } from '../../../core/ops/index.js'
import type { Nchwc } from './nchwc.js'

/** How often each value is used. */
export function usesOf({ nodes, outputs }: Graph): ReadonlyMap<Value, number> {
  const uses = new Map<Value, number>()
  for (const value of [...nodes.flatMap(({ inputs }) => inputs), ...outputs.values()])
    if (value) uses.set(value, (uses.get(value) ?? 0) + 1)
  return uses
}

export function fused(source: Graph, nchwc: Nchwc): Graph {
  const uses = usesOf(source)
  /** Values that are summands of one convolution and nothing else. */
  const summands = new Set<Value>()
  const convOf = (value: Value): Node | undefined =>
    nodeOf(value)?.operator === nchwc.operators.Conv ? nodeOf(value) : undefined

  /** Whether writing a convolution anew costs nothing: nobody else uses its result, or it is one cheap pass. */
  const isFree = (result: Value, conv: Node): boolean => uses.get(result) === 1 || (conv.attributes.group as number) > 1

  const rebuilt = (conv: Node, changed: { sum?: Value; activation?: 'Relu' }): Value => {
    const [x, w, bias, sum] = conv.inputs
    return nchwc.conv(x!, w!, { ...(conv.attributes as unknown as ConvAttributes), bias, sum, ...changed })
  }

  /** The convolution's result plus one more summand; undefined where an activation stands between. */
  function absorb(conv: Node, summand: Value): Value | undefined {
    const sum = conv.inputs[3]
    if (conv.attributes.activation) return undefined
    if (!sum) return rebuilt(conv, { sum: summand })
    const below = convOf(sum)
    if (!below || !(summands.has(sum) || (below.attributes.group as number) > 1)) return undefined
    const more = absorb(below, summand)
    if (!more) return undefined
    if (summands.has(sum)) summands.add(more)
    return rebuilt(conv, { sum: more })
  }

  function activated({ inputs: [result] }: Node, x: Value): readonly Value[] | undefined {
    const conv = convOf(x)
    if (!conv || conv.attributes.activation || !isFree(result!, conv)) return undefined
    return [rebuilt(conv, { activation: 'Relu' })]
  }

  /** a + b inside the convolution that gives one of them. */
  function summed({ inputs: results }: Node, [a, b]: readonly Value[]): readonly Value[] | undefined {
    if (a === b || a!.shape.join() !== b!.shape.join()) return undefined
    for (const [i, into, other] of [
      [1, b!, a!],
      [0, a!, b!],
    ] as const) {
      const conv = convOf(into)
      const total = conv && isFree(results[i]!, conv) ? absorb(conv, other) : undefined
      if (!total) continue
      if (uses.get(results[1 - i]!) === 1) summands.add(other)
      return [total]
    }
    return undefined
  }

  return rewrite(source, (node, inputs) => {
    if (node.operator === Relu) return activated(node, inputs[0]!)
    if (node.operator === Add) return summed(node, inputs as readonly Value[])
    return undefined
  })
}

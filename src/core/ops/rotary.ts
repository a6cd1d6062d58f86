// Rotary embedding of positions (Su et al. 2021).

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, optional } from '../graph/operator.js'
import { fixed, normal } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { GraphError, type Value } from '../graph/value.js'
import { add, mul, sub } from './elementwise.js'
import { gather } from './indexing.js'
import { requireFloat } from './layerNorm.js'
import { reshape, reshapeAs, squeeze, unsqueeze } from './shape.js'
import { concat, slice, WHOLE } from './slice.js'

/** The two coordinates of each pair: the halves of the last axis, or its neighbours. */
function pairsOf(x: Value, half: number, interleaved: number): readonly [Value, Value] {
  const part = (y: Value, from: number, to: number) => slice(y, [y.shape.length - 1], [from], [to])
  if (!interleaved) return [part(x, 0, half), part(x, half, 2 * half)]
  const pairs = reshape(x, [0, 0, 0, half, 2])
  return [squeeze(part(pairs, 0, 1), -1), squeeze(part(pairs, 1, 2), -1)]
}

/** Puts the coordinates back. */
const joined = (pair: readonly Value[], like: Value, interleaved: number): Value =>
  interleaved
    ? reshapeAs(
        concat(
          pair.map((value) => unsqueeze(value, -1)),
          -1,
        ),
        like,
      )
    : concat(pair, -1)

/**
 * Turns each pair (a, b) of a head's numbers by the angle of its place: (a cos − b sin, a sin + b cos). x is [batch, heads, places,
 * size], or [batch, places, heads · size]; cosines and sines are [batch, places, size/2], or a table that `position_ids`
 * picks rows of. Only the first `rotary_embedding_dim` numbers turn where it is not 0.
 */
export const RotaryEmbedding = composite({
  name: 'RotaryEmbedding',
  domain: ONNX_DOMAIN,
  since: 23,
  attributes: { interleaved: int(0), num_heads: optional('int'), rotary_embedding_dim: int(0) },
  arity: [3, 4],
  check([x, cos, sin, positions], { num_heads, rotary_embedding_dim: turning }) {
    requireFloat(x!)
    if (x!.shape.length !== 4 && (x!.shape.length !== 3 || !num_heads))
      throw new GraphError('needs an input of four axes, or of three and num_heads')
    const rank = positions ? 2 : 3
    if ([cos, sin].some((cache) => cache!.shape.length !== rank))
      throw new GraphError(`needs cosines and sines of ${rank} axes ${positions ? 'with' : 'without'} position_ids`)
    if (turning % 2 !== 0) throw new GraphError(`rotary_embedding_dim=${turning} must be even`)
  },
  body([input, cosines, sines, positions], { interleaved, num_heads, rotary_embedding_dim }) {
    const x = input!.shape.length === 3 ? reshape(input!, [0, 0, num_heads!, -1]) : input!
    const size = x.shape[3]!
    if (!isKnown(size)) throw new GraphError(`needs heads of a known size, got '${size}'`)
    const turning = rotary_embedding_dim || size
    // Heads stand before the places where x has four axes, after them where it has three.
    const heads = input!.shape.length === 3 ? 2 : 1
    const [cos, sin] = [cosines!, sines!].map((cache) =>
      unsqueeze(positions ? gather(cache, positions) : cache, heads),
    ) as [Value, Value]
    const turned = turning === size ? x : slice(x, [3], [0], [turning])
    const [a, b] = pairsOf(turned, turning / 2, interleaved)
    const pair = [sub(mul(a, cos), mul(b, sin)), add(mul(a, sin), mul(b, cos))]
    const result = joined(pair, turned, interleaved)
    const whole = turning === size ? result : concat([result, slice(x, [3], [turning], [WHOLE])], 3)
    return [input!.shape.length === 3 ? reshapeAs(whole, input!) : whole]
  },
  samples: [
    { inputs: [normal(2, 2, 3, 4), normal(2, 3, 2), normal(2, 3, 2)] },
    {
      inputs: [normal(1, 3, 12), normal(5, 2), normal(5, 2), fixed('int64', [1, 3], [4, 0, 2])],
      attributes: { num_heads: 2, rotary_embedding_dim: 4 },
    },
    {
      inputs: [normal(2, 1, 3, 6), normal(2, 3, 2), normal(2, 3, 2)],
      attributes: { interleaved: 1, rotary_embedding_dim: 4 },
    },
  ],
})

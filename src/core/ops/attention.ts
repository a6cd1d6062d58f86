// Scaled dot-product attention (Vaswani et al. 2017), with the masks, caches and shared heads of ONNX's operator.

import { composite } from '../graph/composite.js'
import { float, int, ONNX_DOMAIN, optional } from '../graph/operator.js'
import { fixed, held, normal } from '../graph/sample.js'
import { isKnown, sameShape, sizeOf } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { cumSum } from './cumulative.js'
import {
  add,
  and,
  cast,
  div,
  dtypeOf,
  equal,
  greaterOrEqual,
  less,
  lessOrEqual,
  mul,
  sqrt,
  sub,
  tanh,
  where,
} from './elementwise.js'
import { gather } from './indexing.js'
import { castTo, requireFloat } from './layerNorm.js'
import { matmul } from './matmul.js'
import { reduceMax } from './reduction.js'
import { Expand, int64, reshape, reshapeAs, reshapeTo, shapeOf, transpose, unsqueeze } from './shape.js'
import { concat, Pad } from './slice.js'
import { softmax } from './softmax.js'

const attributes = {
  is_causal: int(0),
  kv_num_heads: optional('int'),
  left_window_size: int(-1),
  q_num_heads: optional('int'),
  qk_matmul_output_mode: int(0),
  right_window_size: int(-1),
  scale: optional('float'),
  softcap: float(0),
  softmax_precision: optional('int'),
}

/** [batch, places, heads · size] → [batch, heads, places, size]; what has four axes stays. */
function byHeads(x: Value, heads: number | undefined): Value {
  if (x.shape.length === 4) return x
  if (heads === undefined) throw new GraphError('three-dimensional inputs need q_num_heads and kv_num_heads')
  return transpose(reshape(x, [0, 0, heads, -1]), [0, 2, 1, 3])
}

/** The length of an axis: a number, or an int64 scalar of the graph. */
const lengthOf = (x: Value, axis: number): Value | number => {
  const dim = x.shape[axis]!
  return isKnown(dim) ? dim : gather(shapeOf(x), constant('int64', axis))
}

/** 0, 1, 2, … along an axis of x: int64. */
function placesAlong(x: Value, axis: number): Value {
  const dim = x.shape[axis]!
  if (isKnown(dim)) return int64(Array.from({ length: dim }, (_, i) => i))
  const ones = apply1(Expand, [constant('int64', 1), gather(shapeOf(x), constant('int64', [axis]))])
  return sub(cumSum(ones, 0), 1)
}

interface Masking {
  readonly is_causal: number
  readonly left_window_size: number
  readonly right_window_size: number
}

/**
 * Which keys each query may see, by place: bool, broadcasting to [batch, heads, queries, keys]; undefined for all. Query i stands at
 * place i + offset: behind what the cache has, or with the last of `filled` keys.
 */
function visible(q: Value, k: Value, past: Value | undefined, filled: Value | undefined, options: Masking) {
  const { is_causal, left_window_size: left, right_window_size: right } = options
  const inside: Value[] = []
  const keys = placesAlong(k, 2)
  const counts = filled && reshape(filled, [-1, 1, 1, 1])
  const offset = past ? lengthOf(past, 2) : counts ? sub(counts, lengthOf(q, 2)) : 0
  const place = () => add(unsqueeze(placesAlong(q, 2), -1), offset)
  if (is_causal) inside.push(lessOrEqual(keys, place()))
  if (left >= 0) inside.push(greaterOrEqual(keys, sub(place(), left)))
  if (right >= 0) inside.push(lessOrEqual(keys, add(place(), right)))
  if (counts) inside.push(less(keys, counts))
  return inside.length > 0 ? inside.reduce(and) : undefined
}

/** A mask that is shorter than the keys, with none of the rest visible. */
function padded(mask: Value, k: Value): Value {
  const [length, keys] = [mask.shape.at(-1), k.shape[2]!]
  if (length === undefined || !isKnown(length) || !isKnown(keys) || length === keys) return mask
  if (length > keys || length === 1)
    throw new GraphError(`a mask for ${length} of ${keys} keys: versions of the operator differ in what that means`)
  const zeros = mask.shape.map(() => 0)
  const pads = int64([...zeros, ...zeros.slice(1), keys - length])
  return apply1(
    Pad,
    mask.dtype === 'bool' ? [mask, pads] : [mask, pads, constant(mask.dtype, Number.NEGATIVE_INFINITY)],
  )
}

/** What is added to the scores: the mask where a key is visible, else −∞. */
function biasOf(mask: Value | undefined, seen: Value | undefined, like: Value): Value | undefined {
  const allowed = mask?.dtype === 'bool' ? (seen ? and(mask, seen) : mask) : seen
  const added = mask && mask.dtype !== 'bool' ? castTo(mask, like.dtype) : undefined
  if (!allowed) return added
  return where(allowed, added ?? constant(like.dtype, 0), constant(like.dtype, Number.NEGATIVE_INFINITY))
}

/** x in the shape that it is known to have. */
const shapedAs = (x: Value, like: Value): Value => (sameShape(x.shape, like.shape) ? x : reshapeAs(x, like))

/** The queries of the heads that share a head of keys, one behind the other: [batch, key heads, group · queries, …]. */
export function sharing(q: Value, k: Value) {
  const [heads, shared] = [q.shape[1]!, k.shape[1]!]
  if (heads === shared) return { fold: (x: Value) => x, unfold: (x: Value) => x }
  if (!isKnown(heads) || !isKnown(shared) || heads % shared !== 0)
    throw new GraphError(`${heads} heads of queries do not share ${shared} heads of keys evenly`)
  return {
    fold: (x: Value) => reshapeTo(x, [x.shape[0]!, shared, sizeOf([heads / shared, x.shape[2]!]), x.shape[3]!], q, k),
    unfold: (x: Value) => reshapeTo(x, [x.shape[0]!, heads, q.shape[2]!, x.shape[3]!], q, k),
  }
}

/** The soft cap, cap · tanh(x/cap), where there is one. */
const capped = (x: Value, cap: number): Value => (cap === 0 ? x : mul(tanh(div(x, cap)), cap))

/**
 * softmax(scale · Q·Kᵀ + mask) · V by heads. Q, K and V are [batch, heads, places, size], or [batch, places, heads · size] with
 * the numbers of heads as attributes; heads of queries may share heads of keys. Keys and values are those of the cache (`past_key`,
 * `past_value`) and then the new ones; or the cache holds all of them, and `nonpad_kv_seqlen` says how many are filled. A query
 * that sees no key has an output of 0. Outputs: Y, the keys and values with the cache, and the scores, at the step that
 * `qk_matmul_output_mode` says.
 */
export const Attention = composite({
  name: 'Attention',
  domain: ONNX_DOMAIN,
  since: 25,
  attributes,
  arity: [3, 7],
  requiredOutputs: 1,
  check([q, k, v, , pastKey, pastValue, filled], { qk_matmul_output_mode: mode }) {
    requireFloat(q!)
    const ranks = [q, k, v].map((value) => value!.shape.length)
    if (ranks.some((rank) => rank !== ranks[0] || (rank !== 3 && rank !== 4)))
      throw new GraphError('needs Q, K and V of three axes, or of four')
    if (!pastKey !== !pastValue) throw new GraphError('past_key and past_value belong together')
    if (filled && pastKey) throw new GraphError('nonpad_kv_seqlen is for keys without past_key')
    if (![0, 1, 2, 3].includes(mode)) throw new GraphError(`qk_matmul_output_mode=${mode} must be 0, 1, 2 or 3`)
  },
  body([query, key, value, mask, pastKey, pastValue, filled], options) {
    const { q_num_heads, kv_num_heads, scale, softcap, softmax_precision, qk_matmul_output_mode: mode } = options
    const q = byHeads(query!, q_num_heads)
    const [newKeys, newValues] = [key!, value!].map((x) => byHeads(x, kv_num_heads))
    const k = pastKey ? concat([pastKey, newKeys!], 2) : newKeys!
    const v = pastValue ? concat([pastValue, newValues!], 2) : newValues!
    const { fold, unfold } = sharing(q, k)

    const size = lengthOf(q, 3)
    const scaled =
      scale !== undefined || typeof size === 'number'
        ? mul(q, scale ?? 1 / Math.sqrt(size as number))
        : div(q, sqrt(cast(size, q.dtype)))
    const scores = unfold(matmul(fold(scaled), transpose(k, [0, 1, 3, 2])))
    const soft = capped(scores, softcap)
    const bias = biasOf(mask && padded(mask, k), visible(q, k, pastKey, filled, options), scores)
    const biased = bias ? shapedAs(add(soft, bias), scores) : soft

    const precision = softmax_precision === undefined ? q.dtype : dtypeOf(softmax_precision)
    if (!precision || !isFloat(precision)) throw new GraphError('softmax_precision must be a floating-point type')
    const probabilities = (x: Value) => castTo(softmax(castTo(x, precision)), q.dtype)
    const { left_window_size: left, right_window_size: right } = options
    let attention: Value
    if (bias && (mask || filled || left >= 0 || right >= 0)) {
      const blind = equal(reduceMax(bias, [-1]), Number.NEGATIVE_INFINITY)
      attention = shapedAs(where(blind, 0, probabilities(where(blind, 0, biased))), scores)
    } else attention = probabilities(biased)

    const y = unfold(castTo(matmul(fold(castTo(attention, v.dtype)), v), q.dtype))
    const output = query!.shape.length === 3 ? reshape(transpose(y, [0, 2, 1, 3]), [0, 0, -1]) : y
    return [output, k, v, [scores, soft, biased, attention][mode]!]
  },
  samples: [
    { inputs: [normal(2, 2, 3, 4), normal(2, 2, 5, 4), normal(2, 2, 5, 3)] },
    {
      inputs: [normal(1, 3, 8), normal(1, 3, 4), normal(1, 3, 6), normal(3, 3)],
      attributes: { q_num_heads: 4, kv_num_heads: 2, softcap: 1.5, qk_matmul_output_mode: 1 },
    },
    {
      inputs: [
        normal(1, 2, 2, 3),
        normal(1, 2, 2, 3),
        normal(1, 2, 2, 3),
        undefined,
        normal(1, 2, 3, 3),
        normal(1, 2, 3, 3),
      ],
      attributes: { is_causal: 1, scale: 0.7, qk_matmul_output_mode: 3 },
    },
    {
      inputs: [
        normal(1, 2, 3, 4),
        normal(1, 2, 3, 4),
        normal(1, 2, 3, 4),
        fixed('bool', [3, 3], [1, 0, 1, 0, 0, 0, 0, 1, 1]),
      ],
      attributes: { left_window_size: 1 },
    },
    {
      inputs: [
        normal(2, 2, 2, 3),
        normal(2, 1, 4, 3),
        normal(2, 1, 4, 3),
        normal(2, 3),
        undefined,
        undefined,
        held('int64', [2], [3, 2]),
      ],
      attributes: { is_causal: 1, right_window_size: 0 },
    },
  ],
})

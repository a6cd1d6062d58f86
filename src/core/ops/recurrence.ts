// States that go along a sequence: LinearAttention and CausalConvWithState.

import { composite } from '../graph/composite.js'
import { float, int, ONNX_DOMAIN, required, string } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { isKnown, type Shape } from '../graph/shape.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { conv } from './conv.js'
import { add, exp, mul, sigmoid, sub } from './elementwise.js'
import { castTo, requireFloat } from './layerNorm.js'
import { matmul } from './matmul.js'
import { Expand, reshape, reshapeTo, shapeVector, squeeze, unsqueeze } from './shape.js'
import { concat, slice, WHOLE } from './slice.js'

const zerosOf = (shape: Shape, like: Value): Value =>
  apply1(Expand, [constant(like.dtype, 0), shapeVector(shape, [like])])

const rules = ['linear', 'gated', 'delta', 'gated_delta']
const isGated = (rule: string) => rule.startsWith('gated')
const isDelta = (rule: string) => rule.endsWith('delta')

const attentionAttributes = {
  chunk_size: int(64),
  kv_num_heads: required('int'),
  q_num_heads: required('int'),
  scale: float(0),
  update_rule: string('gated_delta'),
}

/**
 * A state S [size of keys, size of values] for each head goes along the sequence: S ← e^g · S (gated), then S ← S + k ⊗ v, or
 * S + k ⊗ β(v − Sᵀk) (delta), and each place has the output scale · Sᵀq (Katharopoulos et al. 2020; Yang et al. 2024). Queries,
 * keys and values are [batch, places, heads · size]; several heads of queries may share a state. The last state comes out too.
 */
export const LinearAttention = composite({
  name: 'LinearAttention',
  domain: ONNX_DOMAIN,
  since: 27,
  attributes: attentionAttributes,
  arity: [3, 6],
  check([q, k, v, , decay, beta], { q_num_heads: heads, kv_num_heads: shared, update_rule: rule }) {
    requireFloat(q!)
    if (!rules.includes(rule)) throw new GraphError(`update_rule '${rule}' must be one of ${rules.join(', ')}`)
    if (!(heads > 0 && shared > 0 && heads % shared === 0))
      throw new GraphError(`${heads} heads of queries do not share ${shared} heads of keys evenly`)
    if (!decay === isGated(rule)) throw new GraphError(`update_rule '${rule}' ${decay ? 'has no' : 'needs a'} decay`)
    if (!beta === isDelta(rule)) throw new GraphError(`update_rule '${rule}' ${beta ? 'has no' : 'needs a'} beta`)
    for (const value of [q, k, v, decay, beta])
      if (value && value.shape.length !== 3) throw new GraphError('needs inputs [batch, places, heads · size]')
  },
  body([query, key, value, past, decay, beta], { kv_num_heads: heads, q_num_heads, scale, update_rule: rule }) {
    const length = query!.shape[1]!
    if (!isKnown(length)) throw new GraphError(`needs a known number of places, got '${length}'`)
    // [batch, places, heads, size], of which each step takes [batch, heads, 1, size] or [batch, heads, size, 1].
    const parts = (x: Value, count: number) => reshape(x, [0, 0, count, -1])
    const [q, k, v] = [parts(query!, q_num_heads), parts(key!, heads), parts(value!, heads)]
    const g = decay && exp(parts(decay, heads))
    const b = beta && unsqueeze(beta, -1)
    const at = (x: Value, i: number) => squeeze(slice(x, [1], [i], [i + 1]), 1)
    const row = (x: Value, i: number) => unsqueeze(at(x, i), -2)
    const column = (x: Value, i: number) => unsqueeze(at(x, i), -1)

    const [batch, , , keySize] = k.shape
    const state = [batch!, heads, keySize!, v.shape[3]!]
    let s = past ? castTo(past, query!.dtype) : zerosOf(state, k)
    const outputs: Value[] = []
    for (let i = 0; i < length; i++) {
      if (g) s = mul(s, column(g, i))
      const recalled = isDelta(rule) ? matmul(row(k, i), s) : undefined
      const written = recalled ? mul(sub(row(v, i), recalled), column(b!, i)) : row(v, i)
      s = add(s, matmul(column(k, i), written))
      // Queries that share a state are the rows of one product.
      const asked = reshapeTo(at(q, i), [batch!, heads, q_num_heads / heads, q.shape[3]!], q)
      outputs.push(reshape(matmul(asked, s), [0, 1, -1]))
    }
    const size = q.shape[3]!
    if (!scale && !isKnown(size)) throw new GraphError(`needs heads of a known size, got '${size}'`)
    const factor = scale || 1 / Math.sqrt(size as number)
    return [mul(concat(outputs, 1), factor), past ? castTo(s, past.dtype) : s]
  },
  samples: [
    {
      inputs: [normal(2, 3, 4), normal(2, 3, 4), normal(2, 3, 6)],
      attributes: { q_num_heads: 2, kv_num_heads: 2, update_rule: 'linear' },
    },
    {
      inputs: [normal(1, 2, 8), normal(1, 2, 4), normal(1, 2, 2), normal(1, 2, 2, 1), normal(1, 2, 4), normal(1, 2, 2)],
      attributes: { q_num_heads: 4, kv_num_heads: 2, scale: 0.5 },
    },
    {
      inputs: [normal(1, 2, 2), normal(1, 2, 2), normal(1, 2, 2), undefined, normal(1, 2, 1)],
      attributes: { q_num_heads: 1, kv_num_heads: 1, update_rule: 'gated' },
    },
    {
      inputs: [normal(2, 2, 4), normal(2, 2, 4), normal(2, 2, 4), undefined, undefined, normal(2, 2, 1)],
      attributes: { q_num_heads: 2, kv_num_heads: 2, update_rule: 'delta' },
    },
  ],
})

const activations = ['none', 'silu', 'swish']

/**
 * A depthwise convolution along the last axis of x [batch, channels, length] that sees only what has come: before x stand the last
 * k − 1 numbers of what came earlier (`past_state`, else zeros). The second output is that state for what comes next.
 */
export const CausalConvWithState = composite({
  name: 'CausalConvWithState',
  domain: ONNX_DOMAIN,
  since: 27,
  attributes: { activation: string('none') },
  arity: [2, 4],
  check([x, w], { activation }) {
    requireFloat(x!)
    if (x!.shape.length !== 3 || w!.shape.length !== 3 || !isKnown(x!.shape[1]!) || !isKnown(w!.shape[2]!))
      throw new GraphError('needs an input [N, C, L] and a weight [C, 1, k] of known C and k')
    if (!activations.includes(activation))
      throw new GraphError(`activation '${activation}' must be one of ${activations.join(', ')}`)
  },
  body([x, weight, bias, past], { activation }) {
    const [batch, channels] = x!.shape
    const kernel = weight!.shape[2] as number
    const before = past ?? zerosOf([batch!, channels!, kernel - 1], x!)
    const all = kernel === 1 ? x! : concat([before, x!], 2)
    // Two spatial axes, of which the first has length 1.
    const [rows, filters] = [all, weight!].map((value) => unsqueeze(value, 2)) as [Value, Value]
    const y = squeeze(conv(rows, filters, { group: channels as number, ...(bias ? { bias } : {}) }), 2)
    const next = kernel === 1 ? before : slice(all, [2], [1 - kernel], [WHOLE])
    return [activation === 'none' ? y : mul(y, sigmoid(y)), next]
  },
  samples: [
    { inputs: [normal(2, 3, 4), normal(3, 1, 3), normal(3)], attributes: { activation: 'silu' } },
    { inputs: [normal(1, 2, 3), normal(2, 1, 2), undefined, normal(1, 2, 1)] },
    { inputs: [normal(1, 2, 1), normal(2, 1, 4)] },
  ],
})

// Attention whose scores and probabilities go through graphs (Dong et al. 2024).

import { closure } from '../graph/closure.js'
import { composite } from '../graph/composite.js'
import { type Body, optional, PREVIEW_DOMAIN } from '../graph/operator.js'
import { rewriteOutputs } from '../graph/rewrite.js'
import { normal } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { GraphError, input, type Value } from '../graph/value.js'
import { sharing } from './attention.js'
import { dtypeOf, mul, tanh } from './elementwise.js'
import { castTo, requireFloat } from './layerNorm.js'
import { matmul } from './matmul.js'
import { transpose } from './shape.js'
import { softmax } from './softmax.js'

/** What a graph of one input makes of a value, and of the values around it. */
function through({ graph, captured }: Body, x: Value, around: readonly Value[]): Value {
  if (graph.inputs.length - captured !== 1 || graph.outputs.size !== 1)
    throw new GraphError(`the graph '${graph.name}' needs one input and one output`)
  const leaves = new Map(graph.inputs.map((value, i) => [value, i === 0 ? x : around[i - 1]!]))
  const [result] = rewriteOutputs(graph, () => undefined, { leaves }).values()
  return result!
}

const attributes = {
  prob_mod: optional('graph'),
  scale: optional('float'),
  score_mod: optional('graph'),
  softmax_precision: optional('int'),
}

/** prob_mod(softmax(score_mod(scale · Q·Kᵀ))) · V by heads, [batch, heads, places, size]; heads of queries may share heads of keys. */
export const FlexAttention = composite({
  name: 'FlexAttention',
  domain: PREVIEW_DOMAIN,
  since: 1,
  attributes,
  arity: [3, Number.POSITIVE_INFINITY],
  check([q, k, v]) {
    requireFloat(q!)
    if ([q, k, v].some((value) => value!.shape.length !== 4)) throw new GraphError('needs Q, K and V of four axes')
  },
  body([q, k, v, ...around], { scale, score_mod, prob_mod, softmax_precision }) {
    if (score_mod?.captured && prob_mod?.captured)
      throw new GraphError('only one of score_mod and prob_mod may use values from around it')
    const size = q!.shape[3]!
    if (scale === undefined && !isKnown(size)) throw new GraphError(`needs heads of a known size, got '${size}'`)
    const usual = q!.dtype === 'float64' ? 'float64' : 'float32'
    const precision = softmax_precision === undefined ? usual : dtypeOf(softmax_precision)
    if (!precision || !isFloat(precision)) throw new GraphError('softmax_precision must be a floating-point type')
    const { fold, unfold } = sharing(q!, k!)
    const scaled = mul(fold(q!), scale ?? 1 / Math.sqrt(size as number))
    const scores = castTo(unfold(matmul(scaled, transpose(k!, [0, 1, 3, 2]))), precision)
    const changed = (x: Value, body: Body | undefined) => (body ? through(body, x, around) : x)
    const probabilities = changed(softmax(changed(scores, score_mod)), prob_mod)
    return [unfold(matmul(fold(castTo(probabilities, v!.dtype)), v!))]
  },
  samples: [
    { inputs: [normal(2, 2, 3, 4), normal(2, 2, 5, 4), normal(2, 2, 5, 3)] },
    {
      inputs: [normal(1, 4, 2, 3), normal(1, 2, 3, 3), normal(1, 2, 3, 2)],
      attributes: { scale: 0.5, score_mod: capped() },
    },
  ],
})

/** 2 · tanh(x/2) */
function capped(): Body {
  const x = input('scores', 'float32', [1, 4, 2, 3])
  return closure('cap', [x], new Map([['capped', mul(tanh(mul(x, 0.5)), 2)]])).body
}

// ONNX's losses over classes: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.

import { composite } from '../graph/composite.js'
import { ONNX_DOMAIN, optional, string } from '../graph/operator.js'
import { fixed, normal, positive } from '../graph/sample.js'
import { unifyDims, unifyShapes } from '../graph/shape.js'
import { apply, apply1, GraphError, type Value } from '../graph/value.js'
import { cast, div, equal, mul, neg, sub, where } from './elementwise.js'
import { gather, gatherElements } from './indexing.js'
import { requireFloat } from './layerNorm.js'
import { reduceMean, reduceSum } from './reduction.js'
import { squeeze, unsqueeze } from './shape.js'
import { logSoftmax } from './softmax.js'

const attributes = { ignore_index: optional('int'), reduction: string('mean') }
interface Options {
  readonly ignore_index?: number | undefined
  readonly reduction?: string | undefined
}

const reductions: readonly string[] = ['none', 'mean', 'sum']

function checkClasses([scores, labels, weights]: readonly Value[], { reduction }: Options): void {
  requireFloat(scores!)
  if (!reductions.includes(reduction!))
    throw new GraphError(`reduction '${reduction}' must be one of ${reductions.join(', ')}`)
  if (labels!.dtype !== 'int64' && labels!.dtype !== 'int32')
    throw new GraphError(`needs int32 or int64 labels, got ${labels!.dtype}`)
  const [batch, classes, ...places] = scores!.shape
  if (classes === undefined) throw new GraphError('needs scores [N, C, D1, …]')
  if (!unifyShapes([batch!, ...places], labels!.shape))
    throw new GraphError('needs labels [N, D1, …] for scores [N, C, D1, …]')
  if (weights && (weights.shape.length !== 1 || unifyDims(weights.shape[0]!, classes) === undefined))
    throw new GraphError(`needs one weight for each of ${classes} classes`)
}

/**
 * −weights[label] · logs[label] at each place, 0 where the label is `ignore_index`; by default Σ of it over Σ weights[label] of
 * what is not ignored, as PyTorch has it.
 */
export const NegativeLogLikelihoodLoss = composite({
  name: 'NegativeLogLikelihoodLoss',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes,
  arity: [2, 3],
  check: checkClasses,
  body([logs, labels, weights], { ignore_index, reduction }) {
    const ignored = ignore_index === undefined ? undefined : equal(labels!, ignore_index)
    // An ignored label may be no class at all.
    const classes = ignored ? where(ignored, 0, labels!) : labels!
    const kept = (value: Value) => (ignored ? where(ignored, 0, value) : value)
    const picked = squeeze(gatherElements(logs!, unsqueeze(classes, 1), 1), 1)
    const each = weights && gather(weights, classes)
    const losses = kept(neg(each ? mul(each, picked) : picked))
    if (reduction === 'none') return [losses]
    const total = (value: Value) => reduceSum(value, undefined, { keepdims: 0 })
    if (reduction === 'sum') return [total(losses)]
    if (!ignored && !each) return [reduceMean(losses, undefined, { keepdims: 0 })]
    const share = each ? kept(each) : sub(1, cast(ignored!, logs!.dtype))
    return [div(total(losses), total(share))]
  },
  samples: [
    { inputs: [normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] },
    { inputs: [normal(2, 3, 2), fixed('int64', [2, 2], [0, 2, 1, 1]), positive(3)] },
    {
      inputs: [normal(2, 3, 2), fixed('int64', [2, 2], [0, -1, 1, 1]), positive(3)],
      attributes: { ignore_index: -1 },
    },
    { inputs: [normal(4, 3), fixed('int32', [4], [0, 2, 5, 2])], attributes: { ignore_index: 5 } },
    {
      inputs: [normal(2, 3, 1, 2), fixed('int64', [2, 1, 2], [0, 2, 1, 1]), positive(3)],
      attributes: { reduction: 'none', ignore_index: 1 },
    },
    { inputs: [normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])], attributes: { reduction: 'sum' } },
  ],
})
/**
 * −x[label] of log-probabilities [N, C, …] and whole labels [N, …], by ONNX's reduction: `mean` unless given. `weights` are
 * [C].
 */
export const negativeLogLikelihoodLoss = (
  logs: Value,
  labels: Value,
  { weights, ...options }: Options & { readonly weights?: Value | undefined } = {},
): Value => apply1(NegativeLogLikelihoodLoss, weights ? [logs, labels, weights] : [logs, labels], options)

/** NegativeLogLikelihoodLoss of log softmax over the classes, which comes out as well. */
export const SoftmaxCrossEntropyLoss = composite({
  name: 'SoftmaxCrossEntropyLoss',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes,
  arity: [2, 3],
  requiredOutputs: 1,
  check: checkClasses,
  body([scores, labels, weights], options) {
    const logs = logSoftmax(scores!, 1)
    return [negativeLogLikelihoodLoss(logs, labels!, { weights, ...options }), logs]
  },
  samples: [
    { inputs: [normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] },
    {
      inputs: [normal(2, 3, 2), fixed('int64', [2, 2], [0, -1, 1, 1]), positive(3)],
      attributes: { ignore_index: -1 },
    },
    {
      inputs: [normal(2, 3, 1, 2), fixed('int32', [2, 1, 2], [0, 2, 1, 1])],
      attributes: { reduction: 'none', ignore_index: 1 },
    },
  ],
})
/**
 * The negative log-likelihood of the softmax of scores [N, C, …], and the log-probabilities. Labels are whole, [N, …];
 * `mean` unless another reduction is given.
 */
export const softmaxCrossEntropyLoss = (
  scores: Value,
  labels: Value,
  { weights, ...options }: Options & { readonly weights?: Value | undefined } = {},
): readonly [loss: Value, logs: Value] => {
  const [loss, logs] = apply(SoftmaxCrossEntropyLoss, weights ? [scores, labels, weights] : [scores, labels], options)
  return [loss!, logs!]
}

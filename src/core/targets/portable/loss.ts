// Softmax cross-entropy and its gradient in standard operators.

import { isKnown } from '../../graph/shape.js'
import { constant, GraphError, scope } from '../../graph/value.js'
import {
  cast,
  div,
  exp,
  gatherElements,
  logSoftmax,
  mul,
  neg,
  oneHot,
  reduceMean,
  size,
  sub,
  unsqueeze,
} from '../../ops/index.js'
import type { Expansions } from '../target.js'

export const softmaxCrossEntropy: Expansions['SoftmaxCrossEntropy'] = ([logits, labels]) => {
  const logs = scope('logs', () => logSoftmax(logits!))
  const picked = scope('picked', () => gatherElements(logs, unsqueeze(labels!, 1), 1))
  const loss = scope('mean', () => reduceMean(neg(picked), [0, 1], { keepdims: 0 }))
  return [loss, scope('exp', () => exp(logs))]
}

export const softmaxCrossEntropyGrad: Expansions['SoftmaxCrossEntropyGrad'] = ([dloss, probabilities, labels]) => {
  const classes = probabilities!.shape[1]!
  if (!isKnown(classes))
    throw new GraphError(`needs a known number of classes, got '${classes}'; give the logits a fixed last dimension`)
  const targets = scope('targets', () => oneHot(labels!, constant('int64', classes), probabilities!.dtype))
  const difference = scope('difference', () => sub(probabilities!, targets))
  const share = scope('share', () => div(dloss!, cast(size(labels!), dloss!.dtype)))
  return [mul(difference, share)]
}

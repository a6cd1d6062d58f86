// Softmax cross-entropy and its gradient in standard operators.

import { isKnown } from '../../graph/shape.js'
import { constant, GraphError } from '../../graph/value.js'
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
  const logs = logSoftmax(logits!)
  const picked = gatherElements(logs, unsqueeze(labels!, 1), 1)
  return [reduceMean(neg(picked), [0, 1], { keepdims: 0 }), exp(logs)]
}

export const softmaxCrossEntropyGrad: Expansions['SoftmaxCrossEntropyGrad'] = ([dloss, probabilities, labels]) => {
  const classes = probabilities!.shape[1]!
  if (!isKnown(classes))
    throw new GraphError(`needs a known number of classes, got '${classes}'; give the logits a fixed last dimension`)
  const targets = oneHot(labels!, constant('int64', classes), probabilities!.dtype)
  return [mul(sub(probabilities!, targets), div(dloss!, cast(size(labels!), dloss!.dtype)))]
}

// Softmax cross-entropy and its gradient: primitives, because runtimes have kernels of their own for them.

import { composite } from '../graph/composite.js'
import { TRAINING_DOMAIN } from '../graph/operator.js'
import { fixed, normal, scalar } from '../graph/sample.js'
import { isKnown, unifyDims } from '../graph/shape.js'
import { apply, apply1, constant, GraphError, scope, type Value } from '../graph/value.js'
import { cast, div, exp, mul, neg, sub } from './elementwise.js'
import { gatherElements, oneHot } from './indexing.js'
import { reduceMean } from './reduction.js'
import { size, unsqueeze } from './shape.js'
import { logSoftmax } from './softmax.js'

function checkLabels(logits: Value, labels: Value): void {
  if (logits.shape.length !== 2) throw new GraphError('needs logits [batch, classes]')
  if (labels.dtype !== 'int64' || labels.shape.length !== 1 || !unifyDims(labels.shape[0]!, logits.shape[0]!)) {
    throw new GraphError(`needs int64 labels [${logits.shape[0]}], one an image`)
  }
}

/** Cross-entropy of softmax(logits) against class labels. */
export const SoftmaxCrossEntropy = composite({
  name: 'SoftmaxCrossEntropy',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['logits', 'labels'],
    outputs: ['loss', 'probabilities'],
    text: 'Cross-entropy: loss is the mean over the batch of −log probabilities[labels], where probabilities = softmax(logits).',
  },
  attributes: {},
  arity: [2, 2],
  differentiable: { inputs: [0], outputs: [0] },
  check: ([logits, labels]) => checkLabels(logits!, labels!),
  body([logits, labels]) {
    const logs = scope('logs', () => logSoftmax(logits!))
    const picked = scope('picked', () => gatherElements(logs, unsqueeze(labels!, 1), 1))
    const loss = scope('mean', () => reduceMean(neg(picked), [0, 1], { keepdims: 0 }))
    return [loss, scope('exp', () => exp(logs))]
  },
  gradient: {
    rule: ({ grad, inputs: [, labels], outputs: [, probabilities] }) => [
      apply1(SoftmaxCrossEntropyGrad, [grad, probabilities!, labels!]),
    ],
  },
  samples: [{ inputs: [normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] }],
})
/** The mean over the batch of −ln softmax(logits)[label], a scalar, and the probabilities: logits [N, C], labels int64 [N]. */
export const softmaxCrossEntropy = (logits: Value, labels: Value): readonly [loss: Value, probabilities: Value] => {
  const [loss, probabilities] = apply(SoftmaxCrossEntropy, [logits, labels])
  return [loss!, probabilities!]
}

/** Its gradient by the logits. */
export const SoftmaxCrossEntropyGrad = composite({
  name: 'SoftmaxCrossEntropyGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dloss', 'probabilities', 'labels'],
    outputs: ['dlogits'],
    text: 'The gradient of SoftmaxCrossEntropy: dlogits = (probabilities − onehot(labels)) · dloss / batch.',
  },
  attributes: {},
  arity: [3, 3],
  check([dloss, probabilities, labels]) {
    checkLabels(probabilities!, labels!)
    if (dloss!.shape.length !== 0 || dloss!.dtype !== probabilities!.dtype)
      throw new GraphError('needs a scalar loss gradient of the dtype of the probabilities')
  },
  // The probabilities follow from the logits, which this does not know of.
  gradient: {
    forbidden: 'build the loss from logSoftmax, gatherElements and reduceMean if you need second derivatives',
  },
  body([dloss, probabilities, labels]) {
    const classes = probabilities!.shape[1]!
    if (!isKnown(classes))
      throw new GraphError(`needs a known number of classes, got '${classes}'; give the logits a fixed last dimension`)
    const targets = scope('targets', () => oneHot(labels!, constant('int64', classes), probabilities!.dtype))
    const difference = scope('difference', () => sub(probabilities!, targets))
    const share = scope('share', () => div(dloss!, cast(size(labels!), dloss!.dtype)))
    return [mul(difference, share)]
  },
  samples: [{ inputs: [scalar(1.5), normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] }],
})

// The training primitives that stand around a network: loss, optimizer and gates.

import { float, int, primitive, TRAINING_DOMAIN } from '../graph/operator.js'
import { fixed, normal, scalar } from '../graph/sample.js'
import { isFloat, type Numbers, numbers } from '../graph/tensor.js'
import { apply, apply1, GraphError, type Value } from '../graph/value.js'
import { mul } from './elementwise.js'
import { LogSoftmax, reduceSum } from './reduction.js'

function checkLabels(logits: Value, labels: Value): void {
  if (logits.shape.length !== 2) throw new GraphError('needs logits [batch, classes]')
  if (labels.dtype !== 'int64' || labels.shape.length !== 1 || labels.shape[0] !== logits.shape[0]) {
    throw new GraphError(`needs int64 labels [${logits.shape[0]}], one an image`)
  }
}

const logSoftmaxOf = (logits: Numbers): Numbers => LogSoftmax.evaluate([logits], { axis: -1 })[0]!

/** Cross-entropy of softmax(logits) against class labels. */
export const SoftmaxCrossEntropy = primitive({
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
  infer([logits, labels]) {
    checkLabels(logits!, labels!)
    return [{ dtype: logits!.dtype, shape: [] }, logits!]
  },
  gradient: {
    rule({ grad, grads, inputs: [, labels], outputs: [, probabilities] }) {
      if (grads[1]) {
        throw new GraphError('only the loss has a gradient; take softmax of the logits instead')
      }
      return [apply1(SoftmaxCrossEntropyGrad, [grad, probabilities!, labels!]), undefined]
    },
  },
  evaluate([logits, labels]) {
    const [n, classes] = logits!.shape as readonly [number, number]
    const logs = logSoftmaxOf(logits!)
    const loss = labels!.data.reduce((sum, label, i) => sum - logs.data[i * classes + label]!, 0) / n
    return [numbers(logits!.dtype, [], [loss]), numbers(logits!.dtype, logits!.shape, logs.data.map(Math.exp))]
  },
  samples: [{ inputs: [normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] }],
})
export const softmaxCrossEntropy = (logits: Value, labels: Value): readonly [loss: Value, probabilities: Value] => {
  const [loss, probabilities] = apply(SoftmaxCrossEntropy, [logits, labels])
  return [loss!, probabilities!]
}

/** Its gradient by the logits. */
export const SoftmaxCrossEntropyGrad = primitive({
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
  infer([dloss, probabilities, labels]) {
    checkLabels(probabilities!, labels!)
    if (dloss!.shape.length !== 0 || dloss!.dtype !== probabilities!.dtype)
      throw new GraphError('needs a scalar loss gradient of the dtype of the probabilities')
    return [probabilities!]
  },
  gradient: {
    forbidden: 'build the loss from logSoftmax, gatherElements and reduceMean if you need second derivatives',
  },
  evaluate([dloss, probabilities, labels]) {
    const [n, classes] = probabilities!.shape as readonly [number, number]
    const d = probabilities!.data.map((p, at) => {
      const target = labels!.data[Math.floor(at / classes)] === at % classes ? 1 : 0
      return ((p - target) * dloss!.data[0]!) / n
    })
    return [numbers(probabilities!.dtype, probabilities!.shape, d)]
  },
  samples: [{ inputs: [scalar(1.5), normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] }],
})

/** Stochastic gradient descent with momentum, and weight decay added to the gradient. */
export const SgdMomentum = primitive({
  name: 'SgdMomentum',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['w', 'gradient', 'v', 'rate'],
    outputs: ['next_w', 'next_v'],
    text:
      "Stochastic gradient descent with momentum, in PyTorch's form: g = gradient + weight_decay · w, next_v = momentum · v + g, " +
      'next_w = w − rate · next_v, or with nesterov = 1 next_w = w − rate · (g + momentum · next_v).',
  },
  attributes: { momentum: float(0.9), weight_decay: float(0), nesterov: int(0) },
  arity: [4, 4],
  infer([w, gradient, v, rate]) {
    if (gradient!.shape.join() !== w!.shape.join() || v!.shape.join() !== w!.shape.join()) {
      throw new GraphError('the gradient and the velocity need the shape of the weights')
    }
    if (rate!.shape.length !== 0) throw new GraphError('needs a scalar learning rate')
    if (!isFloat(w!.dtype) || [gradient, v, rate].some((value) => value!.dtype !== w!.dtype))
      throw new GraphError('needs floating-point weights, gradient, velocity and rate of one dtype')
    return [w!, v!]
  },
  gradient: { forbidden: 'an optimizer step is not differentiated; take gradients of the loss' },
  evaluate([w, gradient, v, rate], { momentum, weight_decay, nesterov }) {
    const decayed = gradient!.data.map((g, i) => g + weight_decay * w!.data[i]!)
    const velocity = decayed.map((g, i) => momentum * v!.data[i]! + g)
    const direction = nesterov ? decayed.map((g, i) => g + momentum * velocity[i]!) : velocity
    return [
      numbers(
        w!.dtype,
        w!.shape,
        w!.data.map((value, i) => value - rate!.data[0]! * direction[i]!),
      ),
      numbers(v!.dtype, v!.shape, velocity),
    ]
  },
  samples: [
    { inputs: [normal(2, 3), normal(2, 3), normal(2, 3), scalar(0.1)], attributes: { weight_decay: 0.01 } },
    { inputs: [normal(4), normal(4), normal(4), scalar(0.1)], attributes: { nesterov: 1, momentum: 0.8 } },
  ],
})

/**
 * A residual function's switch. With one input (stochastic depth, inference) x is scaled by its survival probability; with
 * two it is multiplied by the gate, a scalar: 1 keeps the function, 0 drops it. In training the driver draws it for each
 * mini-batch; in an inference graph it belongs to one function, and training leaves it out.
 */
export const Gate = primitive({
  name: 'Gate',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x', 'gate'],
    outputs: ['y'],
    text:
      'Stochastic depth (Huang et al. 2016): in training y = x · gate, where 1 keeps a residual function and 0 drops it; without ' +
      'a gate y = x · survival, the mean of that.',
  },
  attributes: { survival: float(1) },
  arity: [1, 2],
  infer([x, gate], { survival }) {
    if (!(survival > 0 && survival <= 1)) throw new GraphError(`survival ${survival} must be in (0, 1]`)
    if (gate && (gate.shape.length !== 0 || gate.dtype !== x!.dtype))
      throw new GraphError('needs a scalar gate of the dtype of x')
    return [x!]
  },
  gradient: {
    rule({ grad, inputs: [x, open], attributes }) {
      const dx = gate(grad, attributes.survival, open)
      const axes = x!.shape.map((_, axis) => axis)
      return [dx, open && reduceSum(mul(grad, x!), axes, { keepdims: 0 })]
    },
  },
  evaluate: ([x, gate], { survival }) => [
    numbers(
      x!.dtype,
      x!.shape,
      x!.data.map((value) => value * (gate ? gate.data[0]! : survival)),
    ),
  ],
  samples: [
    { inputs: [normal(2, 3)], attributes: { survival: 0.7 } },
    { inputs: [normal(2, 3), normal()], attributes: { survival: 0.7 } },
  ],
})
export function gate(x: Value, survival: number, open?: Value): Value {
  return apply1(Gate, open ? [x, open] : [x], { survival })
}

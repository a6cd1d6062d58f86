// The two ends of a backward pass, marked: where it begins and where it gives the gradient of a weight. They change nothing; a
// pass over a training step finds there what it has to scale, sum up or hold back.

import { composite } from '../graph/composite.js'
import { TRAINING_DOMAIN } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'

/** d loss/d loss = 1: what a backward pass begins with. Scaled here, all gradients are scaled (half precision). */
export const Seed = composite({
  name: 'Seed',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['loss'],
    outputs: ['dloss'],
    text: 'Where the backward pass begins: the gradient of the loss by itself, 1.',
  },
  attributes: {},
  arity: [1, 1],
  check([loss]) {
    if (loss!.shape.length > 0) throw new GraphError('needs a scalar loss')
  },
  body: ([loss]) => [constant(loss!.dtype, 1)],
  gradient: 'zero',
  samples: [{ inputs: [normal()] }],
})
export const seed = (loss: Value): Value => apply1(Seed, [loss])

/**
 * The gradient of a weight, on its way to the optimizer. Not `Gradient`: ONNX has an operator of that name in its preview of
 * training, and its evaluator looks names up without their domain.
 */
export const WeightGradient = composite({
  name: 'WeightGradient',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['gradient'],
    outputs: ['same'],
    text: 'Where the backward pass ends: the gradient of the loss by a weight, as it is.',
  },
  attributes: {},
  arity: [1, 1],
  elementwise: true,
  body: ([gradient]) => [gradient!],
  samples: [{ inputs: [normal(2, 3)] }],
})
export const gradientOf = (gradient: Value): Value => apply1(WeightGradient, [gradient])

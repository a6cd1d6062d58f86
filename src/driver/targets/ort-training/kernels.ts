// Kernels that the CPU provider of ONNX Runtime's training builds has beside the standard ones (domain com.microsoft), as they
// are in 1.19.2, the last of these builds. Schemas: orttraining/core/graph/training_op_defs.cc; kernels:
// orttraining/training_ops/cpu and core/providers/cpu/nn/batch_norm.h. All take float32.

import { operator, required } from '../../../core/graph/operator.js'
import { fixed, normal, positive, scalar } from '../../../core/graph/sample.js'
import { numbers } from '../../../core/graph/tensor.js'
import { apply, GraphError, type Value } from '../../../core/graph/value.js'
import {
  BatchNormalization,
  BatchNormGrad,
  type BatchNormInputs,
  BatchNormTraining,
  Conv,
  type ConvAttributes,
  ConvInputGrad,
  ConvWeightGrad,
  LogSoftmax,
  outputPadding,
  SoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad,
} from '../../../core/ops/index.js'

export const KERNEL_DOMAIN = 'com.microsoft'

const domain = KERNEL_DOMAIN
const gradient = { forbidden: 'differentiate the network, and lower the result' } as const

/** Both gradients of a convolution, dx and dw, of any strides, pads, dilations and groups; inputs dy, x, w. */
export const ConvGrad = operator({
  name: 'ConvGrad',
  domain,
  since: 1,
  attributes: ConvWeightGrad.attributes,
  arity: [3, 3],
  infer([dy, x, w], attributes) {
    const [y] = Conv.infer([x!, w!], { ...attributes, auto_pad: undefined })
    if (dy!.shape.join() !== y!.shape.join()) throw new GraphError(`dy should be [${y!.shape}] for this x and w`)
    return [x!, w!]
  },
  gradient,
  evaluate([dy, x, w], attributes) {
    const output_padding = outputPadding(x!.shape, w!.shape, attributes)
    return [
      ...ConvInputGrad.evaluate([dy!, w!], { ...attributes, output_padding }),
      ...ConvWeightGrad.evaluate([x!, dy!], { ...attributes, kernel_shape: w!.shape.slice(2) }),
    ]
  },
  samples: [
    {
      inputs: [normal(2, 4, 4, 3), normal(2, 3, 8, 6), normal(4, 3, 3, 3)],
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    { inputs: [normal(2, 4, 5, 5), normal(2, 3, 5, 5), normal(4, 3, 1, 1)] },
    {
      inputs: [normal(2, 6, 6, 4), normal(2, 4, 6, 7), normal(6, 2, 3, 2)],
      attributes: { group: 2, strides: [1, 2], pads: [0, 1, 2, 0] },
    },
    {
      inputs: [normal(1, 3, 9, 8), normal(1, 3, 9, 8), normal(3, 1, 3, 3)],
      attributes: { group: 3, dilations: [2, 1], pads: [2, 1, 2, 1] },
    },
    {
      inputs: [normal(1, 2, 2, 3), normal(1, 2, 6, 6), normal(2, 2, 2, 2)],
      attributes: { strides: [3, 2], dilations: [2, 3], pads: [1, 0, 0, 2] },
    },
  ],
})
/** @returns dx, dw */
export const convGrad = (dy: Value, x: Value, w: Value, attributes: ConvAttributes): readonly Value[] =>
  apply(ConvGrad, [dy, x, w], attributes)

/**
 * Batch normalization with the batch's own statistics. Outputs: y, the moved running mean, the moved running variance (of
 * the biased one, while BatchNormTraining moves the unbiased one), batch mean, inverse deviation. The kernel crashes when an
 * output is left out. Where a running statistic is no output of the whole graph, it is written over its input, a fed
 * one too.
 */
export const BatchNormInternal = operator({
  name: 'BatchNormInternal',
  domain,
  since: 1,
  attributes: { ...BatchNormTraining.attributes, training_mode: required('int') },
  arity: [5, 5],
  infer(inputs, { training_mode, ...attributes }) {
    if (training_mode !== 1)
      throw new GraphError('needs training_mode=1; with given statistics it is BatchNormalization')
    return BatchNormTraining.infer(inputs, attributes)
  },
  gradient,
  evaluate(inputs, attributes) {
    const statistics = BatchNormTraining.evaluate(inputs, attributes).slice(3)
    return [...BatchNormalization.evaluate(inputs, attributes), ...statistics]
  },
  samples: [
    {
      inputs: [normal(4, 3, 2, 3), normal(3), normal(3), normal(3), positive(3)],
      attributes: { training_mode: 1, momentum: 0.7 },
    },
    {
      inputs: [normal(5, 2, 3, 3), normal(2), normal(2), normal(2), positive(2)],
      attributes: { training_mode: 1, epsilon: 0.1, momentum: 1 },
    },
    { inputs: [normal(6, 3), normal(3), normal(3), normal(3), positive(3)], attributes: { training_mode: 1 } },
  ],
})
/** @returns y, batch mean, inverse deviation */
export function batchNormInternal(
  x: Value,
  { scale, shift, mean, variance }: BatchNormInputs,
  epsilon: number,
): readonly [y: Value, mean: Value, inverse: Value] {
  // With momentum 1 what it writes over its inputs is what is there.
  const attributes = { training_mode: 1, epsilon, momentum: 1 }
  const [y, , , batchMean, inverse] = apply(BatchNormInternal, [x, scale, shift, mean, variance], attributes)
  return [y!, batchMean!, inverse!]
}

/** As BatchNormGrad. The kernel does not use epsilon, and refuses a node that does not name it. */
export const BatchNormalizationGrad = operator({
  name: 'BatchNormalizationGrad',
  domain,
  since: 1,
  attributes: { epsilon: required('float') },
  arity: [5, 5],
  infer: (inputs) => BatchNormGrad.infer(inputs, {}),
  gradient,
  evaluate: (inputs) => BatchNormGrad.evaluate(inputs, {}),
  samples: [
    {
      inputs: [normal(4, 3, 2, 3), normal(4, 3, 2, 3), normal(3), normal(3), positive(3)],
      attributes: { epsilon: 1e-5 },
    },
    { inputs: [normal(6, 3), normal(6, 3), normal(3), normal(3), positive(3)], attributes: { epsilon: 0.5 } },
  ],
})
/** @returns dx, dscale, dshift; inputs as those of BatchNormGrad */
export const batchNormalizationGrad = (inputs: readonly Value[]): readonly Value[] =>
  apply(BatchNormalizationGrad, inputs, { epsilon: BatchNormTraining.attributes.epsilon.default! })

/** Mean cross-entropy of softmax(logits) against labels, and the logarithms of the probabilities. */
export const SoftmaxCrossEntropyLossInternal = operator({
  name: 'SoftmaxCrossEntropyLossInternal',
  domain,
  since: 1,
  attributes: {},
  arity: [2, 2],
  infer: (inputs) => SoftmaxCrossEntropy.infer(inputs, {}),
  gradient,
  evaluate(inputs) {
    const [loss] = SoftmaxCrossEntropy.evaluate(inputs, {})
    return [loss!, ...LogSoftmax.evaluate([inputs[0]!], { axis: -1 })]
  },
  samples: [{ inputs: [normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] }],
})

/** dlogits from dloss, the logarithms of the probabilities, and labels. */
export const SoftmaxCrossEntropyLossInternalGrad = operator({
  name: 'SoftmaxCrossEntropyLossInternalGrad',
  domain,
  since: 1,
  attributes: {},
  arity: [3, 3],
  infer: (inputs) => SoftmaxCrossEntropyGrad.infer(inputs, {}),
  gradient,
  evaluate([dloss, logs, labels]) {
    const probabilities = numbers(logs!.dtype, logs!.shape, logs!.data.map(Math.exp))
    return SoftmaxCrossEntropyGrad.evaluate([dloss!, probabilities, labels!], {})
  },
  samples: [{ inputs: [scalar(1.5), normal(4, 3), fixed('int64', [4], [0, 2, 1, 2])] }],
})

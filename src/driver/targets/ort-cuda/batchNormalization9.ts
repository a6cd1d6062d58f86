// BatchNormalization as ONNX had it from version 9 to 13, in training: one node, one call of cuDNN, that gives the statistics
// of the batch beside the result. From version 14 on the CUDA provider has no training mode.

import { float, ONNX_DOMAIN, operator } from '../../../core/graph/operator.js'
import { normal, positive } from '../../../core/graph/sample.js'
import { numbers } from '../../../core/graph/tensor.js'
import { apply, constant, type Value } from '../../../core/graph/value.js'
import { BatchNormTraining } from '../../../core/ops/index.js'

/**
 * Outputs: y, the moved running statistics, then `saved_mean` and `saved_var`, which in ONNX Runtime's CPU and CUDA kernels
 * is 1/√(variance + epsilon). A kernel trains where all five are named. It writes the moved statistics over the old ones,
 * constants too: nothing else may use those, and what it makes of them is not to be used.
 */
export const BatchNormalization9 = operator({
  name: 'BatchNormalization',
  domain: ONNX_DOMAIN,
  since: 9,
  until: 13,
  attributes: { epsilon: float(1e-5), momentum: float(0.9) },
  arity: [5, 5],
  infer: (inputs, attributes) => BatchNormTraining.infer(inputs, attributes),
  gradient: { forbidden: 'differentiate batchNormTraining, and lower the result' },
  evaluate(inputs, attributes) {
    const [y, , , mean, inverse] = BatchNormTraining.evaluate(inputs, attributes)
    const unknown = numbers(mean!.dtype, mean!.shape, new Float64Array(mean!.data.length).fill(Number.NaN))
    return [y!, unknown, unknown, mean!, inverse!]
  },
  samples: [{ inputs: [normal(4, 3, 2, 3), normal(3), normal(3), normal(3), positive(3)] }],
})

/**
 * Standardizes x, [N, C, …], by the statistics of each channel.
 * @returns x̂ = (x − mean) · inverse; the mean, [C]; inverse = 1/√(variance + epsilon), [C]
 */
export function standardized(
  x: Value,
  epsilon: number,
): { readonly xHat: Value; readonly mean: Value; readonly inverse: Value } {
  const channels = x.shape[1] as number
  const filled = (value: number) => constant(x.dtype, new Float64Array(channels).fill(value))
  // Not a number: a constant that nothing else has, to be written over.
  const running = filled(Number.NaN)
  const [xHat, , , mean, inverse] = apply(BatchNormalization9, [x, filled(1), filled(0), running, running], { epsilon })
  return { xHat: xHat!, mean: mean!, inverse: inverse! }
}

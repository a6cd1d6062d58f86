// Target `ort-training`: ONNX Runtime's training builds, which ended with 1.19.2 (for the web, Python and phones). Their
// kernels stand where they are faster than standard operators; the rest, the optimizer with its momentum too, is what
// `portable` makes of it. Figures: bench/README.md.

import { apply, apply1, nodeOf, type Value } from '../../../core/graph/value.js'
import {
  countPerChannel,
  Exp,
  exp,
  max,
  movedStatistics,
  mul,
  reciprocal,
  SoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad,
  sub,
} from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import { type Expander, expandPrimitives, type Target } from '../../../core/targets/target.js'
import { fuseConvGradients } from './convGradients.js'
import {
  batchNormalizationGrad,
  batchNormInternal,
  SoftmaxCrossEntropyLossInternal,
  SoftmaxCrossEntropyLossInternalGrad,
} from './kernels.js'

const { expansions } = portable

/**
 * The target for ONNX Runtime's training builds: their kernels for the gradients of convolutions and of cross-entropy and for batch
 * norms, standard operators for the rest.
 */
export const ortTraining: Target & Expander = {
  name: 'ort-training',
  lower: (graph) => expandPrimitives(fuseConvGradients(graph), ortTraining),
  expansions: {
    ...expansions,
    /** The batch's variance is read from s = 1/√(variance + ε): 1/s² − ε. */
    BatchNormTraining(inputs, attributes) {
      const [x, scale, shift, runningMean, runningVariance] = inputs as [Value, Value, Value, Value, Value]
      if (x.dtype !== 'float32') return expansions.BatchNormTraining(inputs, attributes)
      const { epsilon, momentum } = attributes
      const running = { mean: runningMean, variance: runningVariance }
      const [y, mean, inverse] = batchNormInternal(x, { scale, shift, ...running }, epsilon)
      const variance = max(sub(reciprocal(mul(inverse, inverse)), epsilon), 0)
      const moved = [
        [runningMean, runningVariance],
        [mean, variance],
      ] as const
      return [y, ...movedStatistics(...moved, momentum, countPerChannel(x, mean)), mean, inverse]
    },
    BatchNormGrad: (inputs, attributes) =>
      inputs[0]!.dtype === 'float32' ? batchNormalizationGrad(inputs) : expansions.BatchNormGrad(inputs, attributes),
    SoftmaxCrossEntropy(inputs, attributes) {
      if (inputs[0]!.dtype !== 'float32') return SoftmaxCrossEntropy.body(inputs, attributes)
      const [loss, logs] = apply(SoftmaxCrossEntropyLossInternal, inputs)
      return [loss!, exp(logs!)]
    },
    /** The probabilities are the exponential of what the kernel of the loss gave, and are computed for nobody else. */
    SoftmaxCrossEntropyGrad(inputs, attributes) {
      const [dloss, probabilities, labels] = inputs
      const made = nodeOf(probabilities)
      const logs = made?.operator === Exp ? made.inputs[0] : undefined
      if (!logs || nodeOf(logs)?.operator !== SoftmaxCrossEntropyLossInternal)
        return SoftmaxCrossEntropyGrad.body(inputs, attributes)
      return [apply1(SoftmaxCrossEntropyLossInternalGrad, [dloss, logs, labels])]
    },
  },
}

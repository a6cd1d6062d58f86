// Target `portable`: every primitive in ONNX's own operators, with a symbolic batch size. These bodies go into the files that
// we write, as local functions; the figures behind the choices are in bench/README.md.

import { scope } from '../../graph/value.js'
import { add, hardSigmoid, mul, sub } from '../../ops/index.js'
import { type Expander, expandPrimitives, type Target } from '../target.js'
import { batchNormGrad, batchNormTraining } from './batchNorm.js'
import { convInputGrad } from './convInputGrad.js'
import { convWeightGrad } from './convWeightGrad.js'
import { softmaxCrossEntropy, softmaxCrossEntropyGrad } from './loss.js'

export const portable: Target & Expander = {
  name: 'portable',
  lower: (graph) => expandPrimitives(graph, portable),
  expansions: {
    BatchNormGrad: batchNormGrad,
    BatchNormTraining: batchNormTraining,
    ConvInputGrad: convInputGrad,
    ConvWeightGrad: convWeightGrad,
    Gate: ([x, open], { survival }) => [mul(x!, open ?? survival)],
    // A mask without Cast or Where: 1e38·y clipped to [0, 1] is 1 for every normal positive float32 (from 1.2e-38).
    ReluGrad: ([dy, y]) => [
      mul(
        dy!,
        scope('mask', () => hardSigmoid(y!, { alpha: 1e38, beta: 0 })),
      ),
    ],
    SgdMomentum: ([w, gradient, v, rate], { momentum, weight_decay, nesterov }) => {
      const decayed = weight_decay === 0 ? gradient! : scope('g', () => add(gradient!, mul(w!, weight_decay)))
      const velocity = momentum === 0 ? decayed : scope('velocity', () => add(mul(v!, momentum), decayed))
      const direction = nesterov ? scope('direction', () => add(decayed, mul(velocity, momentum))) : velocity
      return [scope('step', () => sub(w!, mul(direction, rate!))), velocity]
    },
    SoftmaxCrossEntropy: softmaxCrossEntropy,
    SoftmaxCrossEntropyGrad: softmaxCrossEntropyGrad,
  },
}

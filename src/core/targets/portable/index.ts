// Target `portable`: every primitive in ONNX's own operators, with a symbolic batch size. These bodies go into the files that
// we write, as local functions; the figures behind the choices are in bench/README.md.

import { scope } from '../../graph/value.js'
import { hardSigmoid, mul } from '../../ops/index.js'
import { type Expansions, expandPrimitives, type Target } from '../target.js'
import { batchNormGrad, batchNormTraining } from './batchNorm.js'
import { convInputGrad } from './convInputGrad.js'
import { convWeightGrad } from './convWeightGrad.js'
import { scatterND } from './scatter.js'

const expansions = {
  BatchNormGrad: batchNormGrad,
  BatchNormTraining: batchNormTraining,
  ConvInputGrad: convInputGrad,
  ConvWeightGrad: convWeightGrad,
  // A mask without Cast or Where: 1e38·y clipped to [0, 1] is 1 for every normal positive float32 (from 1.2e-38).
  ReluGrad: ([dy, y]) => [
    mul(
      dy!,
      scope('mask', () => hardSigmoid(y!, { alpha: 1e38, beta: 0 })),
    ),
  ],
  ScatterND: scatterND,
} satisfies Expansions

/** The target for any runtime: every training primitive in standard operators of ONNX. */
export const portable: Target & { readonly expansions: typeof expansions } = {
  name: 'portable',
  lower: (graph) => expandPrimitives(graph, portable),
  expansions,
}

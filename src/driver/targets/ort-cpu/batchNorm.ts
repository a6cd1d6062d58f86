// Batch normalization, blocked: means by GlobalAveragePool, those of products by a convolution, then over the batch; affine passes
// as depthwise 1×1 convolutions, whose bias, sum and activation cost nothing more.

import type { Value } from '../../../core/graph/value.js'
import { mul, reduceMean, reshape, sub } from '../../../core/ops/index.js'
import { batchNormBy, type Forms } from '../../../core/targets/batchNorm.js'
import { once } from './layout.js'
import type { Nchwc } from './nchwc.js'

/** The forms for blocked x. */
export function blockedForms(nchwc: Nchwc): Forms {
  // Several batch norms may stand on one value, as those of the residual functions of a block do.
  const mean = once((x) => reduceMean(nchwc.globalAveragePool(x), [0, 2, 3], { keepdims: 0 }))
  const meanProduct = (x: Value, y: Value) => {
    const [, , h, w] = x.shape as readonly number[]
    return mul(reduceMean(nchwc.products(x, y), [0], { keepdims: 0 }), 1 / (h! * w!))
  }
  const scaled = (x: Value, slope: Value, options: { bias?: Value; sum?: Value }) => {
    const c = x.shape[1] as number
    return nchwc.conv(x, reshape(slope, [c, 1, 1, 1]), { group: c, ...options })
  }
  return {
    mean,
    meanSquare: once((x) => meanProduct(x, x)),
    meanProduct,
    normalize(x, { scale, shift, mean, inverse }) {
      const slope = mul(scale, inverse)
      return scaled(x, slope, { bias: sub(shift, mul(mean, slope)) })
    },
    // A sum takes the fourth place of the operator, a bias the third: it may be absent.
    scaleAdd: (x, a, y) => scaled(x, a, { sum: y }),
  }
}

export const blockedBatchNorm = (nchwc: Nchwc) => batchNormBy(blockedForms(nchwc))

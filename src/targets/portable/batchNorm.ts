// Batch normalization in standard operators: sums per channel, little vectors over channels, and one pass to apply them.

import type { Value } from '../../graph/value.js'
import {
  add,
  batchNormalization,
  cast,
  div,
  max,
  mul,
  neg,
  reciprocal,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  reshape,
  size,
  sqrt,
  sub,
} from '../../ops/index.js'
import type { Expansions } from '../target.js'

const besideChannels = (x: Value) => x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
const overChannels = (vector: Value, x: Value) => reshape(vector, [-1, ...x.shape.slice(2).map(() => 1)])
/** Elements a channel, as a scalar of the graph: the batch size is not known here. */
const countPerChannel = (x: Value, scale: Value) => div(cast(size(x), x.dtype), cast(size(scale), x.dtype))

/** Var x = E x² − (E x)², held at zero or above where rounding would cross it. */
export const batchNormTraining: Expansions['BatchNormTraining'] = (
  [x, scale, shift, runningMean, runningVariance],
  { epsilon, momentum },
) => {
  const axes = besideChannels(x!)
  const count = countPerChannel(x!, scale!)
  const mean = reduceMean(x!, axes, { keepdims: 0 })
  const meanSquare = div(reduceSumSquare(x!, axes, { keepdims: 0 }), count)
  const variance = max(sub(meanSquare, mul(mean, mean)), 0)
  const unbiased = mul(variance, div(count, sub(count, 1)))
  const move = (running: Value, batch: Value) => add(mul(running, momentum), mul(batch, 1 - momentum))
  return [
    batchNormalization(x!, { scale: scale!, shift: shift!, mean, variance }, { epsilon }),
    move(runningMean!, mean),
    move(runningVariance!, unbiased),
    mean,
    reciprocal(sqrt(add(variance, epsilon))),
  ]
}

/**
 * dx = scale·s·(dy − dshift/n − x̂·dscale/n) is a·dy + b·x + c with a = scale·s, b = −a·s·dscale/n and
 * c = −a·dshift/n − b·mean; and Σ dy·x̂ = s·(Σ dy·x − mean·Σ dy), so that x̂ itself is never formed.
 */
export const batchNormGrad: Expansions['BatchNormGrad'] = ([dy, x, scale, mean, inverse]) => {
  const axes = besideChannels(x!)
  const count = countPerChannel(x!, scale!)
  const dshift = reduceSum(dy!, axes, { keepdims: 0 })
  const dot = reduceSum(mul(dy!, x!), axes, { keepdims: 0 })
  const dscale = mul(inverse!, sub(dot, mul(mean!, dshift)))
  const a = mul(scale!, inverse!)
  const b = neg(div(mul(mul(a, inverse!), dscale), count))
  const c = neg(add(div(mul(a, dshift), count), mul(b, mean!)))
  const dx = add(mul(dy!, overChannels(a, x!)), add(mul(x!, overChannels(b, x!)), overChannels(c, x!)))
  return [dx, dscale, dshift]
}

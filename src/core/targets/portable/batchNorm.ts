// Batch normalization in ONNX's own operators. BatchNormalization with given statistics makes the affine passes: faster
// than Mul and Add over broadcast vectors (bench/README.md).

import { scope, type Value } from '../../graph/value.js'
import {
  add,
  batchNormalization,
  cast,
  div,
  mul,
  reciprocal,
  reduceMean,
  reduceSumSquare,
  reshape,
  size,
} from '../../ops/index.js'
import { batchNormBy, type Forms } from '../batchNorm.js'

const besideChannels = (x: Value) => x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
/** A vector [C] in a shape that broadcasts over x. */
export const overChannels = (vector: Value, x: Value) => reshape(vector, [-1, ...x.shape.slice(2).map(() => 1)])
const mean = (x: Value) => reduceMean(x, besideChannels(x), { keepdims: 0 })

export const forms: Forms = {
  mean,
  meanSquare(x) {
    const sums = reduceSumSquare(x, besideChannels(x), { keepdims: 0 })
    return div(mul(sums, cast(size(sums), x.dtype)), cast(size(x), x.dtype))
  },
  meanProduct: (x, y) => mean(mul(x, y)),
  normalize(x, { scale, shift, mean, inverse, variance }) {
    const given = variance ?? scope('variance', () => reciprocal(mul(inverse, inverse)))
    return batchNormalization(x, { scale, shift, mean, variance: given }, { epsilon: 0 })
  },
  scaleAdd: (x, a, y) => add(mul(x, overChannels(a, x)), y),
}

export const { BatchNormTraining: batchNormTraining, BatchNormGrad: batchNormGrad } = batchNormBy(forms)

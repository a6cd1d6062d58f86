// Normalization without learned scales: by a norm along an axis, by neighbouring channels, by mean and variance.

import { composite } from '../graph/composite.js'
import { float, int, ONNX_DOMAIN, required } from '../graph/operator.js'
import { awayFromZero, normal } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { averagePool } from './averagePool.js'
import { add, cast, div, equal, mul, pow, sign, sqrt, sub, where } from './elementwise.js'
import { requireFloat } from './layerNorm.js'
import { reduceL1, reduceMean, reduceSum, reduceSumSquare } from './reduction.js'
import { requireAxes, reshape, reshapeAs } from './shape.js'

/** 1/‖x‖ along an axis; 0 where all of x is 0. */
function inverseNorm(x: Value, axis: number, p: number): Value {
  const norm = p === 1 ? reduceL1(x, [axis]) : sqrt(reduceSumSquare(x, [axis]))
  const empty = equal(norm, 0)
  return where(empty, 0, div(sub(1, cast(empty, x.dtype)), where(empty, 1, norm)))
}

/** x/‖x‖ along an axis, by the sum of absolute values (p = 1) or the Euclidean norm (2). Where x is 0, so are y and its gradient. */
export const LpNormalization = composite({
  name: 'LpNormalization',
  domain: ONNX_DOMAIN,
  since: 1,
  attributes: { axis: int(-1), p: int(2) },
  arity: [1, 1],
  check([x], { p }) {
    requireFloat(x!)
    if (p !== 1 && p !== 2) throw new GraphError(`p=${p} must be 1 or 2`)
  },
  body: ([x], { axis, p }) => [mul(x!, inverseNorm(x!, axis, p))],
  gradient: {
    // dx = (dy − d‖x‖ · Σ dy · y)/‖x‖ with d‖x‖ = sign x for p = 1, y for p = 2.
    rule({ grad, inputs: [x], outputs: [y], attributes: { axis, p } }) {
      const slope = p === 1 ? sign(x!) : y!
      return [mul(sub(grad, mul(slope, reduceSum(mul(grad, y!), [axis]))), inverseNorm(x!, axis, p))]
    },
  },
  samples: [
    { inputs: [awayFromZero(2, 3)] },
    { inputs: [awayFromZero(2, 3, 2)], attributes: { axis: 1, p: 1 } },
    { inputs: [normal(4, 3)], attributes: { axis: 0 } },
  ],
})
/** x divided by its p-norm along an axis, the last one unless given; p is 1 or 2. */
export const lpNormalization = (x: Value, options: { axis?: number; p?: number } = {}): Value =>
  apply1(LpNormalization, [x], options)

/**
 * x/(bias + alpha · mean(x²))^beta, the mean over `size` channels around each, those outside x as zeros (Krizhevsky et al. 2012):
 * ⌊(size − 1)/2⌋ before it, the rest after.
 */
export const LRN = composite({
  name: 'LRN',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { alpha: float(0.0001), beta: float(0.75), bias: float(1), size: required('int') },
  arity: [1, 1],
  check([x], { size }) {
    requireFloat(x!)
    if (x!.shape.length < 2 || !isKnown(x!.shape[1]!))
      throw new GraphError('needs an input [N, C, …] with a known number of channels')
    if (!(size > 0)) throw new GraphError(`size=${size} must be a whole number from 1`)
  },
  body([x], { alpha, beta, bias, size }) {
    const before = Math.floor((size - 1) / 2)
    // Channels as rows: [N, 1, C, …].
    const squares = reshape(mul(x!, x!), [0, 1, x!.shape[1] as number, -1])
    const mean = averagePool(squares, {
      kernel_shape: [size, 1],
      pads: [before, 0, size - 1 - before, 0],
      count_include_pad: 1,
    })
    return [div(x!, pow(add(mul(reshapeAs(mean, x!), alpha), bias), beta))]
  },
  samples: [
    { inputs: [normal(2, 5, 2, 2)], attributes: { size: 3, alpha: 0.5, beta: 0.5, bias: 2 } },
    { inputs: [normal(1, 4, 2, 3)], attributes: { size: 5, alpha: 1 } },
  ],
})
/** Local response normalization over `size` neighbouring channels (Krizhevsky et al. 2012): x [N, C, …]. */
export const lrn = (x: Value, size: number, options: { alpha?: number; beta?: number; bias?: number } = {}): Value =>
  apply1(LRN, [x], { size, ...options })

/** (x − mean)/(√variance + 1e−9) over axes; by default over the batch and the places of each channel. */
export const MeanVarianceNormalization = composite({
  name: 'MeanVarianceNormalization',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axes: { kind: 'ints', optional: false, default: [0, 2, 3] } },
  arity: [1, 1],
  check: ([x]) => requireFloat(x!),
  body([x], { axes }) {
    const over = requireAxes(axes, x!.shape.length)
    const rest = sub(x!, reduceMean(x!, over))
    return [div(rest, add(sqrt(reduceMean(mul(rest, rest), over)), 1e-9))]
  },
  samples: [{ inputs: [normal(2, 3, 2, 2)] }, { inputs: [normal(3, 4)], attributes: { axes: [1] } }],
})

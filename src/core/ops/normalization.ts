// Batch normalization: ONNX's operator in both modes, the training primitive and its gradient.

import { float, int, ONNX_DOMAIN, operator, primitive, TRAINING_DOMAIN, type Type } from '../graph/operator.js'
import { normal, positive } from '../graph/sample.js'
import { isFloat, type Numbers, numbers } from '../graph/tensor.js'
import { apply, apply1, GraphError, type Value } from '../graph/value.js'
import { add, div, mul, neg, pow, reciprocal, sqrt, sub } from './elementwise.js'
import { reduceMean, reduceSum } from './reduction.js'
import { reshape } from './shape.js'

function checkChannels(x: Value, vectors: readonly Value[]): void {
  if (x.shape.length < 2) throw new GraphError('needs an input [N, C, …]')
  if (!isFloat(x.dtype)) throw new GraphError('needs a floating-point input')
  const channels = x.shape[1]!
  const wrong = vectors.find((vector) => vector.shape.length !== 1 || vector.shape[0] !== channels)
  if (wrong) throw new GraphError(`scale, shift, mean and variance need one number for each of ${channels} channels`)
}

/** Every axis but the channels'. */
const besideChannels = (x: Value) => x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
/** A vector over channels, shaped to broadcast over x. */
const overChannels = (vector: Value, x: Value) => reshape(vector, [-1, ...x.shape.slice(2).map(() => 1)])
const sumOver = (x: Value) => reduceSum(x, besideChannels(x), { keepdims: 0 })

/** Mean and biased variance of each channel. */
function batchStatistics(x: Value): Pick<BatchNormInputs, 'mean' | 'variance'> {
  const mean = reduceMean(x, besideChannels(x), { keepdims: 0 })
  const centred = sub(x, overChannels(mean, x))
  return { mean, variance: reduceMean(mul(centred, centred), besideChannels(x), { keepdims: 0 }) }
}

interface Statistics {
  count: number
  mean: Float64Array
  /** Biased: divided by the count. */
  variance: Float64Array
}

/** Visits each element with its channel. */
function forEachElement(x: Numbers, visit: (at: number, channel: number) => void): void {
  const channels = x.shape[1]!
  const inner = x.data.length / (x.shape[0]! * channels)
  x.data.forEach((_, at) => {
    visit(at, Math.floor(at / inner) % channels)
  })
}

function statistics(x: Numbers): Statistics {
  const channels = x.shape[1]!
  const count = x.data.length / channels
  const mean = new Float64Array(channels)
  const variance = new Float64Array(channels)
  forEachElement(x, (at, c) => {
    mean[c]! += x.data[at]! / count
  })
  forEachElement(x, (at, c) => {
    variance[c]! += (x.data[at]! - mean[c]!) ** 2 / count
  })
  return { count, mean, variance }
}

function normalized(x: Numbers, scale: Numbers, shift: Numbers, mean: Float64Array, inverse: Float64Array): Numbers {
  const y = new Float64Array(x.data.length)
  forEachElement(x, (at, c) => {
    y[at] = scale.data[c]! * (x.data[at]! - mean[c]!) * inverse[c]! + shift.data[c]!
  })
  return numbers(x.dtype, x.shape, y)
}

const inverseDeviation = (variance: Float64Array, epsilon: number) => variance.map((v) => 1 / Math.sqrt(v + epsilon))
/** ONNX's momentum is what stays of the old value: PyTorch's 0.1 is 0.9 here. */
const moved = (running: Numbers, batch: Float64Array, momentum: number): Numbers =>
  numbers(
    running.dtype,
    running.shape,
    running.data.map((old, c) => momentum * old + (1 - momentum) * batch[c]!),
  )

const attributes = { epsilon: float(1e-5), momentum: float(0.9) }

/**
 * scale · (x − mean)/√(variance + epsilon) + shift with the given statistics or, in training mode, the batch's own; then
 * two more outputs, the moved running mean and variance (ONNX: of the biased variance).
 */
export const BatchNormalization = operator({
  name: 'BatchNormalization',
  domain: ONNX_DOMAIN,
  since: 14,
  before: {
    lacks: ['training_mode'],
    instead(inputs, { training_mode, ...options }) {
      return training_mode ? byBatch(inputs as readonly Value[], options) : undefined
    },
  },
  attributes: { ...attributes, training_mode: int(0) },
  arity: [5, 5],
  requiredOutputs: 1,
  infer([x, ...vectors], { training_mode }) {
    checkChannels(x!, vectors)
    return training_mode ? [x!, vectors[2]!, vectors[3]!] : [x!]
  },
  gradient: {
    rule({ grad, grads, inputs, attributes: { epsilon, training_mode } }) {
      const [x, scale, , mean, variance] = inputs as [Value, Value, Value, Value, Value]
      if (!training_mode) {
        // With v = variance + ε and x̂ = (x − mean)/√v:  dx = dy·scale/√v, dscale = Σ dy·x̂, dshift = Σ dy,
        // dmean = −scale/√v · Σ dy, dvariance = −½ · scale/v · Σ dy·x̂.
        const v = add(variance, epsilon)
        const inverse = reciprocal(sqrt(v))
        const centred = sub(x, overChannels(mean, x))
        const dscale = mul(sumOver(mul(grad, centred)), inverse)
        const dshift = sumOver(grad)
        const slope = mul(scale, inverse)
        return [
          mul(grad, overChannels(slope, x)),
          dscale,
          dshift,
          neg(mul(slope, dshift)),
          mul(mul(div(scale, v), dscale), -0.5),
        ]
      }
      if (grads[1] || grads[2]) {
        throw new GraphError('no gradient flows through the running statistics; stop it there')
      }
      const batch = batchStatistics(x)
      return batchNormGrad(grad, x, scale, batch.mean, pow(add(batch.variance, epsilon), -0.5))
    },
  },
  evaluate([x, scale, shift, mean, variance], { epsilon, momentum, training_mode }) {
    if (!training_mode) return [normalized(x!, scale!, shift!, mean!.data, inverseDeviation(variance!.data, epsilon))]
    const batch = statistics(x!)
    return [
      normalized(x!, scale!, shift!, batch.mean, inverseDeviation(batch.variance, epsilon)),
      moved(mean!, batch.mean, momentum),
      moved(variance!, batch.variance, momentum),
    ]
  },
  samples: [
    { inputs: [normal(2, 3, 2, 2), normal(3), normal(3), normal(3), positive(3)] },
    { inputs: [normal(4, 3), normal(3), normal(3), normal(3), positive(3)], attributes: { epsilon: 0.1 } },
    {
      inputs: [normal(4, 3, 2, 2), normal(3), normal(3), normal(3), positive(3)],
      attributes: { training_mode: 1, momentum: 0.7 },
    },
  ],
})
export interface BatchNormInputs {
  readonly scale: Value
  readonly shift: Value
  readonly mean: Value
  readonly variance: Value
}
export const batchNormalization = (
  x: Value,
  { scale, shift, mean, variance }: BatchNormInputs,
  options: { epsilon?: number; momentum?: number } = {},
): Value => apply1(BatchNormalization, [x, scale, shift, mean, variance], options)

/** The operator in training mode, by the one that is given the statistics. */
function byBatch(
  [x, scale, shift, mean, variance]: readonly Value[],
  { epsilon, momentum }: { epsilon: number; momentum: number },
): readonly Value[] {
  const batch = batchStatistics(x!)
  const move = (running: Value, value: Value) => add(mul(running, momentum), mul(value, 1 - momentum))
  return [
    batchNormalization(x!, { scale: scale!, shift: shift!, ...batch }, { epsilon }),
    move(mean!, batch.mean),
    move(variance!, batch.variance),
  ]
}

/**
 * Batch normalization as training wants it: the moved running variance is unbiased, Σ(x − mean)²/(n − 1), as PyTorch and
 * the paper's recipe have it, and the gradient uses the mean and the inverse deviation again.
 */
export const BatchNormTraining = primitive({
  name: 'BatchNormTraining',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x', 'scale', 'shift', 'running_mean', 'running_variance'],
    outputs: ['y', 'next_mean', 'next_variance', 'mean', 'inverse'],
    text:
      'Batch normalization in training (Ioffe and Szegedy 2015): y = scale · (x − mean) · inverse + shift with the mean and ' +
      'the variance of each channel over the batch, and inverse = 1/√(variance + epsilon). The running statistics ' +
      'move: next = momentum · running + (1 − momentum) · that of the batch, the variance unbiased (n/(n − 1)).',
  },
  attributes,
  arity: [5, 5],
  infer([x, ...vectors]) {
    checkChannels(x!, vectors)
    const vector: Type = vectors[0]!
    return [x!, vector, vector, vector, vector]
  },
  gradient: {
    rule({ grad, grads, inputs, outputs }) {
      if (grads.slice(1).some((other) => other)) {
        throw new GraphError('only y has a gradient; do not differentiate the statistics')
      }
      return batchNormGrad(grad, inputs[0]!, inputs[1]!, outputs[3]!, outputs[4]!)
    },
  },
  evaluate([x, scale, shift, mean, variance], { epsilon, momentum }) {
    const batch = statistics(x!)
    const inverse = inverseDeviation(batch.variance, epsilon)
    const unbiased = batch.variance.map((v) => (v * batch.count) / (batch.count - 1))
    return [
      normalized(x!, scale!, shift!, batch.mean, inverse),
      moved(mean!, batch.mean, momentum),
      moved(variance!, unbiased, momentum),
      numbers(x!.dtype, scale!.shape, batch.mean),
      numbers(x!.dtype, scale!.shape, inverse),
    ]
  },
  samples: [
    { inputs: [normal(4, 3, 2, 3), normal(3), normal(3), normal(3), positive(3)] },
    { inputs: [normal(5, 2, 3, 3), normal(2), normal(2), normal(2), positive(2)], attributes: { epsilon: 0.1 } },
  ],
})
export const batchNormTraining = (
  x: Value,
  { scale, shift, mean, variance }: BatchNormInputs,
  options: { epsilon?: number; momentum?: number } = {},
): readonly Value[] => apply(BatchNormTraining, [x, scale, shift, mean, variance], options)

/** The gradients of BatchNormTraining by x, scale and shift. */
export const BatchNormGrad = primitive({
  name: 'BatchNormGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'x', 'scale', 'mean', 'inverse'],
    outputs: ['dx', 'dscale', 'dshift'],
    text:
      'The gradients of batch normalization (Ioffe and Szegedy 2015, section 3). With x̂ = (x − mean) · inverse and n ' +
      'elements a channel: dshift = Σ dy, dscale = Σ dy · x̂, dx = scale · inverse · (dy − dshift/n − x̂ · dscale/n).',
  },
  attributes: {},
  arity: [5, 5],
  infer([dy, x, ...vectors]) {
    checkChannels(x!, vectors)
    if (dy!.shape.join() !== x!.shape.join()) throw new GraphError('dy and x need the same shape')
    const vector: Type = vectors[0]!
    return [x!, vector, vector]
  },
  gradient: { forbidden: 'build it from reduceMean, sub and mul if you need second derivatives' },
  evaluate([dy, x, scale, mean, inverse]) {
    const channels = x!.shape[1]!
    const n = x!.data.length / channels
    const xHat = (at: number, c: number) => (x!.data[at]! - mean!.data[c]!) * inverse!.data[c]!
    const dscale = new Float64Array(channels)
    const dshift = new Float64Array(channels)
    forEachElement(x!, (at, c) => {
      dscale[c]! += dy!.data[at]! * xHat(at, c)
      dshift[c]! += dy!.data[at]!
    })
    const dx = new Float64Array(x!.data.length)
    forEachElement(x!, (at, c) => {
      const centred = dy!.data[at]! - dshift[c]! / n - (xHat(at, c) * dscale[c]!) / n
      dx[at] = scale!.data[c]! * inverse!.data[c]! * centred
    })
    return [
      numbers(x!.dtype, x!.shape, dx),
      numbers(x!.dtype, scale!.shape, dscale),
      numbers(x!.dtype, scale!.shape, dshift),
    ]
  },
  samples: [{ inputs: [normal(4, 3, 2, 3), normal(4, 3, 2, 3), normal(3), normal(3), positive(3)] }],
})
const batchNormGrad = (dy: Value, x: Value, scale: Value, mean: Value, inverse: Value): readonly Value[] =>
  apply(BatchNormGrad, [dy, x, scale, mean, inverse])

// Batch normalization: ONNX's operator in both modes, the training primitive and its gradient.

import { composite, evaluateBody } from '../graph/composite.js'
import { float, int, ONNX_DOMAIN, type Operator, older, operator, TRAINING_DOMAIN } from '../graph/operator.js'
import { normal, positive } from '../graph/sample.js'
import { isKnown, sizeOf, unifyDims } from '../graph/shape.js'
import { type DType, isFloat } from '../graph/tensor.js'
import { apply, apply1, GraphError, scope, type Value } from '../graph/value.js'
import { add, cast, div, mul, neg, reciprocal, sqrt, sub } from './elementwise.js'
import { reduceMean, reduceSum } from './reduction.js'
import { reshape, size } from './shape.js'
import { slice } from './slice.js'

function checkChannels(x: Value, vectors: readonly Value[]): void {
  if (x.shape.length < 2) throw new GraphError('needs an input [N, C, …]')
  if (!isFloat(x.dtype)) throw new GraphError('needs a floating-point input')
  const channels = x.shape[1]!
  const wrong = vectors.find(({ shape }) => shape.length !== 1 || unifyDims(shape[0]!, channels) === undefined)
  if (wrong) throw new GraphError(`scale, shift, mean and variance need one number for each of ${channels} channels`)
}

/** Every axis but the channels'. */
const besideChannels = (x: Value) => x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
/** A vector over channels, shaped to broadcast over x. */
const overChannels = (vector: Value, x: Value) => reshape(vector, [-1, ...x.shape.slice(2).map(() => 1)])
const sumOver = (x: Value) => reduceSum(x, besideChannels(x), { keepdims: 0 })
const meanOver = (x: Value) => reduceMean(x, besideChannels(x), { keepdims: 0 })
const centred = (x: Value, mean: Value) => sub(x, overChannels(mean, x))
const inverseDeviation = (variance: Value, epsilon: number) => reciprocal(sqrt(add(variance, epsilon)))

/** Mean and biased variance of each channel. */
function batchStatistics(x: Value): Pick<BatchNormInputs, 'mean' | 'variance'> {
  const mean = meanOver(x)
  const rest = centred(x, mean)
  return { mean, variance: meanOver(mul(rest, rest)) }
}

/** Elements a channel: a number where the shape is known, else a scalar of the graph. */
export function countPerChannel(x: Value, vector: Value): Value | number {
  const total = sizeOf(x.shape)
  const channels = vector.shape[0]!
  if (isKnown(total) && isKnown(channels)) return total / channels
  return scope('count', () => div(cast(size(x), x.dtype), cast(size(vector), x.dtype)))
}

/** ONNX's momentum is what stays of the old value: PyTorch's 0.1 is 0.9 here. */
const moved = (running: Value, batch: Value, momentum: number): Value =>
  add(mul(running, momentum), mul(batch, 1 - momentum))

/**
 * The running statistics, moved to those of a batch; its variance comes biased and is made unbiased, n/(n − 1).
 * @param count elements a channel
 */
export function movedStatistics(
  [runningMean, runningVariance]: readonly [Value, Value],
  [mean, variance]: readonly [Value, Value],
  momentum: number,
  count: Value | number,
): readonly [Value, Value] {
  const unbiasing =
    typeof count === 'number' ? count / (count - 1) : scope('unbiasing', () => div(count, sub(count, 1)))
  const unbiased = scope('unbiased', () => mul(variance, unbiasing))
  return [
    scope('next_mean', () => moved(runningMean, mean, momentum)),
    scope('next_variance', () => moved(runningVariance, unbiased, momentum)),
  ]
}

const attributes = { epsilon: float(1e-5), momentum: float(0.9) }

/** Where the vectors are of another type than x, as version 15 allows, they are computed with in its. */
const inTypeOf = (x: Value, vectors: readonly Value[]): readonly Value[] =>
  vectors.map((vector) => castTo(vector, x.dtype))
const castTo = (x: Value, dtype: DType): Value => (x.dtype === dtype ? x : cast(x, dtype))

/** Version 7: without `spatial`, each place of x after the batch has a scale, shift, mean and variance of its own. */
function byPlace([x, ...vectors]: readonly Value[], epsilon: number): Value {
  const [scale, shift, mean, variance] = vectors as [Value, Value, Value, Value]
  return add(mul(sub(x!, mean), mul(scale, inverseDeviation(variance, epsilon))), shift)
}

const batchNormAttributes = { ...attributes, training_mode: int(0) }

/**
 * scale · (x − mean)/√(variance + epsilon) + shift with the given statistics or, in training mode, the batch's own; then
 * two more outputs, the moved running mean and variance (ONNX: of the biased variance).
 */
export const BatchNormalization: Operator<typeof batchNormAttributes> = operator({
  name: 'BatchNormalization',
  domain: ONNX_DOMAIN,
  since: 14,
  // Files of these versions say by more outputs than one that they train: the moved statistics, then the batch's own.
  older: [
    older({
      until: 8,
      attributes: { ...attributes, spatial: int(1) },
      read(inputs, { spatial, ...options }, outputs) {
        if (spatial) return inTraining(inputs as readonly Value[], options, outputs)
        if (outputs > 1) throw new GraphError('spatial=0 is not supported in training')
        return [byPlace(inputs as readonly Value[], options.epsilon)]
      },
    }),
    older({
      until: 13,
      attributes,
      read: (inputs, options, outputs) => inTraining(inputs as readonly Value[], options, outputs),
    }),
  ],
  before: {
    lacks: ['training_mode'],
    instead(inputs, { training_mode, ...options }) {
      return training_mode ? byBatch(inputs as readonly Value[], options) : undefined
    },
  },
  attributes: batchNormAttributes,
  arity: [5, 5],
  // Runtimes want all of what training gives, used or not.
  differentiable: { outputs: [0] },
  infer([x, ...vectors], { training_mode }) {
    checkChannels(x!, vectors)
    return training_mode ? [x!, vectors[2]!, vectors[3]!] : [x!]
  },
  gradient: {
    rule({ grad, inputs: [x, ...vectors], attributes: { epsilon, training_mode } }) {
      const [scale, , mean, variance] = inTypeOf(x!, vectors) as [Value, Value, Value, Value]
      const inOwnTypes = ([dx, ...grads]: readonly Value[]) => [
        dx,
        ...grads.map((gradient, i) => castTo(gradient, vectors[i]!.dtype)),
      ]
      if (training_mode) {
        const batch = batchStatistics(x!)
        const inverse = inverseDeviation(batch.variance, epsilon)
        return [...inOwnTypes(batchNormGrad(grad, x!, scale, batch.mean, inverse)), undefined, undefined]
      }
      // With v = variance + ε and x̂ = (x − mean)/√v:  dx = dy·scale/√v, dscale = Σ dy·x̂, dshift = Σ dy,
      // dmean = −scale/√v · Σ dy, dvariance = −½ · scale/v · Σ dy·x̂.
      const v = add(variance, epsilon)
      const inverse = reciprocal(sqrt(v))
      const dscale = mul(sumOver(mul(grad, centred(x!, mean))), inverse)
      const dshift = sumOver(grad)
      const slope = mul(scale, inverse)
      return inOwnTypes([
        mul(grad, overChannels(slope, x!)),
        dscale,
        dshift,
        neg(mul(slope, dshift)),
        mul(mul(mul(scale, reciprocal(v)), dscale), -0.5),
      ])
    },
  },
  evaluate: (inputs, { training_mode, ...options }) =>
    evaluateBody(inputs, (values) =>
      training_mode ? byBatch(values, options) : [normalized(values, options.epsilon)],
    ),
  samples: [
    { inputs: [normal(2, 3, 2, 2), normal(3), normal(3), normal(3), positive(3)] },
    { inputs: [normal(4, 3), normal(3), normal(3), normal(3), positive(3)], attributes: { epsilon: 0.1 } },
    {
      inputs: [normal(4, 3, 2, 2), normal(3), normal(3), normal(3), positive(3)],
      attributes: { training_mode: 1, momentum: 0.7 },
    },
  ],
})
/** Scale, shift and running statistics of a batch norm, each [C]. */
export interface BatchNormInputs {
  readonly scale: Value
  readonly shift: Value
  readonly mean: Value
  readonly variance: Value
}
/**
 * (x − mean)/√(variance + epsilon) · scale + shift by channel, by the running statistics: x [N, C, …], epsilon 1e-5 unless
 * given.
 */
export const batchNormalization = (
  x: Value,
  { scale, shift, mean, variance }: BatchNormInputs,
  options: { epsilon?: number; momentum?: number } = {},
): Value => apply1(BatchNormalization, [x, scale, shift, mean, variance], options)

/** The operator with given statistics, said in arithmetic. */
function normalized([x, ...vectors]: readonly Value[], epsilon: number): Value {
  const [scale, shift, mean, variance] = inTypeOf(x!, vectors)
  const slope = mul(scale!, inverseDeviation(variance!, epsilon))
  return add(mul(centred(x!, mean!), overChannels(slope, x!)), overChannels(shift!, x!))
}

/** The operator in training mode, by the one that is given the statistics. */
function byBatch(
  [x, scale, shift, mean, variance]: readonly Value[],
  { epsilon, momentum }: { epsilon: number; momentum: number },
): readonly Value[] {
  const batch = batchStatistics(x!)
  return [
    batchNormalization(x!, { scale: scale!, shift: shift!, ...batch }, { epsilon }),
    moved(mean!, castTo(batch.mean, mean!.dtype), momentum),
    moved(variance!, castTo(batch.variance, variance!.dtype), momentum),
  ]
}

/** What a node of a version without `training_mode` is that names so many outputs. */
function inTraining(
  inputs: readonly Value[],
  options: { epsilon: number; momentum: number },
  outputs: number,
): readonly Value[] | undefined {
  return outputs > 1 ? apply(BatchNormalization, inputs, { ...options, training_mode: 1 }) : undefined
}

/**
 * Batch normalization as training wants it: the moved running variance is unbiased, Σ(x − mean)²/(n − 1), as PyTorch and
 * the paper's recipe have it, and the gradient uses the mean and the inverse deviation again.
 */
export const BatchNormTraining = composite({
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
  differentiable: { inputs: [0, 1, 2], outputs: [0] },
  check: ([x, ...vectors]) => checkChannels(x!, vectors),
  body([x, scale, shift, runningMean, runningVariance], { epsilon, momentum }) {
    const { mean, variance } = batchStatistics(x!)
    const running = [runningMean!, runningVariance!] as const
    return [
      batchNormalization(x!, { scale: scale!, shift: shift!, mean, variance }, { epsilon }),
      ...movedStatistics(running, [mean, variance], momentum, countPerChannel(x!, mean)),
      mean,
      inverseDeviation(variance, epsilon),
    ]
  },
  gradient: {
    rule({ grad, inputs: [x, scale], outputs: [, , , mean, inverse] }) {
      return [...batchNormGrad(grad, x!, scale!, mean!, inverse!), undefined, undefined]
    },
  },
  samples: [
    { inputs: [normal(4, 3, 2, 3), normal(3), normal(3), normal(3), positive(3)] },
    { inputs: [normal(5, 2, 3, 3), normal(2), normal(2), normal(2), positive(2)], attributes: { epsilon: 0.1 } },
  ],
})
/**
 * A batch norm by the statistics of the batch, x [N, C, …] with C known. Gives y, the running mean and variance for the next
 * step, and what the gradient needs.
 */
export const batchNormTraining = (
  x: Value,
  { scale, shift, mean, variance }: BatchNormInputs,
  options: { epsilon?: number; momentum?: number } = {},
): readonly Value[] => apply(BatchNormTraining, [x, scale, shift, mean, variance], options)

/**
 * Zero, [1], that depends on a value. Added to an operand it keeps a runtime from computing early what belongs into the backward
 * pass, and from recognising it as the node that the forward pass already has. No scalar: OpenCV computes nothing with a sum
 * of all elements that has no dimensions.
 */
function zeroAfter(value: Value): Value {
  const inner = value.shape.map((_, axis) => axis).slice(1)
  const corner =
    inner.length === 0
      ? value
      : slice(
          value,
          inner,
          inner.map(() => 0),
          inner.map(() => 1),
        )
  return mul(reduceSum(reshape(corner, [-1]), [0]), 0)
}

/** The scale of a repetition: the same numbers, once `after` is there. */
export const waitingScale = (scale: Value, after: Value): Value => {
  const zero = scope('zero', () => zeroAfter(after))
  return scope('scale', () => add(scale, zero))
}

/** The output of BatchNormTraining, computed again from the statistics that it gave. */
export const BatchNormAgain = composite({
  name: 'BatchNormAgain',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x', 'scale', 'shift', 'mean', 'inverse', 'after'],
    outputs: ['y'],
    text:
      'The output y of BatchNormTraining, computed again for the backward pass, so that it need not be kept until then: once the ' +
      'value after is there, which it does not use (Chen et al. 2016).',
  },
  attributes: {},
  arity: [6, 6],
  check: ([x, scale, shift, mean, inverse]) => checkChannels(x!, [scale!, shift!, mean!, inverse!]),
  body([x, scale, shift, mean, inverse, after]) {
    const variance = scope('variance', () => reciprocal(mul(inverse!, inverse!)))
    const vectors = { scale: waitingScale(scale!, after!), shift: shift!, mean: mean!, variance }
    return [batchNormalization(x!, vectors, { epsilon: 0 })]
  },
  gradient: { forbidden: 'differentiate without recomputation if you need second derivatives' },
  samples: [
    { inputs: [normal(4, 3, 2, 3), normal(3), normal(3), normal(3), positive(3), normal(4, 2)] },
    { inputs: [normal(4, 3), normal(3), normal(3), normal(3), positive(3), normal(5)] },
  ],
})

/** The gradients of BatchNormTraining by x, scale and shift. */
export const BatchNormGrad = composite({
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
  check([dy, x, ...vectors]) {
    checkChannels(x!, vectors)
    if (dy!.shape.join() !== x!.shape.join()) throw new GraphError('dy and x need the same shape')
  },
  // The mean and the deviation follow from x by nodes of their own, through which their gradients go on.
  gradient: 'body',
  body([dy, x, scale, mean, inverse]) {
    const xHat = mul(centred(x!, mean!), overChannels(inverse!, x!))
    const over = (vector: Value) => overChannels(vector, x!)
    const rest = sub(sub(dy!, over(meanOver(dy!))), mul(xHat, over(meanOver(mul(dy!, xHat)))))
    return [mul(rest, over(mul(scale!, inverse!))), sumOver(mul(dy!, xHat)), sumOver(dy!)]
  },
  samples: [{ inputs: [normal(4, 3, 2, 3), normal(4, 3, 2, 3), normal(3), normal(3), positive(3)] }],
})
const batchNormGrad = (dy: Value, x: Value, scale: Value, mean: Value, inverse: Value): readonly Value[] =>
  apply(BatchNormGrad, [dy, x, scale, mean, inverse])

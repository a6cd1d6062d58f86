// Normalization by statistics of each sample: LayerNormalization, RMSNormalization, InstanceNormalization and GroupNormalization.

import { composite } from '../graph/composite.js'
import { float, int, ONNX_DOMAIN, older, required } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { isKnown, sizeOf, unifyDims } from '../graph/shape.js'
import { type DType, isFloat } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { add, cast, div, dtypeOf, mul, neg, reciprocal, sqrt, sub } from './elementwise.js'
import { reduceMean, reduceSum } from './reduction.js'
import { Expand, fillAs, requireAxes, reshape, reshapeAs, shapeVector, size, unsqueeze } from './shape.js'

export function requireFloat(x: Value): void {
  if (!isFloat(x.dtype)) throw new GraphError(`needs a floating-point input, got ${x.dtype}; cast it first`)
}

/** x in a type, as it is where it has that. */
export const castTo = (x: Value, dtype: DType): Value => (x.dtype === dtype ? x : cast(x, dtype))

/** The type that `stash_type` says, and the one to compute in: float64 stays, since float32 would lose half of it. */
function stashOf(x: Value, stashType: number): { readonly working: DType; readonly stash: DType } {
  const stash = dtypeOf(stashType)
  if (!stash || !isFloat(stash)) throw new GraphError(`stash_type=${stashType} must be a floating-point type`)
  return { working: x.dtype === 'float64' ? 'float64' : stash, stash }
}

/** The axes from one on. */
function axesFrom(axis: number, x: Value): number[] {
  const [first] = requireAxes([axis], x.shape.length)
  return x.shape.map((_, i) => i).slice(first)
}

/** How many numbers of x go into one of its statistics: a number where the shapes are known, else a scalar of the graph. */
function countPer(statistic: Value, x: Value): Value | number {
  const [all, kept] = [sizeOf(x.shape), sizeOf(statistic.shape)]
  return isKnown(all) && isKnown(kept) ? all / kept : div(cast(size(x), x.dtype), cast(size(statistic), x.dtype))
}

/** Mean and 1/√(variance + epsilon) over axes, which stay with size 1. */
function statistics(x: Value, axes: readonly number[], epsilon: number): readonly [mean: Value, inverse: Value] {
  const mean = reduceMean(x, axes)
  const rest = sub(x, mean)
  return [mean, reciprocal(sqrt(add(reduceMean(mul(rest, rest), axes), epsilon)))]
}

/** dx = inverse · (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) for x̂ = (x − mean) · inverse. */
const standardizedGrad = (dxHat: Value, xHat: Value, inverse: Value, axes: readonly number[]): Value =>
  mul(sub(sub(dxHat, reduceMean(dxHat, axes)), mul(xHat, reduceMean(mul(dxHat, xHat), axes))), inverse)

/**
 * scale · x̂ + bias, with x̂ = (x − mean)/√(variance + epsilon) over the axes from `axis` on (Ba, Kiros and Hinton 2016). Two
 * more outputs, mean and 1/√(variance + epsilon), are what the gradient needs.
 */
export const LayerNormalization = composite({
  name: 'LayerNormalization',
  domain: ONNX_DOMAIN,
  since: 17,
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  arity: [2, 3],
  requiredOutputs: 1,
  check: ([x]) => requireFloat(x!),
  body([x, scale, bias], { axis, epsilon, stash_type }) {
    const { working, stash } = stashOf(x!, stash_type)
    const wide = castTo(x!, working)
    const [mean, inverse] = statistics(wide, axesFrom(axis, x!), epsilon)
    const scaled = mul(castTo(mul(sub(wide, mean), inverse), x!.dtype), scale!)
    return [bias ? add(scaled, bias) : scaled, castTo(mean, stash), castTo(inverse, stash)]
  },
  gradient: {
    rule({ grads, inputs: [x, scale, bias], outputs, attributes: { axis, stash_type } }) {
      const { working } = stashOf(x!, stash_type)
      const [dy, dMean, dInverse] = grads.map((grad, i) => grad && (i === 0 ? grad : castTo(grad, working)))
      const [mean, inverse] = outputs.slice(1).map((value) => castTo(value, working)) as [Value, Value]
      const xHat = mul(sub(castTo(x!, working), mean), inverse)
      const n = countPer(mean, xHat)
      // With n numbers to a mean: d mean = Σ dx/n and d inverse = −inverse² · Σ x̂ · dx/n.
      const parts = [
        dy && standardizedGrad(castTo(mul(dy, scale!), working), xHat, inverse, axesFrom(axis, x!)),
        dMean && add(fillAs(0, xHat), div(dMean, n)),
        dInverse && mul(xHat, neg(div(mul(dInverse, mul(inverse, inverse)), n))),
      ]
      const dx = parts.filter((part) => part !== undefined).reduce(add)
      return [castTo(dx, x!.dtype), dy && mul(dy, castTo(xHat, x!.dtype)), bias && dy]
    },
  },
  samples: [
    { inputs: [normal(2, 3, 4), normal(4), normal(4)] },
    { inputs: [normal(2, 3, 4), normal(3, 4)], attributes: { axis: 1, epsilon: 0.1 } },
    { inputs: [normal(2, 3, 2, 2), normal(3, 2, 2), normal(3, 2, 2)], attributes: { axis: -3 } },
  ],
})
/** (x − mean)/√(variance + epsilon) · scale + bias over the axes from `axis` on, the last one unless given (Ba et al. 2016). */
export const layerNormalization = (
  x: Value,
  { scale, bias }: { scale: Value; bias?: Value | undefined },
  options: { axis?: number; epsilon?: number } = {},
): Value => apply1(LayerNormalization, bias ? [x, scale, bias] : [x, scale], options)

/** scale · x̂, with x̂ = x/√(mean(x²) + epsilon) over the axes from `axis` on (Zhang and Sennrich 2019). */
export const RMSNormalization = composite({
  name: 'RMSNormalization',
  domain: ONNX_DOMAIN,
  since: 23,
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  arity: [2, 2],
  check: ([x]) => requireFloat(x!),
  body([x, scale], { axis, epsilon, stash_type }) {
    const wide = castTo(x!, stashOf(x!, stash_type).working)
    const xHat = mul(wide, inverseRoot(wide, axesFrom(axis, x!), epsilon))
    return [mul(castTo(xHat, scale!.dtype), scale!)]
  },
  gradient: {
    // dx = inverse · (dx̂ − x̂ · mean(dx̂ · x̂))
    rule({ grad, inputs: [x, scale], attributes: { axis, epsilon, stash_type } }) {
      const axes = axesFrom(axis, x!)
      const wide = castTo(x!, stashOf(x!, stash_type).working)
      const inverse = inverseRoot(wide, axes, epsilon)
      const xHat = mul(wide, inverse)
      const dxHat = castTo(mul(grad, scale!), wide.dtype)
      const dx = mul(sub(dxHat, mul(xHat, reduceMean(mul(dxHat, xHat), axes))), inverse)
      return [castTo(dx, x!.dtype), mul(grad, castTo(xHat, grad.dtype))]
    },
  },
  samples: [
    { inputs: [normal(2, 3, 4), normal(4)] },
    { inputs: [normal(2, 3, 4), normal(3, 4)], attributes: { axis: 1, epsilon: 0.1 } },
  ],
})
const inverseRoot = (x: Value, axes: readonly number[], epsilon: number): Value =>
  reciprocal(sqrt(add(reduceMean(mul(x, x), axes), epsilon)))
/** x/√(mean of x² + epsilon) · scale over the axes from `axis` on, the last one unless given (Zhang and Sennrich 2019). */
export const rmsNormalization = (x: Value, scale: Value, options: { axis?: number; epsilon?: number } = {}): Value =>
  apply1(RMSNormalization, [x, scale], options)

function checkChannels(x: Value, vectors: readonly Value[]): void {
  requireFloat(x)
  if (x.shape.length < 3) throw new GraphError('needs an input [N, C, D1, …]')
  const wrong = vectors.find(({ shape }) => shape.length !== 1 || unifyDims(shape[0]!, x.shape[1]!) === undefined)
  if (wrong) throw new GraphError(`scale and bias need one number for each of ${x.shape[1]} channels`)
}
/** The axes behind N and C. */
const spatialAxes = (x: Value): number[] => x.shape.map((_, axis) => axis).slice(2)
/** A vector over channels, shaped to broadcast over x. */
const overChannels = (vector: Value, x: Value): Value => reshape(vector, [-1, ...spatialAxes(x).map(() => 1)])

/** scale · (x − mean)/√(variance + epsilon) + bias by channel, over each channel of each sample (Ulyanov et al. 2016). */
export const InstanceNormalization = composite({
  name: 'InstanceNormalization',
  domain: ONNX_DOMAIN,
  since: 6,
  attributes: { epsilon: float(1e-5) },
  arity: [3, 3],
  check: ([x, ...vectors]) => checkChannels(x!, vectors),
  body([x, scale, bias], { epsilon }) {
    const [mean, inverse] = statistics(x!, spatialAxes(x!), epsilon)
    return [add(mul(mul(sub(x!, mean), inverse), overChannels(scale!, x!)), overChannels(bias!, x!))]
  },
  gradient: {
    rule({ grad, inputs: [x, scale], attributes: { epsilon } }) {
      const axes = spatialAxes(x!)
      const [mean, inverse] = statistics(x!, axes, epsilon)
      const xHat = mul(sub(x!, mean), inverse)
      const sumOver = (value: Value) => reduceSum(value, [0, ...axes], { keepdims: 0 })
      const dx = standardizedGrad(mul(grad, overChannels(scale!, x!)), xHat, inverse, axes)
      return [dx, sumOver(mul(grad, xHat)), sumOver(grad)]
    },
  },
  samples: [
    { inputs: [normal(2, 3, 2, 3), normal(3), normal(3)] },
    { inputs: [normal(3, 2, 5), normal(2), normal(2)], attributes: { epsilon: 0.1 } },
  ],
})
/** Each channel of each example by its own mean and variance: x [N, C, …], scale and bias [C]. */
export const instanceNormalization = (
  x: Value,
  { scale, bias }: { scale: Value; bias: Value },
  options: { epsilon?: number } = {},
): Value => apply1(InstanceNormalization, [x, scale, bias], options)

const groupAttributes = { epsilon: float(1e-5), num_groups: required('int') }

/** x with the statistics of each group of channels taken out: InstanceNormalization of [N, groups, …]. */
function standardizedGroups(x: Value, groups: number, epsilon: number): Value {
  const vector = (value: number) => constant(x.dtype, new Array<number>(groups).fill(value))
  const grouped = reshape(x, [0, groups, -1])
  return reshapeAs(instanceNormalization(grouped, { scale: vector(1), bias: vector(0) }, { epsilon }), x)
}

/** Scale and bias by group, as version 18 had them: each repeated for the channels of its group. */
function perChannel(vector: Value, x: Value, groups: number): Value {
  const channels = x.shape[1]!
  if (!isKnown(channels)) throw new GraphError(`needs a known number of channels, got '${channels}'`)
  if (channels === groups) return vector
  return reshape(apply1(Expand, [unsqueeze(vector, 1), shapeVector([groups, channels / groups], [])]), [channels])
}

/**
 * scale · (x − mean)/√(variance + epsilon) + bias by channel, over each of `num_groups` groups of channels of each sample (Wu and
 * He 2018).
 */
export const GroupNormalization = composite({
  name: 'GroupNormalization',
  domain: ONNX_DOMAIN,
  since: 21,
  older: [
    older({
      until: 20,
      attributes: groupAttributes,
      read([x, scale, bias], { num_groups, epsilon }) {
        const [scales, biases] = [scale!, bias!].map((vector) => perChannel(vector, x!, num_groups))
        return [groupNormalization(x!, num_groups, { scale: scales!, bias: biases! }, { epsilon })]
      },
    }),
  ],
  attributes: { ...groupAttributes, stash_type: int(1) },
  arity: [3, 3],
  check([x, ...vectors], { num_groups }) {
    checkChannels(x!, vectors)
    const channels = x!.shape[1]!
    if (!(num_groups > 0) || (isKnown(channels) && channels % num_groups !== 0))
      throw new GraphError(`${channels} channels do not divide into ${num_groups} groups`)
  },
  body([x, scale, bias], { num_groups, epsilon, stash_type }) {
    const wide = castTo(x!, stashOf(x!, stash_type).working)
    const xHat = castTo(standardizedGroups(wide, num_groups, epsilon), x!.dtype)
    return [add(mul(xHat, overChannels(scale!, x!)), overChannels(bias!, x!))]
  },
  samples: [
    { inputs: [normal(2, 4, 3, 2), normal(4), normal(4)], attributes: { num_groups: 2 } },
    { inputs: [normal(3, 6, 4), normal(6), normal(6)], attributes: { num_groups: 3, epsilon: 0.1 } },
  ],
})
/** Each group of channels of each example by its own mean and variance (Wu and He 2018): x [N, C, …], scale and bias [C]. */
export const groupNormalization = (
  x: Value,
  groups: number,
  { scale, bias }: { scale: Value; bias: Value },
  options: { epsilon?: number } = {},
): Value => apply1(GroupNormalization, [x, scale, bias], { num_groups: groups, ...options })

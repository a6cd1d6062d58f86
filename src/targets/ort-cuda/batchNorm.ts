// Batch normalization in as few nodes as it takes (a node is a launch, some microseconds whatever it computes): x is
// centred once, which makes the variance one sum of squares.

import { isKnown, sizeOf } from '../../graph/shape.js'
import { constant, type Value } from '../../graph/value.js'
import {
  add,
  batchNormalization,
  div,
  mul,
  reciprocal,
  reduceSum,
  reduceSumSquare,
  reshape,
  sqrt,
  sub,
} from '../../ops/index.js'
import { portable } from '../portable/index.js'
import type { Expansions } from '../target.js'

/** The axes of places, beside the batch and the channels. */
const placesOf = (x: Value) => x.shape.map((_, axis) => axis).slice(2)

/**
 * Σ over everything but the channels, by places first: ONNX Runtime has fast kernels for axes that lie side by side, and for
 * others asks cuDNN, which takes some five times as long (its pull requests 8067 and 8976).
 */
const sum = (x: Value, keepdims: 0 | 1 = 0, ofPlaces = reduceSum): Value =>
  x.shape.length > 2
    ? reduceSum(ofPlaces(x, placesOf(x), { keepdims }), [0], { keepdims })
    : ofPlaces(x, [0], { keepdims })
const zeros = (like: Value) => constant(like.dtype, new Float64Array(like.shape[0] as number))

/** What the gradient of a batch norm uses again. */
interface Kept {
  /** x − mean */
  readonly centred: Value
  /** Biased, [C]. */
  readonly variance: Value
  readonly epsilon: number
}

/**
 * The expansions for one graph: a gradient finds again what its batch norm kept.
 * @param images how many images a batch has: a number, or float32 []
 */
export function batchNorms(
  images: (x: Value) => Value | number,
): Pick<Expansions, 'BatchNormTraining' | 'BatchNormGrad'> {
  const kept = new Map<Value, Kept>()
  const counts = new Map<string, Value>()
  /** Elements a channel; the same Value each time, so that vectors of one size can be put together. */
  const countOf = (x: Value): Value | number => {
    const places = sizeOf(x.shape.slice(2)) as number
    const batch = images(x)
    if (typeof batch === 'number') return batch * places
    const key = String(places)
    const known = counts.get(key) ?? mul(batch, places)
    counts.set(key, known)
    return known
  }
  const inverseOf = (x: Value): Value | number => {
    const count = countOf(x)
    return typeof count === 'number' ? 1 / count : reciprocal(count)
  }
  /** n/(n − 1) */
  const unbiasing = (x: Value): Value | number => {
    const n = countOf(x)
    return typeof n === 'number' ? n / (n - 1) : div(n, sub(n, 1))
  }
  const isUsual = (x: Value) => x.dtype === 'float32' && isKnown(sizeOf(x.shape.slice(1)))

  return {
    BatchNormTraining(inputs, attributes) {
      const [x, scale, shift, runningMean, runningVariance] = inputs as [Value, Value, Value, Value, Value]
      if (!isUsual(x)) return portable.expansions.BatchNormTraining(inputs, attributes)
      const { epsilon, momentum } = attributes
      const wideMean = mul(sum(x, 1), inverseOf(x))
      const centred = sub(x, wideMean)
      const variance = mul(sum(centred, 0, reduceSumSquare), inverseOf(x))
      const mean = reshape(wideMean, [-1])
      kept.set(mean, { centred, variance, epsilon })
      const move = (running: Value, batch: Value) => add(mul(running, momentum), mul(batch, 1 - momentum))
      return [
        batchNormalization(centred, { scale, shift, mean: zeros(mean), variance }, { epsilon }),
        move(runningMean, mean),
        move(runningVariance, mul(variance, unbiasing(x))),
        mean,
        reciprocal(sqrt(add(variance, epsilon))),
      ]
    },

    /**
     * With c = x − mean, v = variance + ε, p = Σ dy and q = Σ dy·c:
     *   dx = scale/√v · (dy − p/n) − scale·q/(n·v) · c/√v, which is one batch norm of dy less one of c;
     *   dscale = q/√v, dshift = p.
     */
    BatchNormGrad(inputs) {
      const [dy, x, scale, mean] = inputs as [Value, Value, Value, Value]
      const found = kept.get(mean)
      if (!found) return portable.expansions.BatchNormGrad(inputs, {})
      const { centred, variance, epsilon } = found
      const p = sum(dy)
      const q = sum(mul(dy, centred))
      const v = add(variance, epsilon)
      const shift = zeros(mean)
      const straight = batchNormalization(dy, { scale, shift, mean: mul(p, inverseOf(x)), variance }, { epsilon })
      const slope = mul(scale, div(mul(q, inverseOf(x)), v))
      const bent = batchNormalization(centred, { scale: slope, shift, mean: shift, variance }, { epsilon })
      return [sub(straight, bent), mul(q, reciprocal(sqrt(v))), p]
    },
  }
}

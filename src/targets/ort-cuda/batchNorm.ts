// Batch normalization in as few nodes as it takes (a node is a launch, some microseconds whatever it computes): x is
// centred once, which makes the variance one sum of squares and every later mean zero.

import { isKnown, sizeOf } from '../../graph/shape.js'
import { constant, type Value } from '../../graph/value.js'
import {
  add,
  batchNormalization,
  div,
  mul,
  reciprocal,
  reduceMean,
  reduceSumSquare,
  reshape,
  sqrt,
  sub,
} from '../../ops/index.js'
import { portable } from '../portable/index.js'
import type { Expansions } from '../target.js'

const besideChannels = (x: Value) => x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
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
  const inverseOf = (count: Value | number): Value | number =>
    typeof count === 'number' ? 1 / count : reciprocal(count)
  const unbiasing = (n: Value | number): Value | number => (typeof n === 'number' ? n / (n - 1) : div(n, sub(n, 1)))
  const isUsual = (x: Value) => x.dtype === 'float32' && isKnown(sizeOf(x.shape.slice(1)))

  return {
    BatchNormTraining(inputs, attributes) {
      const [x, scale, shift, runningMean, runningVariance] = inputs as [Value, Value, Value, Value, Value]
      if (!isUsual(x)) return portable.expansions.BatchNormTraining(inputs, attributes)
      const { epsilon, momentum } = attributes
      const count = countOf(x)
      const wideMean = reduceMean(x, besideChannels(x))
      const centred = sub(x, wideMean)
      const variance = mul(reduceSumSquare(centred, besideChannels(x), { keepdims: 0 }), inverseOf(count))
      const mean = reshape(wideMean, [-1])
      kept.set(mean, { centred, variance, epsilon })
      const unbiased = mul(variance, unbiasing(count))
      const move = (running: Value, batch: Value) => add(mul(running, momentum), mul(batch, 1 - momentum))
      return [
        batchNormalization(centred, { scale, shift, mean: zeros(mean), variance }, { epsilon }),
        move(runningMean, mean),
        move(runningVariance, unbiased),
        mean,
        reciprocal(sqrt(add(variance, epsilon))),
      ]
    },

    /**
     * With c = x − mean, v = variance + ε, m = E dy and q = E dy·c:
     *   dx = scale/√v · (dy − m) − scale·q/v · c/√v, which is one batch norm of dy less one of c;
     *   dscale = n·q/√v, dshift = n·m.
     */
    BatchNormGrad(inputs) {
      const [dy, x, scale, mean] = inputs as [Value, Value, Value, Value]
      const found = kept.get(mean)
      if (!found) return portable.expansions.BatchNormGrad(inputs, {})
      const { centred, variance, epsilon } = found
      const count = countOf(x)
      const m = reduceMean(dy, besideChannels(dy), { keepdims: 0 })
      const q = reduceMean(mul(dy, centred), besideChannels(dy), { keepdims: 0 })
      const v = add(variance, epsilon)
      const shift = zeros(mean)
      const straight = batchNormalization(dy, { scale, shift, mean: m, variance }, { epsilon })
      const slope = mul(scale, div(q, v))
      const bent = batchNormalization(centred, { scale: slope, shift, mean: shift, variance }, { epsilon })
      return [sub(straight, bent), mul(mul(q, reciprocal(sqrt(v))), count), mul(m, count)]
    },
  }
}

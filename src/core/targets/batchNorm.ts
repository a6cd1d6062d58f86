// Batch normalization in other operators: means over channels, little vectors, and passes that apply them. The algebra is
// the same for every target; how a target takes the means and makes the passes is its own (Forms).

import { isKnown, sizeOf } from '../graph/shape.js'
import { scope, type Value } from '../graph/value.js'
import { add, cast, div, max, mul, neg, reciprocal, size, sqrt, sub } from '../ops/index.js'
import type { Expansions } from './target.js'

/** Vectors over channels, [C]. The variance and 1/√variance say the same; a target takes the one that it needs. */
export interface Normalization {
  readonly scale: Value
  readonly shift: Value
  readonly mean: Value
  readonly variance: Value
  readonly inverse: Value
}

/** x, y: [N, C, …]; means are vectors [C] over everything but the channels. */
export interface Forms {
  mean(x: Value): Value
  /** E x² */
  meanSquare(x: Value): Value
  /** E x·y */
  meanProduct(x: Value, y: Value): Value
  /** scale·(x − mean)/√variance + shift */
  normalize(x: Value, vectors: Normalization): Value
  /** a·x + y with a [C]. */
  scaleAdd(x: Value, a: Value, y: Value): Value
}

/** Elements a channel: a number where the shape is known, else a scalar of the graph. */
function countPerChannel(x: Value, vector: Value): Value | number {
  const total = sizeOf(x.shape)
  const channels = vector.shape[0]!
  if (isKnown(total) && isKnown(channels)) return total / channels
  return div(cast(size(x), x.dtype), cast(size(vector), x.dtype))
}

/** n/(n − 1) */
const unbiasing = (n: Value | number): Value | number => (typeof n === 'number' ? n / (n - 1) : div(n, sub(n, 1)))

/** The running mean and the running variance, moved to those of a batch x; its variance comes biased. */
export function moveStatistics(
  x: Value,
  [runningMean, runningVariance]: readonly [Value, Value],
  [mean, variance]: readonly [Value, Value],
  momentum: number,
): readonly [Value, Value] {
  const unbiased = scope('unbiased', () => mul(variance, unbiasing(countPerChannel(x, mean))))
  const move = (running: Value, batch: Value) => add(mul(running, momentum), mul(batch, 1 - momentum))
  return [
    scope('next_mean', () => move(runningMean, mean)),
    scope('next_variance', () => move(runningVariance, unbiased)),
  ]
}

export const batchNormBy = (forms: Forms): Pick<Expansions, 'BatchNormTraining' | 'BatchNormGrad'> => ({
  /** Var x = E x² − (E x)², held at zero or above where rounding would cross it. */
  BatchNormTraining([x, scale, shift, runningMean, runningVariance], { epsilon, momentum }) {
    const mean = scope('mean', () => forms.mean(x!))
    const square = scope('mean_square', () => forms.meanSquare(x!))
    const variance = scope('variance', () => max(sub(square, mul(mean, mean)), 0))
    const widened = scope('widened', () => add(variance, epsilon))
    const inverse = scope('inverse', () => reciprocal(sqrt(widened)))
    return [
      scope('normalized', () =>
        forms.normalize(x!, { scale: scale!, shift: shift!, mean, variance: widened, inverse }),
      ),
      ...moveStatistics(x!, [runningMean!, runningVariance!], [mean, variance], momentum),
      mean,
      inverse,
    ]
  },

  /**
   * With a = scale·s and means m₁ = E dy = dshift/n and m₂ = E dy·x̂ = s·(E dy·x − mean·m₁) = dscale/n:
   *   dx = a·(dy − m₁ − x̂·m₂) = a·dy + [x normalized with scale −a·m₂ and shift −a·m₁],
   * so that x̂ itself is never formed.
   */
  BatchNormGrad([dy, x, scale, mean, inverse]) {
    const m1 = scope('m1', () => forms.mean(dy!))
    const m2 = scope('m2', () => mul(inverse!, sub(forms.meanProduct(dy!, x!), mul(mean!, m1))))
    const a = scope('a', () => mul(scale!, inverse!))
    const variance = scope('variance', () => reciprocal(mul(inverse!, inverse!)))
    const centred = scope('centred', () => {
      const down = neg(a)
      const vectors = { scale: mul(down, m2), shift: mul(down, m1), mean: mean!, variance, inverse: inverse! }
      return forms.normalize(x!, vectors)
    })
    const count = scope('count', () => countPerChannel(x!, scale!))
    return [
      scope('dx', () => forms.scaleAdd(dy!, a, centred)),
      scope('dscale', () => mul(m2, count)),
      scope('dshift', () => mul(m1, count)),
    ]
  },
})

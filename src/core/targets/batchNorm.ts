// Batch normalization in other operators: means over channels, little vectors, and passes that apply them. The algebra is
// the same for every target; how a target takes the means and makes the passes is its own (Forms).

import { scope, type Value } from '../graph/value.js'
import { add, countPerChannel, max, movedStatistics, mul, neg, reciprocal, sqrt, sub } from '../ops/index.js'
import type { Expansions } from './target.js'

/** Vectors over channels, [C]; inverse is 1/√variance. */
export interface Normalization {
  readonly scale: Value
  readonly shift: Value
  readonly mean: Value
  readonly inverse: Value
  /** Where it is there as well. */
  readonly variance?: Value
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

/** Batch normalization and its gradient in other operators. */
export type BatchNormExpansions = Required<Pick<Expansions, 'BatchNormTraining' | 'BatchNormGrad'>>

export const batchNormBy = (forms: Forms): BatchNormExpansions => ({
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
      ...movedStatistics([runningMean!, runningVariance!], [mean, variance], momentum, countPerChannel(x!, mean)),
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
    const centred = scope('centred', () => {
      const down = neg(a)
      const vectors = { scale: mul(down, m2), shift: mul(down, m1), mean: mean!, inverse: inverse! }
      return forms.normalize(x!, vectors)
    })
    const count = countPerChannel(x!, scale!)
    return [
      scope('dx', () => forms.scaleAdd(dy!, a, centred)),
      scope('dscale', () => mul(m2, count)),
      scope('dshift', () => mul(m1, count)),
    ]
  },
})

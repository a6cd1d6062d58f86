// Batch normalization in other operators: means over channels, little vectors, and passes that apply them. The algebra is
// the same for every target; how a target takes the means and makes the passes is its own (Forms).

import type { Value } from '../graph/value.js'
import { add, cast, div, max, mul, neg, reciprocal, size, sqrt, sub } from '../ops/index.js'
import type { Expansions } from './target.js'

/** Vectors over channels, [C]. */
export interface Normalization {
  readonly scale: Value
  readonly shift: Value
  readonly mean: Value
  readonly variance: Value
}

/** x, y: [N, C, …]; means are vectors [C] over everything but the channels. */
export interface Forms {
  mean(x: Value): Value
  /** E x² */
  meanSquare(x: Value): Value
  /** E x·y */
  meanProduct(x: Value, y: Value): Value
  /** scale·(x − mean)/√(variance + epsilon) + shift */
  normalize(x: Value, vectors: Normalization, epsilon: number): Value
  /** a·x + y with a [C]. */
  scaleAdd(x: Value, a: Value, y: Value): Value
}

/** Elements a channel, as a scalar of the graph: the batch size need not be known. */
const countPerChannel = (x: Value, scale: Value) => div(cast(size(x), x.dtype), cast(size(scale), x.dtype))

export const batchNormBy = (forms: Forms): Pick<Expansions, 'BatchNormTraining' | 'BatchNormGrad'> => ({
  /** Var x = E x² − (E x)², held at zero or above where rounding would cross it. */
  BatchNormTraining([x, scale, shift, runningMean, runningVariance], { epsilon, momentum }) {
    const count = countPerChannel(x!, scale!)
    const mean = forms.mean(x!)
    const variance = max(sub(forms.meanSquare(x!), mul(mean, mean)), 0)
    const unbiased = mul(variance, div(count, sub(count, 1)))
    const move = (running: Value, batch: Value) => add(mul(running, momentum), mul(batch, 1 - momentum))
    return [
      forms.normalize(x!, { scale: scale!, shift: shift!, mean, variance }, epsilon),
      move(runningMean!, mean),
      move(runningVariance!, unbiased),
      mean,
      reciprocal(sqrt(add(variance, epsilon))),
    ]
  },

  /**
   * With a = scale·s and means m₁ = E dy = dshift/n and m₂ = E dy·x̂ = s·(E dy·x − mean·m₁) = dscale/n:
   *   dx = a·(dy − m₁ − x̂·m₂) = a·dy + [x normalized with scale −a·m₂ and shift −a·m₁],
   * so that x̂ itself is never formed.
   */
  BatchNormGrad([dy, x, scale, mean, inverse]) {
    const m1 = forms.mean(dy!)
    const m2 = mul(inverse!, sub(forms.meanProduct(dy!, x!), mul(mean!, m1)))
    const a = mul(scale!, inverse!)
    const variance = reciprocal(mul(inverse!, inverse!))
    const rest = forms.normalize(x!, { scale: neg(mul(a, m2)), shift: neg(mul(a, m1)), mean: mean!, variance }, 0)
    const count = countPerChannel(x!, scale!)
    return [forms.scaleAdd(dy!, a, rest), mul(m2, count), mul(m1, count)]
  },
})

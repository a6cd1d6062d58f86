// Batch normalization in as few nodes as it takes (a node is a launch, some microseconds whatever it computes): one node
// standardizes x by the statistics of the batch and gives them too. Its gradient reads what that node kept.

import { isKnown, sizeOf } from '../../../core/graph/shape.js'
import { constant, nodeOf, type Value } from '../../../core/graph/value.js'
import { batchNormalization, max, movedStatistics, mul, reciprocal, reduceMean, sub } from '../../../core/ops/index.js'
import type { BatchNormExpansions } from '../../../core/targets/batchNorm.js'
import { portable } from '../../../core/targets/portable/index.js'
import { BatchNormalization9, standardized } from './batchNormalization9.js'

/** Numbers an example, up to which all axes are reduced at once. */
const SMALL = 8192

/**
 * The mean over everything but the channels, [C]: of large examples places first, because ONNX Runtime has fast kernels for axes
 * that lie side by side; of small ones in one node, because starting a second one takes longer. Measured on an H200, batch 128,
 * mean and mean square: 64 × 32 × 32 in 188 µs, against 494 µs by all three axes at once; a node more takes 11 µs to start.
 */
const mean = (x: Value): Value => {
  const places = x.shape.map((_, axis) => axis).slice(2)
  const small = (sizeOf(x.shape.slice(1)) as number) <= SMALL
  if (small || places.length === 0) return reduceMean(x, [0, ...places], { keepdims: 0 })
  return reduceMean(reduceMean(x, places, { keepdims: 0 }), [0], { keepdims: 0 })
}

const full = (x: Value, value: number) => constant(x.dtype, new Float64Array(x.shape[1] as number).fill(value))

/** scale · x + shift, over channels. */
const affine = (x: Value, { scale, shift }: { readonly scale: Value; readonly shift: Value }): Value =>
  batchNormalization(x, { scale, shift, mean: full(x, 0), variance: full(x, 1) }, { epsilon: 0 })

const isUsual = (x: Value) => x.dtype === 'float32' && isKnown(sizeOf(x.shape.slice(1)))

/** @param examples how many a batch has: a number, or float32 [] */
export function batchNorms(examples: (x: Value) => Value | number): BatchNormExpansions {
  /** Elements a channel. */
  const countOf = (x: Value): Value | number => {
    const places = sizeOf(x.shape.slice(2)) as number
    const batch = examples(x)
    return typeof batch === 'number' ? batch * places : mul(batch, places)
  }
  return {
    BatchNormTraining(inputs, attributes) {
      const [x, scale, shift, runningMean, runningVariance] = inputs as [Value, Value, Value, Value, Value]
      if (!isUsual(x)) return portable.expansions.BatchNormTraining(inputs, attributes)
      const { epsilon, momentum } = attributes
      const { xHat, mean, inverse } = standardized(x, epsilon)
      const variance = max(sub(reciprocal(mul(inverse, inverse)), epsilon), 0)
      const running = [runningMean, runningVariance] as const
      return [
        affine(xHat, { scale, shift }),
        ...movedStatistics(running, [mean, variance], momentum, countOf(x)),
        mean,
        inverse,
      ]
    },

    /** With m₁ = E dy and m₂ = E dy·x̂: dx = scale · inverse · (dy − (m₁ + m₂·x̂)), dscale = n·m₂, dshift = n·m₁. */
    BatchNormGrad(inputs) {
      const [dy, x, scale, batchMean, inverse] = inputs as [Value, Value, Value, Value, Value]
      const forward = nodeOf(batchMean)
      if (forward?.operator !== BatchNormalization9) return portable.expansions.BatchNormGrad(inputs, {})
      const xHat = forward.outputs[0]!
      const m1 = mean(dy)
      const m2 = mean(mul(dy, xHat))
      const rest = sub(dy, affine(xHat, { scale: m2, shift: m1 }))
      // A node less than Mul, which would want the factors in another shape.
      const dx = affine(rest, { scale: mul(scale, inverse), shift: full(dy, 0) })
      return [dx, mul(m2, countOf(x)), mul(m1, countOf(x))]
    },
  }
}

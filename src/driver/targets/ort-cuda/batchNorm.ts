// Batch normalization in as few nodes as it takes (a node is a launch, some microseconds whatever it computes): one node
// standardizes x by the statistics of the batch and gives them too. Its gradient reads what that node kept.

import { isKnown, sizeOf } from '../../../core/graph/shape.js'
import { nodeOf, type Value } from '../../../core/graph/value.js'
import { max, movedStatistics, mul, reciprocal, sub } from '../../../core/ops/index.js'
import type { BatchNormExpansions } from '../../../core/targets/batchNorm.js'
import { portable } from '../../../core/targets/portable/index.js'
import { affine, standardizedGrad } from '../gpu/batchNorm.js'
import { BatchNormalization9, standardized } from './batchNormalization9.js'

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

    BatchNormGrad(inputs) {
      const [dy, x, scale, batchMean, inverse] = inputs as [Value, Value, Value, Value, Value]
      const forward = nodeOf(batchMean)
      if (forward?.operator !== BatchNormalization9) return portable.expansions.BatchNormGrad(inputs, {})
      return standardizedGrad(dy, { xHat: forward.outputs[0]!, scale, inverse, count: countOf(x) })
    },
  }
}

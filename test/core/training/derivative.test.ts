// The derivative of whole steps, without trusting any rule of ours: central differences of the loss along random
// directions in all parameters at once, where forward pass and cross-entropy alone are evaluated.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { isFloat, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { randomStream } from '../../../src/core/random.js'
import { trainingForm } from '../../../src/core/training/mode.js'
import { disturbed, tinyBatch, tinyNames, tinyNetwork } from '../../support/networks.js'
import type { Tensors } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

/** Mean over the batch of log Σ e^z − z[label], in plain numbers. */
function crossEntropy({ shape, data }: Numbers, labels: Numbers): number {
  const classes = shape[1]!
  const each = Array.from(labels.data, (label, i) => {
    const row = Array.from(data.subarray(i * classes, (i + 1) * classes))
    return Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[label]!
  })
  return each.reduce((sum, value) => sum + value, 0) / each.length
}

const plain = { momentum: 0.9, weightDecay: 0, nesterov: false }
const STEP = 1e-6
const DIRECTIONS = 3

describe('the gradient of a whole step against central differences of its loss', () => {
  it.each(tinyNames.flatMap((name) => [true, false].map((recompute) => [name, recompute] as const)))(
    '%s, recompute: %s',
    (name, recompute) => {
      const network = tinyNetwork(name)
      const step = sgdStep(network, plain, { recompute })
      const forward = trainingForm(network).graph
      const batch = tinyBatch(step.graph, 3)
      const state: Tensors = disturbed(step.graph, 9)
      const weights = step.graph.parameters.filter(({ origin }) => origin.trainable)
      const momenta = weights.map(({ origin }): [string, Numbers] => {
        const { dtype, shape, data } = state.get(origin.name)!
        return [`${origin.name}.momentum`, numbers(dtype, shape, new Float64Array(data.length))]
      })
      // From rest and without decay the new velocity is the gradient.
      const after = evaluate(step.graph, new Map([...state, ...momenta, ...batch]))

      const lossAt = (moved: Tensors) =>
        crossEntropy(evaluate(forward, new Map([...state, ...batch, ...moved])).get('logits')!, batch.get('labels')!)
      expect(after.get('loss')!.data[0]).toBeCloseTo(lossAt(new Map()), 12)
      for (let k = 0; k < DIRECTIONS; k++) {
        const random = randomStream(21, name, k)
        const direction = new Map(
          weights.map(({ origin }) => [origin.name, state.get(origin.name)!.data.map(() => random.normal())]),
        )
        const at = (sign: number): Tensors =>
          new Map(
            [...direction].map(([key, d]) => {
              const { dtype, shape, data } = state.get(key)!
              expect(isFloat(dtype)).toBe(true)
              return [
                key,
                numbers(
                  dtype,
                  shape,
                  data.map((v, i) => v + sign * STEP * d[i]!),
                ),
              ]
            }),
          )
        const numeric = (lossAt(at(1)) - lossAt(at(-1))) / (2 * STEP)
        let derived = 0
        for (const [key, d] of direction) {
          const velocity = after.get(`${key}.momentum.next`)!.data
          derived += velocity.reduce((sum, v, i) => sum + v * d[i]!, 0)
        }
        const error = Math.abs(derived - numeric) / Math.max(1, Math.abs(numeric))
        expect(error, `direction ${k}: ${derived} against ${numeric}`).toBeLessThan(1e-7)
      }
    },
  )
})

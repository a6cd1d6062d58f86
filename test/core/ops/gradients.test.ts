// Every operator record against central differences in float64, along random directions.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import type { Operator } from '../../../src/core/graph/operator.js'
import { isFloat, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { input, type Value } from '../../../src/core/graph/value.js'
import { operators } from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { isDifferentiable, rows, trial } from '../../support/samples.js'

const dot = (a: Numbers, b: Numbers) => a.data.reduce((sum, value, i) => sum + value * b.data[i]!, 0)

/** Σ seed · y over all differentiable outputs, and its gradient at each input. */
function check(inputs: readonly Value[], outputs: readonly Value[], feeds: ReadonlyMap<Value, Numbers>, key: string) {
  const random = randomStream(11, key)
  const drawLike = (shape: readonly number[]) =>
    numbers(
      'float32',
      shape,
      Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
    )
  for (const y of outputs) {
    const seed = input('seed', y.dtype, y.shape)
    const known = new Map(feeds).set(seed, drawLike(evaluateValues([y], feeds)[0]!.shape))
    const value = (at: ReadonlyMap<Value, Numbers>) => dot(evaluateValues([y], at)[0]!, known.get(seed)!)
    const grads = evaluateValues(gradients(y, inputs, { seed }), known)
    inputs.forEach((x, i) => {
      const base = feeds.get(x)!
      const direction = drawLike(base.shape)
      const step = 1e-5
      const at = (sign: number) =>
        new Map(feeds).set(
          x,
          numbers(
            base.dtype,
            base.shape,
            base.data.map((v, k) => v + sign * step * direction.data[k]!),
          ),
        )
      const numeric = (value(at(1)) - value(at(-1))) / (2 * step)
      const derived = dot(grads[i]!, direction)
      expect(Math.abs(derived - numeric), `input ${i}: ${derived} against ${numeric}`).toBeLessThan(
        1e-7 * Math.max(1, Math.abs(numeric)),
      )
    })
  }
}

type Feeds = ReadonlyMap<Value, Numbers>
// What rounds moves in steps: quantize.test.ts has its gradients.
const differentiable = operators.filter((operator) => isDifferentiable(operator) && !operator.straightThrough)
/** Outputs that have a gradient; statistics, probabilities and places do not. */
const outputsOf = ({ differentiable }: Operator, outputs: readonly Value[]) =>
  outputs.filter((y, i) => isFloat(y.dtype) && (differentiable?.outputs?.includes(i) ?? true))
/** Inputs that have one, of those that are fed; not labels, indices, masks, and what ReLU's mask is made from. */
const inputsOf = ({ differentiable }: Operator, inputs: readonly (Value | undefined)[], feeds: Feeds) =>
  inputs.filter(
    (x, i): x is Value => !!x && feeds.has(x) && isFloat(x.dtype) && (differentiable?.inputs?.includes(i) ?? true),
  )

describe('gradients against central differences', () => {
  it.each(rows(differentiable))('$name', ({ name, operator, index }) => {
    const { inputs, outputs, feeds } = trial(operator, index)
    check(inputsOf(operator, inputs, feeds), outputsOf(operator, outputs), feeds, name)
  })
})

describe('second derivatives: the gradient graph differentiates again', () => {
  const twice = differentiable.filter(({ name }) => !/^(BatchNorm|SoftmaxCrossEntropy)/.test(name))
  it.each(rows(twice))('$name', ({ name, operator, index }) => {
    const { inputs, outputs, feeds } = trial(operator, index)
    const [y] = outputsOf(operator, outputs)
    if (!y) return
    const wrt = inputsOf(operator, inputs, feeds)
    const seed = input('dy', y.dtype, y.shape)
    const random = randomStream(13, name)
    const { shape, data } = evaluateValues([y], feeds)[0]!
    const known = new Map(feeds).set(
      seed,
      numbers(
        'float32',
        shape,
        data.map(() => random.normal()),
      ),
    )
    check([...wrt, seed], gradients(y, wrt, { seed }), known, `${name} twice`)
  })
})

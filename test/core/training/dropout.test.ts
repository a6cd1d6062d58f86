// Dropout in a training step: the gradient goes through the mask that the forward pass had, evaluation has none.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { input, parameter } from '../../../src/core/graph/value.js'
import { outputLoss } from '../../../src/core/losses/index.js'
import { exportModel } from '../../../src/core/model/write.js'
import { dropout, mul, reduceSum } from '../../../src/core/ops/index.js'
import { sgd } from '../../../src/core/optimizers/index.js'
import { trainingStep } from '../../../src/core/training/step.js'
import { openModel, type Tensors } from '../../support/runtime.js'

const FEATURES = 40
const RATIO = 0.3
/** The ratio in whole parts of 509², and what is kept is scaled by just that. */
const SCALE = 1 / (1 - Math.round(RATIO * 509 ** 2) / 509 ** 2)

/** Σ dropout(dropout(x · w) · v): twice, by masks of their own. */
function network(): Graph {
  const x = input('x', 'float32', ['batch', FEATURES])
  const ones = { kind: 'constant', value: 1 } as const
  const first = dropout(mul(x, parameter('w', [FEATURES], ones)), RATIO)
  const second = dropout(mul(first, parameter('v', [FEATURES], ones)), RATIO)
  return graph('dropped', [x], { first, second, loss: reduceSum(second, [0, 1], { keepdims: 0 }) })
}

const wave = (start: number) => Array.from({ length: FEATURES }, (_, i) => 1.5 + Math.sin(i + start))
const scalar = (value: number) => numbers('float32', [], [value])
const [w, v, x] = [wave(1), wave(2), wave(3)]
const feeds: Tensors = new Map([
  ['w', numbers('float32', [FEATURES], w)],
  ['v', numbers('float32', [FEATURES], v)],
  ['x', numbers('float32', [1, FEATURES], x)],
  ['learning_rate', scalar(1)],
  ['seeds', numbers('float32', [4], [7, 100, 301, 508])],
])
const options = { loss: outputLoss('loss'), optimizer: sgd({ momentum: 0 }) }

/** With a rate of 1 the gradients are read from the weights. */
function expectOneMask(outputs: Tensors, digits: number): string {
  const gradientOf = (name: string, before: readonly number[]) =>
    before.map((value, i) => value - outputs.get(`${name}.next`)!.data[i]!)
  // d/dv = x·w·m₁·m₂ and d/dw = x·v·m₁·m₂.
  const both = gradientOf('v', v).map((g, i) => g / (x[i]! * w[i]!))
  gradientOf('w', w).forEach((g, i) => {
    expect(g / (x[i]! * v[i]!), `place ${i}`).toBeCloseTo(both[i]!, digits)
  })
  for (const mask of both)
    expect(Math.min(Math.abs(mask), Math.abs(mask - SCALE ** 2)), `${mask}`).toBeLessThan(10 ** -digits)
  const loss = both.reduce((sum, mask, i) => sum + x[i]! * w[i]! * v[i]! * mask, 0)
  expect(outputs.get('step.loss')!.data[0]! / loss).toBeCloseTo(1, digits)
  return both.map((mask) => (mask > 0.5 ? 1 : 0)).join('')
}

describe('a step', () => {
  it('has one mask, forward and backward, in float64 and in ONNX Runtime', async () => {
    const step = trainingStep(network(), options)
    const exact = expectOneMask(evaluate(step.graph, feeds), 10)
    // Half of the numbers come through twice 0.7.
    expect(exact).toMatch(/01|10/)
    for (const inline of [false, true]) {
      const file = exportModel(network(), { recipe: recipes.paper, seed: 1, part: 'train', inline, ...options })
      const model = await openModel(file)
      expect(expectOneMask(await model.run(feeds), 4)).toBe(exact)
      await model.close()
    }
  })

  it('has another mask with other seeds', () => {
    const step = trainingStep(network(), options)
    const masks = [
      [7, 100, 301, 508],
      [8, 100, 301, 508],
      [7, 100, 301, 0],
    ].map((seeds) =>
      expectOneMask(evaluate(step.graph, new Map([...feeds, ['seeds', numbers('float32', [4], seeds)]])), 10),
    )
    expect(new Set(masks).size).toBe(3)
  })
})

describe('evaluation', () => {
  it('leaves everything as it is, in float64 and in ONNX Runtime', async () => {
    const exact = evaluate(network(), feeds)
    const model = await openModel(
      exportModel(network(), {
        recipe: recipes.paper,
        seed: 1,
        part: 'infer',
        weights: new Map(
          (['w', 'v'] as const).map((name) => {
            return [name, { dtype: 'float32', shape: [FEATURES], data: Float32Array.from(feeds.get(name)!.data) }]
          }),
        ),
        ...options,
      }),
    )
    const inRuntime = await model.run(feeds)
    await model.close()
    x.forEach((value, i) => {
      const expected = [value * w[i]!, value * w[i]! * v[i]!]
      for (const [k, name] of ['first', 'second'].entries()) {
        expect(exact.get(name)!.data[i]).toBeCloseTo(expected[k]!, 12)
        expect(inRuntime.get(name)!.data[i]! / expected[k]!).toBeCloseTo(1, 6)
      }
    })
  })
})

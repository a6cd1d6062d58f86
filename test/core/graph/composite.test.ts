// An operator of one's own, made of others: its shape, its gradient and its numbers come from its body, and a file has it as one
// node.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { composite } from '../../../src/core/graph/composite.js'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { float } from '../../../src/core/graph/operator.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply, apply1, GraphError, input, type Value } from '../../../src/core/graph/value.js'
import { linear } from '../../../src/core/layers/index.js'
import { meanSquaredError } from '../../../src/core/losses/index.js'
import { exportModel } from '../../../src/core/model/write.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { mul, reduceMean, reduceSum, sigmoid, sub } from '../../../src/core/ops/index.js'
import { trainingStep } from '../../../src/core/training/step.js'
import { modelOf, openModel, type Tensors } from '../../support/runtime.js'

/** x · σ(beta · x) (Ramachandran et al. 2017). */
const Swish = composite({
  name: 'Swish',
  attributes: { beta: float(1) },
  arity: [1, 1],
  body: ([x], { beta }) => [mul(x!, sigmoid(mul(x!, beta)))],
})
const swish = (x: Value, beta?: number) => apply1(Swish, [x], { beta })

/** Two outputs of other shapes than the input, with names of their own. */
const Centered = composite({
  name: 'Centered',
  doc: { inputs: ['x'], outputs: ['centered', 'mean'], text: 'x less its mean over the last axis, and that mean.' },
  attributes: {},
  arity: [1, 1],
  check([x]) {
    if (x!.shape.length !== 2) throw new GraphError('needs a matrix')
  },
  body([x]) {
    const mean = reduceMean(x!, [1])
    return [sub(x!, mean), mean]
  },
})

const logistic = (x: number) => 1 / (1 + Math.exp(-x))
const [rows, columns] = [3, 4]
const drawn = Array.from({ length: rows * columns }, (_, i) => 2 * Math.sin(1.3 * i + 1))

describe('what follows from the body', () => {
  const x = input('x', 'float32', ['batch', columns])

  it('the types of its outputs, with symbols', () => {
    expect(swish(x)).toMatchObject({ dtype: 'float32', shape: ['batch', columns] })
    expect(apply(Centered, [x]).map(({ shape }) => shape)).toEqual([
      ['batch', columns],
      ['batch', 1],
    ])
  })

  it('what it refuses', () => {
    expect(() => apply1(Centered, [input('v', 'float32', [3])])).toThrow('Centered: needs a matrix (inputs float32[3])')
    expect(() => swish(input('n', 'int64', [3]))).toThrow(/^Swish: (Mul|Sigmoid): /)
    expect(() => apply1(Swish, [x], { gamma: 1 } as never)).toThrow("Swish: has no attribute 'gamma'; it takes beta")
  })

  it('its numbers, and its first and second derivative', () => {
    const beta = 1.7
    const y = swish(x, beta)
    const [dy] = gradients(reduceSum(y, [0, 1], { keepdims: 0 }), [x])
    const [ddy] = gradients(reduceSum(dy!, [0, 1], { keepdims: 0 }), [x])
    const at = new Map([[x, numbers('float32', [rows, columns], drawn)]])
    const [values, first, second] = evaluateValues([y, dy!, ddy!], at)
    drawn.forEach((v, i) => {
      const s = logistic(beta * v)
      const [ds, dds] = [beta * s * (1 - s), beta ** 2 * s * (1 - s) * (1 - 2 * s)]
      expect(values!.data[i]).toBeCloseTo(v * s, 12)
      expect(first!.data[i]).toBeCloseTo(s + v * ds, 12)
      expect(second!.data[i]).toBeCloseTo(2 * ds + v * dds, 12)
    })
  })

  it('the gradient through each of its outputs', () => {
    const [centered, mean] = apply(Centered, [x])
    // Σ centered² + Σ mean²: derivatives 2·centered and 2·mean/columns.
    const squares = (value: Value) => reduceSum(mul(value, value), [0, 1], { keepdims: 0 })
    const found = [squares(centered!), squares(mean!)].map((loss) => gradients(loss, [x])[0]!)
    const feeds = new Map([[x, numbers('float32', [rows, columns], drawn)]])
    const [ofCentered, ofMean] = evaluateValues(found, feeds)
    drawn.forEach((v, i) => {
      const row = drawn.slice(columns * Math.floor(i / columns), columns * (Math.floor(i / columns) + 1))
      const average = row.reduce((sum, value) => sum + value, 0) / columns
      expect(ofCentered!.data[i]).toBeCloseTo(2 * (v - average), 12)
      expect(ofMean!.data[i]).toBeCloseTo((2 * average) / columns, 12)
    })
  })
})

describe('in a file', () => {
  const network = () => {
    const x = input('x', 'float32', ['batch', columns])
    const [centered, mean] = apply(Centered, [linear(x, 'hidden', 5)])
    return graph('swishing', [x], { y: linear(swish(mul(swish(centered!), mean!), 2), 'out', 1) })
  }
  const options = { recipe: recipes.paper, seed: 3, loss: meanSquaredError(), part: 'train' } as const

  it('is one node a call, of one local function for each set of attributes', () => {
    const { graph: step, functions } = decodeModel(exportModel(network(), options))
    const called = step!.node!.filter(({ domain }) => domain === 'rdm.training').map(({ opType }) => opType!)
    expect(called.filter((name) => /^(Swish|Centered)/.test(name)).sort()).toEqual(['Centered', 'Swish', 'Swish_b2'])
    const own = functions!.filter(({ name }) => /^(Swish|Centered)/.test(name!))
    expect(own.map(({ name, input, output }) => [name, input, output])).toEqual([
      ['Centered', ['x'], ['centered', 'mean']],
      ['Swish', ['x1'], ['y1']],
      ['Swish_b2', ['x1'], ['y1']],
    ])
    const inline = decodeModel(exportModel(network(), { ...options, inline: true }))
    expect(inline.functions).toEqual([])
    expect(inline.graph!.node!.filter(({ domain }) => domain === 'rdm.training')).toEqual([])
  })

  it('computes the same as a function and in place: that of the reference', async () => {
    const step = trainingStep(network(), { loss: meanSquaredError() })
    const wave = (shape: readonly number[], start: number) =>
      numbers(
        'float32',
        shape,
        Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(Math.sin(1.1 * i + start))),
      )
    const feeds: Tensors = new Map([
      ...step.graph.parameters.map(({ shape, origin }, i) => [origin.name, wave(shape as number[], i)] as const),
      ['x', wave([rows, columns], 20)] as const,
      ['targets', wave([rows, 1], 30)] as const,
      ...Object.entries(step.signature.hyperparameters).map(([name, value]) => {
        return [name, numbers('float32', [], [Math.fround(value ?? 0.25)])] as const
      }),
    ])
    const expected = evaluate(step.graph, feeds)
    for (const form of ['functions', 'inline'] as const) {
      for (const level of ['standard', 'basic'] as const) {
        const model = await openModel(modelOf(step.graph, form, level))
        const actual = await model.run(feeds)
        await model.close()
        for (const [name, { data }] of expected)
          data.forEach((value, i) => {
            expect(Math.abs(actual.get(name)!.data[i]! - value), `${form}, ${level}, ${name}`).toBeLessThan(1e-5)
          })
      }
    }
  })
})

// SGD, weight decay, batch statistics and running averages against numbers from elsewhere.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { batchNorm, linear } from '../../../src/core/layers/index.js'
import { cast, div, relu } from '../../../src/core/ops/index.js'
import type { TrainingStep } from '../../../src/core/training/step.js'
import { sgdStep, stateAfter } from '../../support/steps.js'

/** sin(k), sin(k + 1), … */
const wave = (k: number, shape: readonly number[], { factor = 1, offset = 0 } = {}): Numbers => {
  const count = shape.reduce((a, b) => a * b, 1)
  return numbers(
    'float32',
    shape,
    Array.from({ length: count }, (_, i) => offset + factor * Math.sin(i + k)),
  )
}

/** Linear 3 → 4, batch norm, ReLU, linear 4 → 3. */
function perceptron() {
  const images = input('images', 'uint8', ['batch', 3])
  const hidden = linear(div(cast(images, 'float32'), 255), 'hidden', 4)
  return graph('perceptron', [images], { logits: linear(relu(batchNorm(hidden, 'bn')), 'out', 3) })
}

const firstState = (): Map<string, Numbers> =>
  new Map([
    ['hidden.weight', wave(1, [4, 3])],
    ['hidden.bias', wave(2, [4])],
    ['bn.scale', wave(3, [4], { factor: 0.1, offset: 1 })],
    ['bn.shift', wave(4, [4], { factor: 0.1 })],
    ['out.weight', wave(5, [3, 4])],
    ['out.bias', wave(6, [3])],
    ['bn.running_mean', numbers('float32', [4], [0, 0, 0, 0])],
    ['bn.running_variance', numbers('float32', [4], [1, 1, 1, 1])],
  ])

const images = numbers(
  'uint8',
  [5, 3],
  Array.from({ length: 15 }, (_, i) => (37 * i + 11) % 256),
)
const batch = (rate: number, { signature }: TrainingStep): [string, Numbers][] => [
  ...Object.entries(signature.hyperparameters).map(([name, value]): [string, Numbers] => [
    name,
    numbers('float32', [], [value ?? rate]),
  ]),
  ['images', images],
  ['labels', numbers('int64', [5], [0, 2, 1, 1, 0])],
]

/**
 * Two steps in numpy 2.4 (float64), learning rate 0.5, momentum 0.9, weight decay 0.01, from the formulas of PyTorch's
 * BatchNorm1d and SGD:
 *   h = x @ w1.T + b1; mu, s2 = h.mean(0), h.var(0); xh = (h - mu) / sqrt(s2 + 1e-5); r = maximum(scale * xh + shift, 0)
 *   z = r @ w2.T + b2; dz = (softmax(z) - onehot) / 5; dy = (dz @ w2) * (r > 0); d = dy * scale
 *   dh = (d - d.mean(0) - xh * (d * xh).mean(0)) / sqrt(s2 + 1e-5); gradients dh.T @ x, dh.sum(0), (dy * xh).sum(0),
 *   dy.sum(0), dz.T @ r, dz.sum(0); each g += 0.01 p; v = 0.9 v + g; p -= 0.5 v
 *   mean = 0.9 mean + 0.1 mu; var = 0.9 var + 0.1 h.var(0, ddof=1)
 */
const expected: Record<string, readonly number[]> = {
  'hidden.weight': [
    0.860282022794, 0.816388268003, 0.408329238896, -0.850619186099, -0.897884050397, -0.15414598979, 0.705117009829,
    0.975432739878, 0.314249822447, -0.906309230681, -0.796603861467, -0.471347036509,
  ],
  'hidden.bias': [0.896135346572, 0.139077295943, -0.745847779188, -0.945043845787],
  'bn.scale': [0.508202447589, 0.541798171904, 1.034189603574, 1.2069443329],
  'bn.shift': [-0.374415824055, -0.450989849162, -0.075819189627, 0.110047114087],
  'out.weight': [
    -0.611578218246, -0.057763230996, 0.932704342782, 1.185539550083, 0.351079232435, -0.520233497841, -1.053366288821,
    -0.385464121744, 0.13569332916, 0.742747678887, 0.423498239101, -0.637580083504,
  ],
  'out.bias': [-0.004240237927, 0.944941653882, 0.406441628888],
  'bn.running_mean': [0.346881977006, -0.150143527384, 0.036954924232, -0.36519619071],
  'bn.running_variance': [0.848177585493, 0.847797585019, 0.8458017202, 0.843839311665],
  'hidden.weight.momentum': [
    -0.015725500754, 0.116723487002, -0.33011801516, 0.077713959766, -0.05513111464, -0.126309241912, -0.031484641122,
    0.010937351638, 0.094742045477, 0.439695300812, -0.266493898106, -0.073556309516,
  ],
  'bn.scale.momentum': [0.619919496354, 0.411982980257, -0.196080809671, -0.277815067131],
}
const losses = [1.5534050250246048, 1.015392807252627]
const correct = [1, 3]

const optimizer = { momentum: 0.9, weightDecay: 0.01, nesterov: false }

function withRest(step: TrainingStep, state: ReadonlyMap<string, Numbers>) {
  return new Map(
    step.graph.parameters.map(({ dtype, shape, origin }) => {
      const size = (shape as readonly number[]).reduce((a, b) => a * b, 1)
      return [origin.name, state.get(origin.name) ?? numbers(dtype, shape as number[], new Float64Array(size))]
    }),
  )
}

describe('a small perceptron', () => {
  it.each([true, false])('two steps equal those of numpy, recompute: %s', (recompute) => {
    const step = sgdStep(perceptron(), optimizer, { recompute })
    let state = withRest(step, firstState())
    for (const k of [0, 1]) {
      const outputs = evaluate(step.graph, new Map([...state, ...batch(0.5, step)]))
      expect(outputs.get('loss')!.data[0]).toBeCloseTo(losses[k]!, 12)
      expect(outputs.get('correct')!.data[0]).toBe(correct[k])
      state = stateAfter(step, outputs)
    }
    for (const [name, values] of Object.entries(expected)) {
      values.forEach((value, i) => {
        expect(state.get(name)!.data[i], `${name}[${i}]`).toBeCloseTo(value, 10)
      })
    }
  })

  it('weight decay reaches every parameter, the batch norm and biases included', () => {
    const velocities = [0, 0.01].map((weightDecay) => {
      const step = sgdStep(perceptron(), { ...optimizer, weightDecay })
      return evaluate(step.graph, new Map([...withRest(step, firstState()), ...batch(0.5, step)]))
    })
    for (const [name, { data }] of firstState()) {
      if (name.includes('running')) continue
      const [without, decayed] = velocities.map((outputs) => outputs.get(`${name}.momentum.next`)!.data)
      data.forEach((w, i) => {
        expect(decayed![i]! - without![i]!, `${name}[${i}]`).toBeCloseTo(0.01 * w, 12)
      })
    }
  })

  it('Nesterov looks ahead: w − rate · (g + momentum · v)', () => {
    const step = sgdStep(perceptron(), { momentum: 0.9, weightDecay: 0, nesterov: true })
    const rest = withRest(step, firstState())
    const state = new Map([...rest, ['out.bias.momentum', numbers('float32', [3], [0.3, -0.2, 0.1])]])
    const outputs = evaluate(step.graph, new Map([...state, ...batch(0.5, step)]))
    const [before, after] = [firstState().get('out.bias')!.data, outputs.get('out.bias.next')!.data]
    const velocity = outputs.get('out.bias.momentum.next')!.data
    ;[0.3, -0.2, 0.1].forEach((old, i) => {
      const gradient = velocity[i]! - 0.9 * old
      expect(after[i]).toBeCloseTo(before[i]! - 0.5 * (gradient + 0.9 * velocity[i]!), 12)
    })
  })
})

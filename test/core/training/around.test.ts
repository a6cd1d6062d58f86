// What stands around an optimizer: clipping, groups of parameters, averages and gradients of several batches, against PyTorch's
// numbers (test/fixtures/pytorch/write.py), in float64 and in ONNX Runtime.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { type Numbers, numbers, widen } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { batchNorm } from '../../../src/core/layers/index.js'
import { meanSquaredError } from '../../../src/core/losses/index.js'
import { accumulating } from '../../../src/core/model/accumulating.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import type { TrainableModel } from '../../../src/core/model/trainable.js'
import { exportModel } from '../../../src/core/model/write.js'
import type { Optimizer } from '../../../src/core/optimizers/index.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import type { StepOptions } from '../../../src/core/training/step.js'
import {
  type Averaged,
  around,
  batchesOf,
  expectNear,
  expectTrained,
  firstState,
  fixture,
  losses,
  networkOf,
  optimizers,
  stepOf,
  type Trained,
  trainOn,
} from '../../support/pytorch.js'
import { modelOf, openModel, type Tensors } from '../../support/runtime.js'

/** Three steps of mean squared error: in float64, and in float32 by ONNX Runtime. */
async function train(optimizer: Optimizer, options: StepOptions) {
  const step = stepOf({ loss: 'mse', optimizer, options })
  const [first, batches] = [firstState(step, 'mse'), batchesOf(step, 'mse')]
  const exact = await trainOn(step, first, batches, (feeds) => evaluate(step.graph, feeds))
  const model = await openModel(modelOf(step.graph, 'functions'))
  const inRuntime = await trainOn(step, first, batches, model.run)
  await model.close()
  return { step, exact, inRuntime }
}

async function expectBoth(optimizer: Optimizer, options: StepOptions, expected: Trained): Promise<void> {
  const { exact, inRuntime } = await train(optimizer, options)
  expectTrained(exact, expected, 1e-9)
  expectTrained(inRuntime, expected, 1e-5)
}

describe('the norm of all gradients is held (torch.nn.utils.clip_grad_norm_)', () => {
  const cases = Object.entries(around.clip).flatMap(([most, byOptimizer]) =>
    Object.entries(byOptimizer).map(([name, expected]) => [most, name, expected] as const),
  )
  it.each(cases)('to %s, %s', async (most, name, expected) => {
    await expectBoth(optimizers[name]!, { clipNorm: Number(most) }, expected)
  })

  it('to what is fed, where that is not the norm that the step was made with', async () => {
    const step = stepOf({ loss: 'mse', optimizer: optimizers.momentum!, options: { clipNorm: 5 } })
    const batches = batchesOf(step, 'mse').map(
      (batch): Tensors => new Map([...batch, ['clip_norm', numbers('float32', [], [0.3])]]),
    )
    const run = await trainOn(step, firstState(step, 'mse'), batches, (feeds) => evaluate(step.graph, feeds))
    expectTrained(run, around.clip['0.3']!.momentum!, 1e-9)
  })
})

describe('groups of parameters have rates and decays of their own, or stay as they are', () => {
  const groups = [
    { pattern: 'hidden.*', frozen: true },
    // A later one counts before an earlier one, in what it says.
    { pattern: '*.bias', frozen: false, learningRate: 2, weightDecay: 0.5 },
  ]
  const named = { sgd: optimizers['weight-decay']!, adamw: optimizers.adamw! }
  it.each(Object.entries(named))('%s', async (name, optimizer) => {
    await expectBoth(optimizer, { groups }, around.groups[name]!)
  })

  it('keep nothing for a weight that is frozen', async () => {
    const { step } = await train(named.sgd, { groups })
    expect(Object.values(step.signature.updates).filter((state) => state.startsWith('hidden.weight'))).toEqual([])
  })
})

describe('the network predicts with an average of the weights that train', () => {
  /** The average, and what trains beside it. */
  async function expectAveraged(options: StepOptions, { fast, ...expected }: Averaged) {
    const { exact, inRuntime } = await train(optimizers.momentum!, options)
    const trained = Object.entries(fast).map(([name, steps]) => [`${name}.fast`, steps])
    for (const weights of [expected.weights, Object.fromEntries(trained)]) {
      expectTrained(exact, { losses: expected.losses, weights }, 1e-9)
      expectTrained(inRuntime, { losses: expected.losses, weights }, 1e-5)
    }
  }
  it('exponential (torch.optim.swa_utils.AveragedModel)', () =>
    expectAveraged({ average: { decay: 0.75 } }, around.average))
  it('lookahead, every second step (Zhang et al. 2019)', () =>
    expectAveraged({ average: { decay: 0.25, every: 2, lookahead: true } }, around.lookahead))
})

describe('gradients of several batches make one update', () => {
  const scalar = (value: number) => numbers('float32', [], [value])
  const stateOf = ({ state }: TrainableModel): Map<string, Numbers> =>
    new Map(Object.entries(state).map(([name, value]) => [name, widen(value)]))

  /** Rows `from` to `to` of what is fed. */
  const part = (batch: Tensors, from: number, to: number): Tensors =>
    new Map(
      [...batch].map(([name, { dtype, shape, data }]) => {
        const size = data.length / (shape[0] ?? 1)
        const rows = shape.length === 0 ? data : data.slice(from * size, to * size)
        return [name, numbers(dtype, shape.length === 0 ? [] : [to - from, ...shape.slice(1)], rows)]
      }),
    )

  const cases = ['cross-entropy', 'binary-cross-entropy', 'huber'].flatMap((loss) =>
    ['momentum', 'adamw', 'muon'].map((optimizer) => [loss, optimizer] as const),
  )
  it.each(cases)('%s by %s: four batches of one example are one batch of four', async (loss, optimizer) => {
    const own = { loss: losses[loss]!.loss, optimizer: optimizers[optimizer]! }
    const whole = stepOf({ ...own, loss })
    const file = readTrainableModel(exportModel(networkOf(loss), { recipe: recipes.paper, seed: 1, ...own }))
    const model = accumulating(file)
    const [open, source] = [await openModel(model.step(portable)), model.graph()]
    const runs = {
      // The constants of a file are float32.
      exact: [(feeds: Tensors) => evaluate(source, feeds), optimizer === 'muon' ? 1e-7 : 1e-9],
      inRuntime: [open.run, 1e-5],
    } as const
    const expected = fixture<Readonly<Record<string, Trained>>>(loss)[optimizer]!
    for (const [run, tolerance] of Object.values(runs)) {
      let state: Tensors = new Map([...stateOf(model), ...firstState(whole, loss)])
      for (const [i, batch] of batchesOf(whole, loss).entries()) {
        let lost = 0
        for (const example of [0, 1, 2, 3]) {
          const share: Tensors = new Map([['update_share', scalar(example === 3 ? 0.25 : 0)]])
          const before = state
          const outputs = await run(new Map([...state, ...part(batch, example, example + 1), ...share]))
          lost += outputs.get('loss')!.data[0]! / 4
          state = new Map(Object.entries(model.signature.updates).map(([output, name]) => [name, outputs.get(output)!]))
          // Until the last example the weights, and what the optimizer keeps, stay as they are.
          if (example < 3)
            for (const name of Object.keys(file.state))
              expect(state.get(name)!.data, name).toEqual(Float64Array.from(before.get(name)!.data))
        }
        expectNear([lost], [expected.losses[i]!], `step ${i + 1}, loss`, tolerance)
        for (const [name, steps] of Object.entries(expected.weights))
          expectNear(state.get(name)!.data, steps[i]!, `step ${i + 1}, ${name}`, tolerance)
      }
    }
    await open.close()
  })

  it('running statistics move with every batch', () => {
    const x = input('x', 'float32', ['batch', 2])
    const network = graph('norm', [x], { y: batchNorm(x, 'bn') })
    const model = accumulating(
      readTrainableModel(exportModel(network, { recipe: recipes.paper, seed: 1, loss: meanSquaredError() })),
    )
    let state: Tensors = stateOf(model)
    const usual = Object.entries(model.signature.hyperparameters).map(([name, value]): [string, Numbers] => [
      name,
      scalar(value ?? 0.1),
    ])
    let mean = [0, 0]
    for (const rows of [
      [1, 2, 3, 6],
      [-1, 4, 0, 1],
    ]) {
      const fed = {
        x: numbers('float32', [2, 2], rows),
        targets: numbers('float32', [2, 2], [0, 1, 2, 3]),
        update_share: scalar(0),
      }
      const feeds = new Map([...state, ...Object.entries(fed), ...usual])
      const outputs = evaluate(model.graph(), feeds)
      state = new Map(Object.entries(model.signature.updates).map(([output, name]) => [name, outputs.get(output)!]))
      mean = mean.map((old, c) => 0.9 * old + 0.1 * ((rows[c]! + rows[c + 2]!) / 2))
      expectNear(state.get('bn.running_mean')!.data, mean, 'mean', 1e-12)
      expect([...state.get('bn.scale')!.data]).toEqual([1, 1])
    }
  })
})

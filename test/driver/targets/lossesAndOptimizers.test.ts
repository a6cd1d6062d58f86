// Each loss and each optimizer as each target writes them: three steps are PyTorch's, as far as float32 goes.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { exportModel } from '../../../src/core/model/write.js'
import { ortCpu } from '../../../src/driver/targets/ort-cpu/index.js'
import { ortCuda } from '../../../src/driver/targets/ort-cuda/index.js'
import { trainingSteps } from '../../../src/driver/targets/ort-cuda/steps.js'
import { ortTraining } from '../../../src/driver/targets/ort-training/index.js'
import { machineBlock } from '../../support/blocks.js'
import {
  batchesOf,
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
import { stateAfter } from '../../support/steps.js'
import { trainingBuilds } from '../../support/trainingBuilds.js'

const TOLERANCE = 1e-5

const cases: readonly (readonly [loss: string, optimizer: string])[] = [
  ...Object.keys(losses).map((loss) => [loss, 'momentum'] as const),
  ...['cross-entropy', 'mse'].flatMap((loss) =>
    Object.keys(optimizers)
      .filter((optimizer) => optimizer !== 'momentum')
      .map((optimizer) => [loss, optimizer] as const),
  ),
]
const trials = cases.map(([loss, optimizer]) => {
  const step = stepOf({ loss, optimizer: optimizers[optimizer]! })
  const expected = fixture<Readonly<Record<string, Trained>>>(loss)[optimizer]!
  return { name: `${loss} by ${optimizer}`, loss, optimizer, step, expected }
})

describe.each(trials)('$name', ({ loss, optimizer, step, expected }) => {
  const batches = batchesOf(step, loss)
  const first = firstState(step, loss)

  it('ort-cuda, one step a run', async () => {
    const model = await openModel(modelOf(ortCuda().lower(step.graph), 'inline'))
    expectTrained(await trainOn(step, first, batches, model.run), expected, TOLERANCE)
    await model.close()
  })

  it('ort-cuda, three steps in one run', async () => {
    const given = { loss: losses[loss]!.loss, optimizer: optimizers[optimizer]! }
    const file = readTrainableModel(exportModel(networkOf(loss), { recipe: recipes.paper, seed: 1, ...given }))
    const { graph, signature } = trainingSteps(file.graph(), file.signature)
    const stacked = new Map(
      [...batches[0]!].map(([name, { dtype, shape }]) => [
        name,
        numbers(
          dtype,
          [batches.length, ...shape],
          batches.flatMap((batch) => [...batch.get(name)!.data]),
        ),
      ]),
    )
    const model = await openModel(file.encode(graph, { signature }))
    const outputs = await model.run(new Map([...first, ...stacked]))
    await model.close()
    const last = expected.losses.length - 1
    const state: Tensors = stateAfter({ signature }, outputs)
    const results = new Map([...state].map(([name, value]) => [`${name}.next`, value]))
    const lost = Array.from(outputs.get('loss')!.data)
    lost.forEach((value, i) => {
      expect(Math.abs(value / expected.losses[i]! - 1), `loss ${i + 1}`).toBeLessThan(TOLERANCE)
    })
    const end = Object.entries(expected.weights).map(([name, steps]) => [name, [steps[last]!]] as const)
    expectTrained(
      [new Map([...results, ['loss', numbers('float32', [], [lost[last]!])]])],
      { losses: [expected.losses[last]!], weights: Object.fromEntries(end) },
      TOLERANCE,
    )
  })

  it.skipIf(machineBlock === undefined)('ort-cpu', async () => {
    const lowered = ortCpu({ block: machineBlock! }).lower(specialize(step.graph, { batch: 4 }))
    const model = await openModel(modelOf(lowered, 'inline'))
    expectTrained(await trainOn(step, first, batches, model.run), expected, TOLERANCE)
    await model.close()
  })
})

describe.each(Object.entries(trainingBuilds))('ort-training in %s', (_, run) => {
  it('takes three steps of each', async () => {
    const results = await run(
      trials.map(({ step, loss }) => ({
        model: modelOf(ortTraining.lower(step.graph), 'inline'),
        state: firstState(step, loss),
        updates: step.signature.updates,
        batches: batchesOf(step, loss),
      })),
    )
    trials.forEach(({ expected }, i) => {
      expectTrained(results[i]!, expected, TOLERANCE)
    })
  })
})

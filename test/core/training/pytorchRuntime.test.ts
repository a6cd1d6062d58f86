// Every loss with every optimizer in ONNX Runtime: three steps of the exported file are PyTorch's, as far as float32 goes.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { type ExportOptions, exportModel } from '../../../src/core/model/write.js'
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
import { openModel, type Tensors } from '../../support/runtime.js'

const TOLERANCE = 1e-5

/** Three steps of the part `train`. */
async function trained(loss: string, optimizer: string, options: Partial<ExportOptions> = {}) {
  const given = { loss: losses[loss]!.loss, optimizer: optimizers[optimizer]! }
  const step = stepOf({ ...given, loss })
  const written = { recipe: recipes.paper, seed: 1, part: 'train', ...given, ...options } as const
  const model = await openModel(exportModel(networkOf(loss), written))
  // What has a default is not fed.
  const defaults = Object.entries(step.signature.hyperparameters).flatMap(([name, value]) =>
    value === null ? [] : name,
  )
  const batches = batchesOf(step, loss).map((batch): Tensors => {
    return new Map([...batch].filter(([name]) => !defaults.includes(name)))
  })
  const run = await trainOn(step, firstState(step, loss), batches, model.run)
  await model.close()
  return run
}

describe.each(Object.keys(losses))('%s', (loss) => {
  const expected = fixture<Readonly<Record<string, Trained>>>(loss)

  it.each(Object.keys(optimizers))('%s', async (optimizer) => {
    expectTrained(await trained(loss, optimizer), expected[optimizer]!, TOLERANCE)
  })
})

describe('written otherwise the numbers are the same', () => {
  const forms = {
    'with functions written in place': { inline: true },
    'in basic operators': { level: 'basic' },
    'in opset 13': { opset: 13, inline: true },
  } as const
  const cases = Object.keys(losses).map((loss, i): [string, string] => {
    const names = Object.keys(optimizers)
    return [loss, names[i % names.length]!]
  })
  describe.each(Object.entries(forms))('%s', (_, form) => {
    it.each(cases)('%s by %s', async (loss, optimizer) => {
      const expected = fixture<Readonly<Record<string, Trained>>>(loss)[optimizer]!
      const run = await trained(loss, optimizer, form)
      expectTrained(run, expected, TOLERANCE)
      expect(run[0]!.get('loss')!.dtype).toBe('float32')
    })
  })
})

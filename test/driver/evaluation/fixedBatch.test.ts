// A model whose file fixes the batch: it trains and evaluates as the same one with any batch does, a smaller last batch included.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cast, exportModel, fit, flatten, graph, input, linear, mul, readTrainableModel, recipes } from 'rdm-onnx'
import { expect, it, onTestFinished } from 'vitest'
import { tinyData } from '../../support/tinyData.js'

/** Softmax regression. */
function modelFor(batch: number | string) {
  const images = input('images', 'uint8', [batch, 3, 8, 8])
  const logits = linear(flatten(mul(cast(images, 'float32'), 1 / 255)), 'out', 10)
  return readTrainableModel(exportModel(graph('tiny', [images], { logits }), { recipe: recipes.paper, seed: 1 }))
}

it('has the losses of one with any batch', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-fixed-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  // 72 training images are whole batches of 8; of the 30 test images 6 are left.
  const data = tinyData()
  const config = { epochs: 2, batchSize: 8, threads: 1, target: 'portable' } as const
  const run = async (batch: number | string) =>
    (await fit({ model: modelFor(batch), data, out: join(folder, `${batch}`), config })).history
  const [fixed, any] = [await run(8), await run('batch')]
  // The loss of the test set is summed up in other batches.
  const close = (loss: number) => expect.closeTo(loss, 6)
  expect(fixed).toEqual(any.map((epoch) => ({ ...epoch, testLoss: close(epoch.testLoss) })))
})

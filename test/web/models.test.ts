// Models in a page without training, beside the same in Node.
import { evaluateModel, openSession, readTrainableModel, synthesize } from 'rdm-onnx'
import { describe, expect, it } from 'vitest'
// From dist: a thread of the runtime runs compiled files.
import { drawState } from '../../dist/src/driver/fit/firstState.js'
import type { Tensor, Tensors } from '../../src/core/graph/tensor.js'
import { type Evaluation, scoredInFile } from '../../src/driver/evaluation/evaluate.js'
import { hasBrowser } from '../support/browser.js'
import { openTrainingPage, smallNetwork } from './support.js'

const model = smallNetwork()
const synth = { train: 4, test: 50, seed: 3 }
const { test } = synthesize(synth)

/** The largest difference between two values of a name. */
function apart(a: Tensors, b: Tensors): number {
  expect(Object.keys(a).sort()).toEqual(Object.keys(b).sort())
  return Math.max(
    ...Object.entries(a).map(([name, { shape, data }]) => {
      const other = b[name]!
      expect(shape).toEqual(other.shape)
      return Math.max(...Array.from(data as Float32Array, (value, i) => Math.abs(value - Number(other.data[i]))))
    }),
  )
}

describe.runIf(hasBrowser)('a page', () => {
  it('predicts what Node predicts', async () => {
    const { run, messages } = await openTrainingPage()
    const inPage = await run<{ outputs: Tensors; inputs: unknown; refused: string; after: string }>(
      `const { test } = web.synthesize(synth)
      const session = await web.openSession(model)
      const images = { dtype: 'uint8', shape: [5, 3, 32, 32], data: test.images.subarray(0, 5 * 3072) }
      const outputs = await session.run({ images })
      const refused = await session.run({ pictures: images }).catch((error) => error.name + ': ' + error.message)
      session.close()
      const after = await session.run({ images }).catch((error) => error.message)
      return { outputs, inputs: session.inputs, refused, after }`,
      { model, synth },
    )
    const session = await openSession(model)
    const images = { dtype: 'uint8', shape: [5, 3, 32, 32], data: test.images.slice(0, 5 * 3072) } as const
    expect(apart(inPage.outputs, await session.run({ images }))).toBeLessThan(1e-5)
    expect(inPage.inputs).toEqual([{ name: 'images', dtype: 'uint8', shape: ['batch', 3, 32, 32] }])
    expect(inPage.refused).toMatch(/^UserError: onnxruntime-web cannot run the model: .*images/)
    expect(inPage.after).toBe('the session is closed')
    expect(messages).toEqual([])
    await session.close()
  })

  it('evaluates a split to the loss, the error and the confusion matrix of Node', async () => {
    const { run } = await openTrainingPage()
    const inPage = await run<Evaluation>(`return web.evaluate({ model, split: web.synthesize(synth).test })`, {
      model,
      synth,
    })
    const session = await openSession(model)
    const node = await evaluateModel({ session, scored: scoredInFile(model)!, split: test, logits: 'logits' })
    await session.close()
    expect(inPage.images).toBe(50)
    expect(inPage.confusion).toEqual(node!.confusion)
    expect(inPage.scores).toEqual(node!.scores)
    expect(Math.abs(inPage.loss - node!.loss)).toBeLessThan(1e-5)
  })

  it('draws first weights by the file, the same by the same seed', async () => {
    const { run } = await openTrainingPage()
    const [one, again, other] = await run<Tensors[]>(
      'return Promise.all([1, 1, 2].map((seed) => web.drawState(model, seed)))',
      { model },
    )
    const trainable = readTrainableModel(model)
    const node = await drawState(trainable, 1)
    expect(again).toEqual(one)
    expect(Object.keys(one!).sort()).toEqual(Object.keys(node).sort())
    // Generators of standard libraries differ, and with them the draws; not what they are drawn from.
    const spread = ({ data }: Tensor) => Math.hypot(...Array.from(data as Float32Array)) / Math.sqrt(data.length)
    const large = Object.keys(node).filter((name) => node[name]!.data.length >= 256 && /weight$/.test(name))
    expect(large.length).toBeGreaterThan(3)
    for (const name of large) expect(spread(one![name]!) / spread(node[name]!)).toBeCloseTo(1, 0.5)
    expect(apart(one!, other!)).toBeGreaterThan(0.1)
  })

  it('says what a file lacks, and what a browser lacks', async () => {
    const { run } = await openTrainingPage()
    const [notTrainable, noModel] = await run<string[]>(
      `const said = (promise) => promise.then(() => 'nothing', (error) => error.name + ': ' + error.message)
      return [
        await said(web.openSession(new Uint8Array(4))),
        await said(web.drawState(new Uint8Array(4), 1)),
      ]`,
    )
    expect(notTrainable).toMatch(/^UserError: /)
    expect(noModel).toMatch(/^UserError: the model/)
  })
})

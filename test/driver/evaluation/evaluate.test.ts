// Evaluation against numbers worked out by hand, and models that are no classifiers of the images at hand.
import { classifierOf, evaluate, type TensorInfo, type Tensors } from 'rdm-onnx'
import { expect, it } from 'vitest'

const set = {
  images: Uint8Array.from({ length: 450 * 3 }, (_, i) => Math.floor(i / 3) % 3),
  labels: Uint8Array.from({ length: 450 }, (_, i) => (i < 3 ? 2 : i % 3)),
  count: 450,
  channels: 3 as const,
  height: 1,
  width: 1,
  classes: ['a', 'b', 'c'],
}
const inputs: TensorInfo[] = [{ name: 'x', dtype: 'uint8', shape: ['batch', 3, 1, 1] }]
const outputs: TensorInfo[] = [{ name: 'logits', dtype: 'float32', shape: ['batch', 3] }]

/** A session that takes an image for the class that its first byte says, with the logit ln 2 + 1000. */
const session = (classes = 3) => ({
  inputs,
  outputs,
  close: async () => {},
  async run({ x }: Tensors): Promise<Tensors> {
    const count = x!.shape[0]!
    const data = new Float32Array(count * classes).fill(1000)
    for (let i = 0; i < count; i++) data[i * classes + Number(x!.data[3 * i])] = Math.fround(1000 + Math.log(2))
    return { logits: { dtype: 'float32', shape: [count, classes], data } }
  },
})
const names = { images: 'x', logits: 'logits' }

it('counts errors, and means over batches that do not divide the set', async () => {
  const result = (await evaluate(session(), names, set))!
  expect(result).toMatchObject({ images: 450, wrong: 2, error: 2 / 450 })
  expect(result.confusion).toEqual([
    [149, 0, 0],
    [0, 149, 0],
    [1, 1, 150],
  ])
  // exp(logit) is 2 for the guess and 1 for the others, of 4 in all.
  expect(result.loss).toBeCloseTo((448 * Math.log(2) + 2 * Math.log(4)) / 450, 4)
})

it('stops when it is told to', async () => {
  expect(await evaluate(session(), names, set, AbortSignal.abort())).toBeUndefined()
})

it('wants as many logits as there are classes', async () => {
  await expect(evaluate(session(4), names, set)).rejects.toThrow(/logits .*Got: 4 Expected: 3/)
})

it('finds the input and the output', () => {
  expect(classifierOf({ inputs, outputs }, set)).toEqual(names)
  const [logits] = outputs
  expect(classifierOf({ inputs, outputs: [{ ...logits!, name: 'scores' }] }, set).logits).toBe('scores')
  expect(classifierOf({ inputs, outputs: [{ ...logits!, name: 'p' }, logits!] }, set).logits).toBe('logits')
})

it.each<[string, TensorInfo[], TensorInfo[], string]>([
  ['no input', [], outputs, 'expected one input, uint8 [batch, 3, height, width], found none'],
  ['floats', [{ ...inputs[0]!, dtype: 'float32' }], outputs, 'found x float32 [batch, 3, 1, 1]'],
  ['no output', inputs, [], 'expected an output "logits", float32 [batch, classes], found none'],
  [
    'two outputs alike',
    inputs,
    ['p', 'q'].map((name) => ({ ...outputs[0]!, name })),
    'found p float32 [batch, 3]; q float32 [batch, 3]',
  ],
  [
    'another size',
    [{ ...inputs[0]!, shape: ['batch', 3, 8, 8] }],
    outputs,
    'the model takes images of [3, 8, 8], the data are [3, 1, 1]',
  ],
  ['other classes', inputs, [{ ...outputs[0]!, shape: ['batch', 7] }], 'the model has 7 classes, the data have 3'],
])('refuses a model with %s', (_, ins, outs, message) => {
  expect(() => classifierOf({ inputs: ins, outputs: outs }, set)).toThrow(message)
})

// Files that others wrote, of which only the part up to a value is read, and inputs that always have one number.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { nameOf } from '../../../src/core/graph/value.js'
import { readNetwork } from '../../../src/core/onnx/network.js'

const folder = join(import.meta.dirname, '..', '..', 'fixtures', 'networks')
const file = (name: string) => readFileSync(join(folder, `${name}.onnx`))
const wave = (shape: readonly number[]) =>
  numbers(
    'float32',
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(Math.sin(0.37 * i))),
  )

describe('a network that ends at a value', () => {
  const bytes = file('sklearn_mlp_classifier.skl2onnx')
  const feeds = new Map([['X', wave([3, 6])]])

  it('gives what comes before the rest, and says what that is', () => {
    let leftOut: readonly string[] = []
    const network = readNetwork(bytes, {
      outputs: ['add_result2'],
      leftOut(operators) {
        leftOut = operators
      },
    })
    expect(leftOut).toEqual(['Softmax', 'Identity', 'ArgMax', 'ai.onnx.ml.ArrayFeatureExtractor', 'Reshape', 'Cast'])
    const logits = evaluate(network, feeds).get('add_result2')!.data
    const probabilities = evaluate(readNetwork(bytes), feeds).get('probabilities')!.data
    for (let row = 0; row < 3; row++) {
      const exponentials = [0, 1, 2].map((i) => Math.exp(logits[3 * row + i]!))
      const sum = exponentials.reduce((a, b) => a + b, 0)
      exponentials.forEach((value, i) => {
        expect(value / sum).toBeCloseTo(probabilities[3 * row + i]!, 12)
      })
    }
  })

  it('keeps what graphs inside its nodes take from around them, and only the inputs that lead there', () => {
    const network = readNetwork(file('bert.dynamo'), { outputs: ['y'] })
    expect(network.inputs.map(nameOf)).toEqual(['input_ids', 'attention_mask'])
    const [embedded] = network.nodes.filter(({ operator }) => operator.name === 'Gather')
    expect(embedded).toBeDefined()
    const short = readNetwork(bytes, { outputs: ['X', 'cast_input'] })
    expect([...short.outputs.keys()]).toEqual(['X', 'cast_input'])
    expect(short.parameters).toEqual([])
  })

  it('has to have the value', () => {
    expect(() => readNetwork(bytes, { outputs: ['logits'] })).toThrow(
      "the network has no value 'logits' to end at; it has the outputs 'label', 'probabilities', and what its nodes make",
    )
  })
})

describe('an input that always has one number', () => {
  it.each([
    // Of the sizes of the other input, which only the run knows, and of known ones.
    {},
    { shapes: { input_ids: [2, 5], attention_mask: [2, 5] } },
  ])('is fed no more, and gives what it gave: %o', (options) => {
    const bytes = file('bert.script')
    const filled = readNetwork(bytes, { ...options, fills: { attention_mask: 1 } })
    expect(filled.inputs.map(nameOf)).toEqual(['input_ids'])
    const tokens = numbers('int64', [2, 5], [3, 9, 1, 60, 2, 0, 7, 7, 31, 63])
    const ones = numbers('int64', [2, 5], new Array(10).fill(1))
    const found = evaluate(filled, new Map([['input_ids', tokens]])).get('y')!
    const whole = readNetwork(bytes, options)
    const both = new Map([
      ['input_ids', tokens],
      ['attention_mask', ones],
    ])
    const expected = evaluate(whole, both).get('y')!
    expect(found.shape).toEqual(expected.shape)
    found.data.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.data[i]!, 12)
    })
  })

  it.each<[Record<string, number>, string]>([
    [{ mask: 1 }, "a value is given for 'mask', which is no input; expected one of input_ids, attention_mask"],
    [{ attention_mask: 0.5 }, "the input 'attention_mask' is int64, which does not hold 0.5"],
    [
      { input_ids: 1, attention_mask: 1 },
      "the input 'input_ids' int64[batch, length] cannot be filled: no other input has the size 'batch'; say its shape",
    ],
  ])('fits: %o', (fills, message) => {
    expect(() => readNetwork(file('bert.script'), { fills })).toThrow(message)
  })
})

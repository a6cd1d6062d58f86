// Networks that end in probabilities: a loss of logits sees it, whoever asks for the loss, and comes to what it is of the logits.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply1, input, nameOf, parameter, type Value } from '../../../src/core/graph/value.js'
import {
  binaryCrossEntropy,
  type CrossEntropyOptions,
  crossEntropy,
  type Loss,
  outputLoss,
} from '../../../src/core/losses/index.js'
import { lossText } from '../../../src/core/losses/text.js'
import {
  Identity,
  matmul,
  reduceMean,
  sigmoid,
  softmax,
  squeeze,
  transpose,
  unsqueeze,
} from '../../../src/core/ops/index.js'
import { scored } from '../../../src/core/training/backward.js'

const x = input('x', 'float32', ['batch', 3])
const w = parameter('w', [3, 4], { kind: 'constant', value: 0 })
const fed = {
  x: numbers('float32', [2, 3], [1, -2, 0.5, 3, 0.25, -1]),
  w: numbers('float32', [3, 4], [0.5, -1, 2, 0.1, 1.5, 0.2, -0.4, 1, 0.3, -2, 1, 0.7]),
  labels: numbers('int64', [2], [2, 0]),
  targets: numbers('float32', [2, 4], [0, 1, 0.25, 1, 1, 0, 0, 0.5]),
}

/** The loss and its gradient at w, of a network with this end. */
function lossOf(end: (logits: Value) => Value, loss: Loss): readonly number[] {
  const { scores, scoring, targets } = scored(graph('net', [x], { y: end(matmul(x, w)) }), loss, 'train')
  const value = scores.get(scoring.loss)!
  const known = new Map([x, w, ...targets].map((leaf) => [leaf, fed[nameOf(leaf) as keyof typeof fed]] as const))
  return evaluateValues([value, ...gradients(value, [w])], known).flatMap(({ data }) => [...data])
}

const expectSame = (found: readonly number[], expected: readonly number[]) => {
  expect(found).toHaveLength(expected.length)
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 10)
}

it.each<[string, Loss]>([
  ['by itself', crossEntropy()],
  ['said in words', lossText.parse('cross-entropy')],
  ['with smoothing', crossEntropy({ labelSmoothing: 0.1 })],
  ['with weights', crossEntropy({ classWeights: [1, 2, 0.5, 3] })],
])('cross-entropy behind a softmax: %s', (_, loss) => {
  const expected = lossOf((logits) => logits, loss)
  expectSame(
    lossOf((logits) => softmax(logits, 1), loss),
    expected,
  )
  expectSame(
    lossOf((logits) => apply1(Identity, [softmax(logits, -1)]), loss),
    expected,
  )
})

it.each<[string, Loss]>([
  ['by itself', binaryCrossEntropy()],
  ['with a weight', binaryCrossEntropy({ positiveWeight: 3 })],
])('binary cross-entropy behind a sigmoid: %s', (_, loss) => {
  expectSame(
    lossOf(sigmoid, loss),
    lossOf((logits) => logits, loss),
  )
})

it('a sigmoid is seen behind nodes that move its numbers, and the mean of one each; not behind what mixes them', () => {
  const loss = binaryCrossEntropy()
  const expected = lossOf((logits) => logits, loss)
  const moved = (logits: Value) =>
    squeeze(reduceMean(unsqueeze(transpose(sigmoid(transpose(logits, [1, 0])), [1, 0]), 2), [2]), 2)
  expectSame(lossOf(moved, loss), expected)
  const mixed = (logits: Value) => softmax(sigmoid(logits), 1)
  expect(lossOf(mixed, loss)[0]).not.toBeCloseTo(expected[0]!, 3)
})

it('a softmax over the last axis is seen where the classes are there', () => {
  const places = (end: (x: Value) => Value) => (logits: Value) => end(unsqueeze(logits, 0))
  const one =
    (loss: Loss): Loss =>
    (context) =>
      loss({
        ...context,
        target: (name, dtype, shape, classes) => unsqueeze(context.target(name, dtype, shape.slice(1), classes), 0),
      })
  const loss = one(crossEntropy({ axis: -1 }))
  const expected = lossOf((logits) => logits, crossEntropy())
  expectSame(
    lossOf(
      places((x) => x),
      loss,
    ),
    expected,
  )
  expectSame(
    lossOf(
      places((x) => softmax(x, -1)),
      loss,
    ),
    expected,
  )
})

it('is left alone where it is said, over another axis, and by other losses', () => {
  const twice = crossEntropy({ probabilities: false })
  expect(lossOf((logits) => softmax(logits, 1), twice)[0]).not.toBeCloseTo(lossOf((logits) => logits, twice)[0]!, 2)
  const across = (logits: Value) => softmax(logits, 0)
  expectSame(lossOf(across, crossEntropy()), lossOf(across, twice))
  expect(() => lossOf(sigmoid, outputLoss('z'))).toThrow("the network has no output 'z' for a loss; it has 'y'")
})

// Logits of each place of a text: [batch, length, classes].
const tokens = input('tokens', 'float32', ['batch', 'length', 4])
const drawn = numbers(
  'float32',
  [2, 3, 4],
  Array.from({ length: 24 }, (_, i) => Math.sin(1.7 * i)),
)
const answers = numbers('int64', [2, 3], [2, 0, 3, 1, 1, 2])

function lossOfTokens(output: Value, loss: Loss): readonly number[] {
  const { scores, scoring, targets } = scored(graph('net', [tokens], { output }), loss, 'train')
  expect(targets.map(({ shape }) => shape)).toEqual([['batch', 'length']])
  const value = scores.get(scoring.loss)!
  const metrics = scoring.metrics.map((metric) => scores.get(metric.output)!)
  const known = new Map([[tokens, drawn], ...targets.map((target) => [target, answers] as const)])
  return evaluateValues([value, ...metrics, ...gradients(value, [tokens])], known).flatMap(({ data }) => [...data])
}

it.each<[string, CrossEntropyOptions]>([
  ['by itself', {}],
  ['with smoothing', { labelSmoothing: 0.1 }],
  ['with weights', { classWeights: [1, 2, 0.5, 3] }],
  [
    'with weights, smoothing and labels that do not count',
    { classWeights: [1, 2, 0.5, 3], labelSmoothing: 0.2, ignoreIndex: 1 },
  ],
])('cross-entropy with the classes on the last axis is that with them on the second: %s', (_, options) => {
  const expected = lossOfTokens(transpose(tokens, [0, 2, 1]), crossEntropy({ ...options, axis: 1 }))
  // The last axis is found, since the length is not known; it is said; and a softmax over it is seen.
  expectSame(lossOfTokens(tokens, crossEntropy(options)), expected)
  expectSame(lossOfTokens(tokens, crossEntropy({ ...options, axis: -1 })), expected)
  expectSame(lossOfTokens(softmax(tokens, -1), crossEntropy(options)), expected)
})

it('an axis that is not there', () => {
  expect(() => lossOfTokens(tokens, crossEntropy({ axis: 3 }))).toThrow(
    'cross-entropy has no axis 3 for the classes in [batch, length, 4]; give one from 1 to 2',
  )
})

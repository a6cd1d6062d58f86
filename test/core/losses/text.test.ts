// Losses as command lines say them: what they come to on given numbers, and what is no loss.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { scoringOf } from '../../../src/core/losses/scoring.js'
import { lossText } from '../../../src/core/losses/text.js'

const [batch, logits, box] = [2, [2, -1, 0.5, 0.25, 1, -3], [0.5, -2, 3, 1]]
const outputs = new Map([
  ['logits', input('logits', 'float32', ['batch', 3])],
  ['box', input('box', 'float32', ['batch', 2])],
  ['energy', input('energy', 'float32', [])],
  // The same logits, as a place each of one example.
  ['places', input('places', 'float32', ['one', 'batch', 3])],
])
const targets = [1, -1, 0, 1]
const given = new Map([
  ['logits', numbers('float32', [batch, 3], logits)],
  ['box', numbers('float32', [batch, 2], box)],
  ['energy', numbers('float32', [], [7])],
  ['places', numbers('float32', [1, batch, 3], logits)],
  ['places.labels', numbers('int64', [1, batch], [2, 1])],
  ...['labels', 'logits.labels'].map((name) => [name, numbers('int64', [batch], [2, 1])] as const),
  ['box.targets', numbers('float32', [batch, 2], targets)],
])

// By hand: −log softmax(logits)[label] of each row, and the differences of box and its targets.
const logs = [0, 1].map((row) => {
  const scores = logits.slice(3 * row, 3 * row + 3)
  const total = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0))
  return scores.map((score) => total - score)
})
const [first, second] = [logs[0]![2]!, logs[1]![1]!]
const cross = (first + second) / 2
const spread = logs.flat().reduce((sum, value) => sum + value, 0) / 6
const differences = box.map((value, i) => value - targets[i]!) // −0.5, −1, 3, 0
const mean = (of: (d: number) => number) => differences.reduce((sum, d) => sum + of(d), 0) / 4
const [square, absolute] = [mean((d) => d * d), mean(Math.abs)]
const huber = (delta: number) => mean((d) => (Math.abs(d) <= delta ? d * d * 0.5 : delta * (Math.abs(d) - delta / 2)))

const valuesOf = (text: string) => {
  const { graph, loss, metrics } = scoringOf({ name: 'net', outputs }, lossText.parse(text))
  const values = evaluate(graph, given)
  const numberOf = (name: string) => values.get(name)!.data[0]!
  return {
    loss: numberOf(loss),
    metrics: Object.fromEntries(metrics.map(({ name, output }) => [name, numberOf(output)])),
  }
}

describe('a loss', () => {
  it.each<[string, number]>([
    ['cross-entropy', cross],
    ['cross-entropy:label-smoothing=0.1', 0.9 * cross + 0.1 * spread],
    ['cross-entropy:class-weights=1;2;0.5', (0.5 * first + 2 * second) / 2.5],
    ['cross-entropy:ignore-index=1', first],
    ['cross-entropy*0.25', cross / 4],
    ['places=cross-entropy:axis=-1', cross],
    ['places=cross-entropy:axis=2,class-weights=1;2;0.5', (0.5 * first + 2 * second) / 2.5],
    ['output:energy', 7],
    ['output:energy*-0.5', -3.5],
    ['box=mse', square],
    ['box=huber:delta=2', huber(2)],
    [' logits = cross-entropy + box = huber:delta=2 * 0.5 ', cross + huber(2) / 2],
    ['box=mse*1e+1+box=l1', 10 * square + absolute],
    // Both count.
    ['box=mse + box=l1*3', square + 3 * absolute],
    ['logits=cross-entropy + box=mse*0.1 + output:energy*0.01', cross + square / 10 + 0.07],
  ])('%s', (text, expected) => {
    expect(valuesOf(text).loss).toBeCloseTo(expected, 12)
  })

  it('of several terms tells of each', () => {
    expect(valuesOf('logits=cross-entropy + box=mse*0.5 + box=l1').metrics).toEqual({
      'logits.loss': expect.closeTo(cross, 12),
      // A count of right answers: the first row has its largest at 0, the second at 1.
      'logits.error': 1,
      'box.mse.loss': expect.closeTo(square, 12),
      'box.mse.mae': expect.closeTo(absolute, 12),
      'box.mse.r2': expect.closeTo(square, 12),
      'box.l1.loss': expect.closeTo(absolute, 12),
      'box.l1.mae': expect.closeTo(absolute, 12),
      'box.l1.r2': expect.closeTo(square, 12),
    })
  })
})

describe('is refused:', () => {
  it.each([
    [
      'hinge',
      'there is no loss "hinge": write one of cross-entropy, binary-cross-entropy, mse, l1, huber, output:NAME, or the file of one (.onnx)',
    ],
    ['', 'there is no loss "": write one of'],
    ['mse + ', 'there is no loss "": write one of'],
    ['mse*much', '"much" is no weight of a loss: write a number, as in mse*0.5'],
    ['output:energy*much', '"much" is no weight of a loss: write a number, as in output*0.5'],
    ['huber:gamma=1', '"gamma=1" is no option of the loss huber, which has delta: write delta=1'],
    ['mse:delta=1', '"delta=1" is no option of the loss mse, which has none: leave it out'],
    [
      'cross-entropy:label-smoothing=0.1;0.2',
      '"label-smoothing=0.1;0.2" is no option of the loss cross-entropy, which has label-smoothing, ignore-index, class-weights, axis: write label-smoothing=1',
    ],
    ['box=mse + box=mse', '"box=mse + box=mse" has a loss twice for one output: give it a weight instead'],
  ])('%s', (text, message) => {
    const { error } = lossText.safeParse(text)
    expect(error?.issues[0]?.message).toContain(message)
  })
})

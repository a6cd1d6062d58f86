// Labels that do not count, and labels at several places of an example: from the data through training to the evaluation.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Column,
  crossEntropy,
  evaluateModel,
  exportModel,
  fit,
  graph,
  input,
  matmul,
  parameter,
  readTrainableModel,
  type Split,
} from 'rdm-onnx'
import { expect, it, onTestFinished } from 'vitest'
import { scoredBy } from '../../../src/driver/evaluation/evaluate.js'

const IGNORED = -100
const column = (shape: readonly number[], data: Float32Array | Int32Array): Column => {
  return { kind: 'tensor', dtype: data instanceof Int32Array ? 'int32' : 'float32', shape, data }
}

/** Two features at each of three places; the label is which is larger, and the second place does not count. */
function placed(count: number): Split {
  const x = Float32Array.from({ length: count * 6 }, (_, i) => Math.sin(1.7 * i))
  const labels = Int32Array.from({ length: count * 3 }, (_, i) => {
    const [row, place] = [Math.floor(i / 3), i % 3]
    return place === 1 ? IGNORED : Number(x[6 * row + place]! < x[6 * row + 3 + place]!)
  })
  return { count, columns: { x: column([2, 3], x), labels: column([3], labels) } }
}

it('labels at places are learned, but for those that do not count', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-ignored-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const x = input('x', 'float32', ['batch', 2, 3])
  const logits = matmul(parameter('weight', [2, 2], { kind: 'constant', value: 0 }), x)
  const recipe = { epochs: 5, batchSize: 10, learningRate: [[0, 0.5] as [number, number]], augment: false }
  const bytes = exportModel(graph('places', [x], { logits }), {
    recipe,
    seed: 1,
    loss: crossEntropy({ ignoreIndex: IGNORED }),
  })
  const data = { format: 'drawn', train: placed(40), test: placed(20) }
  const run = (name: string, rate: number) =>
    fit({
      model: readTrainableModel(bytes),
      data,
      out: join(folder, name),
      config: { threads: 1, target: 'portable', learningRate: [[0, rate]] },
    })
  // Weights of 0 know nothing: the loss is log 2 whatever counts, and of the two first classes one is guessed.
  const still = await run('still', 0)
  expect(still.history[0]!.testLoss).toBeCloseTo(Math.log(2), 6)
  const zeros = Array.from(data.test.columns.labels!.kind === 'tensor' ? data.test.columns.labels!.data : [], Number)
  const counting = zeros.filter((label) => label !== IGNORED)
  expect(still.history[0]!.testError).toBeCloseTo(counting.filter((label) => label === 1).length / counting.length, 6)
  const { history } = await run('moving', 0.5)
  expect(history.at(-1)!.testError).toBeLessThan(0.05)
})

it('a label that does not count is in no row of the confusion matrix', async () => {
  const scores = [3, 1, 0, 0, 2, 1, 1, 0, 5, 4, 0, 0]
  const given: Split = {
    count: 4,
    columns: { logits: column([3], Float32Array.from(scores)), labels: column([], Int32Array.of(0, 2, IGNORED, 1)) },
  }
  const type = { dtype: 'float32', shape: ['batch', 3] } as const
  const found = await evaluateModel({
    session: {
      inputs: [{ name: 'logits', ...type }],
      outputs: [{ name: 'logits', ...type }],
      run: async (feeds) => feeds,
    },
    scored: scoredBy(crossEntropy({ ignoreIndex: IGNORED }), [{ name: 'logits', ...type }]),
    split: given,
    logits: 'logits',
  })
  expect(found!.confusion).toEqual([
    [1, 0, 0],
    [1, 0, 0],
    [0, 1, 0],
  ])
  // Two of the three that count are wrong.
  expect(found!.scores.error).toBeCloseTo(2 / 3, 6)
})

// A network whose outputs are called as those of the step are: both stand in one file, which trains.
import { expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers, widen } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { linear } from '../../../src/core/layers/index.js'
import { crossEntropy, type Loss, outputLoss, weightedSum } from '../../../src/core/losses/index.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { exportModel } from '../../../src/core/model/write.js'
import { mul, reduceMean, relu } from '../../../src/core/ops/index.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { openModel } from '../../support/runtime.js'

/** Mean square of x · w + b, as an output `loss`; besides logits and what has nothing to do with training. */
function network() {
  const x = input('x', 'float32', ['batch', 2])
  const y = linear(x, 'out', 3)
  return graph('named', [x], { logits: y, loss: reduceMean(mul(y, y), undefined, { keepdims: 0 }), correct: relu(y) })
}

const x = [1, -2, 0.5, 3]
const [weight, bias] = [
  [1, 2, -1, 0.5, 0.25, -3],
  [0.5, 0, -0.5],
]
const y = [0, 1].flatMap((row) =>
  bias!.map((b, i) => b + x[2 * row]! * weight![2 * i]! + x[2 * row + 1]! * weight![2 * i + 1]!),
)
const meanSquare = y.reduce((sum, value) => sum + value ** 2, 0) / 6
const labels = [0, 1]
const crossEntropies = labels.map((label, row) => {
  const scores = y.slice(3 * row, 3 * row + 3)
  return Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - scores[label]!
})
const meanCrossEntropy = (crossEntropies[0]! + crossEntropies[1]!) / 2

const cases: readonly (readonly [title: string, loss: Loss, expected: number])[] = [
  ['the output is the loss', outputLoss('loss'), meanSquare],
  ['it is a term of the loss', weightedSum({ square: { loss: outputLoss('loss'), weight: 0.5 } }), meanSquare / 2],
  ['it is not the loss', crossEntropy(), meanCrossEntropy],
]

it.each(cases)('%s', async (_, loss, expected) => {
  const model = readTrainableModel(exportModel(network(), { recipe: recipes.paper, seed: 1, loss }))
  const { signature } = model
  expect(signature.loss).toBe('step.loss')
  const state = new Map(Object.entries(model.state).map(([name, value]) => [name, widen(value)]))
  const feeds = new Map([
    ...state,
    ['out.weight', numbers('float32', [3, 2], weight!)] as const,
    ['out.bias', numbers('float32', [3], bias!)] as const,
    ...Object.entries(signature.hyperparameters).map(([name, value]) => {
      return [name, numbers('float32', [], [value ?? 0.1])] as const
    }),
    ['x', numbers('float32', [2, 2], x)] as const,
    ['labels', numbers('int64', [2], labels)] as const,
  ])
  expect(evaluate(model.graph(), feeds).get('step.loss')!.data[0]! / expected).toBeCloseTo(1, 6)
  const step = await openModel(model.step(portable))
  expect((await step.run(feeds)).get('step.loss')!.data[0]! / expected).toBeCloseTo(1, 5)
  await step.close()
  // The loss by itself, as evaluation runs it behind the network that predicts.
  const scoring = await openModel(model.scoring!)
  const scores = await scoring.run(
    new Map([
      ['loss', numbers('float32', [], [meanSquare])],
      ['logits', numbers('float32', [2, 3], y)],
      ['labels', numbers('int64', [2], labels)],
    ]),
  )
  expect(scores.get('step.loss')!.data[0]! / expected).toBeCloseTo(1, 6)
  await scoring.close()
  for (const { output } of signature.metrics) expect(scores.has(output), output).toBe(true)
})

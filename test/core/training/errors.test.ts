// The text of every error of deriving a training step.
import { describe, expect, it } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { GraphError, input, parameter, type Value } from '../../../src/core/graph/value.js'
import { linear } from '../../../src/core/layers/index.js'
import { argMax, batchNormalization, cast, mul, unsqueeze } from '../../../src/core/ops/index.js'
import { trainingStep } from '../../../src/core/training/step.js'

const x = input('x', 'float32', ['batch', 3])
const optimizer = { momentum: 0.9, weightDecay: 0, nesterov: false }
const still = parameter('still', [3], { kind: 'constant', value: 1 }, { trainable: false })
const step = (outputs: Parameters<typeof graph>[2], inputs = [x]) =>
  trainingStep(graph('net', inputs, outputs), optimizer)

const rows: readonly (readonly [message: string, call: () => unknown])[] = [
  ["graph net: needs an output 'logits' [batch, classes] to train on", () => step({ y: linear(x, 'out', 2) })],
  [
    "graph net: needs an output 'logits' [batch, classes] to train on",
    () => step({ logits: unsqueeze(linear(x, 'out', 2), 0) }),
  ],
  [
    "two batch norms share 'bn.running_mean'; give each its own running statistics",
    () => {
      const running = (name: string) =>
        parameter(`bn.${name}`, [2], { kind: 'constant', value: 1 }, { trainable: false })
      const [scale, shift] = [running('scale'), running('shift')]
      const [mean, variance] = [running('running_mean'), running('running_variance')]
      const norm = (v: Value) => batchNormalization(v, { scale, shift, mean, variance })
      return step({ logits: norm(norm(linear(x, 'out', 2))) })
    },
  ],
  ['graph net: has no trainable parameter', () => step({ logits: mul(x, still) })],
  [
    "graph net.train: two inputs or parameters are named 'labels'; rename the second, this input",
    () => {
      const labels = input('labels', 'float32', ['batch', 3])
      return step({ logits: linear(labels, 'out', 2) }, [labels])
    },
  ],
]

describe('training step', () => {
  it.each(rows)('%s', (message, call) => {
    expect(call).toThrow(GraphError)
    expect(call).toThrow(message)
  })

  it('trains what lies behind the last flat operator, and gives the rest a gradient of zero', () => {
    const hidden = linear(x, 'hidden', 3)
    const flat = cast(unsqueeze(argMax(hidden, 1, { keepdims: 0 }), 1), 'float32')
    const { updates } = step({ logits: linear(flat, 'out', 2) })
    expect(updates.get('hidden.weight')).toBe('hidden.weight.next')
  })
})

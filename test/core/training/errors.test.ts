// The text of every error of deriving a training step.
import { describe, expect, it } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { GraphError, input, parameter, type Value } from '../../../src/core/graph/value.js'
import { linear } from '../../../src/core/layers/index.js'
import { crossEntropy, meanSquaredError } from '../../../src/core/losses/index.js'
import { argMax, batchNormalization, cast, mul, unsqueeze } from '../../../src/core/ops/index.js'
import { trainingStep } from '../../../src/core/training/step.js'

const x = input('x', 'float32', ['batch', 3])
const still = parameter('still', [3], { kind: 'constant', value: 1 }, { trainable: false })
const step = (outputs: Parameters<typeof graph>[2], inputs = [x]) => trainingStep(graph('net', inputs, outputs))

const rows: readonly (readonly [message: string, call: () => unknown])[] = [
  [
    "the network has no output 'logits' and not one that a loss is sure to mean; name one of 'y', 'z'",
    () => step({ y: linear(x, 'out', 2), z: mul(x, 2) }),
  ],
  [
    "the network has no output 'y' for a loss; it has 'z'",
    () => trainingStep(graph('net', [x], { z: linear(x, 'out', 2) }), { loss: meanSquaredError({ output: 'y' }) }),
  ],
  [
    'cross-entropy needs logits [batch, classes] of a known number of classes, at least 2, got [batch, 1, 2]: if the 2 along the last axis are the classes, write cross-entropy:axis=-1',
    () => step({ logits: unsqueeze(linear(x, 'out', 2), 1) }),
  ],
  [
    'cross-entropy needs logits [batch, classes] of a known number of classes, at least 2, got [batch, 1]: for a number take mse, for yes or no binary-cross-entropy',
    () => step({ logits: linear(x, 'out', 1) }),
  ],
  [
    'cross-entropy has no axis 2 for the classes in [batch, 2]; give one from 1 to 1',
    () => trainingStep(graph('net', [x], { y: linear(x, 'out', 2) }), { loss: crossEntropy({ axis: 2 }) }),
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
  ['graph net: no weight trains; its loss depends on none', () => step({ logits: mul(x, still) })],
  [
    "the target 'labels' is int64[batch], and the network has an input of that name, float32[batch, 3]; give the target another name",
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
    const { signature } = step({ logits: linear(flat, 'out', 2) })
    expect(signature.updates['hidden.weight.next']).toBe('hidden.weight')
  })
})

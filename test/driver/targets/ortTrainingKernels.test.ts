// The kernels of ONNX Runtime's training builds: what their records say is what the builds do.
import { describe, expect, it } from 'vitest'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import type { Operator } from '../../../src/core/graph/operator.js'
import { apply, GraphError, input, type Value } from '../../../src/core/graph/value.js'
import { add, mul, reshape, slice } from '../../../src/core/ops/index.js'
import * as kernels from '../../../src/driver/targets/ort-training/kernels.js'
import { byName, drawnFor } from '../../support/blocks.js'
import { expectClose, modelOf, rounded, type Tensors } from '../../support/runtime.js'
import { rows, trial } from '../../support/samples.js'
import { type Runs, trainingBuilds } from '../../support/trainingBuilds.js'

const operators = Object.values<unknown>(kernels).filter(
  (member): member is Operator => typeof member === 'object' && member !== null && 'infer' in member,
)
const table = rows(operators)

const runOf = (outputs: readonly Value[], feeds: Parameters<typeof byName>[0]): Runs => {
  const named = Object.fromEntries(outputs.map((value, i) => [`out${i}`, value]))
  const source = graph('sample', [...feeds.keys()], named)
  return { model: modelOf(source, 'functions'), state: new Map(), updates: {}, batches: [byName(feeds)] }
}

describe.each(Object.entries(trainingBuilds))('%s', (_, run) => {
  it('does what the records say', async () => {
    const trials = table.map(({ operator, index }) => trial(operator, index, rounded))
    const results = await run(trials.map(({ outputs, feeds }) => runOf(outputs, feeds)))
    expect(results).toHaveLength(table.length)
    for (const [at, { outputs, feeds }] of trials.entries()) {
      evaluateValues(outputs, feeds).forEach((value, i) => {
        expectClose(results[at]![0]!.get(`out${i}`)!, value, `${table[at]!.name}, output ${i}`)
      })
    }
  })
})

it.each(Object.entries(trainingBuilds))(
  '%s leaves running statistics alone, which the kernel could write over',
  async (_, run) => {
    const x = input('x', 'float32', [4, 3, 2, 2])
    const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map((name) =>
      input(name, 'float32', [3]),
    ) as [Value, Value, Value, Value]
    const [y] = kernels.batchNormInternal(x, { scale, shift, mean, variance }, 1e-5)
    // Read after the kernel has run, whatever order the nodes take.
    const zero = mul(slice(reshape(y, [-1]), [0], [0], [1]), 0)
    const feeds = drawnFor([x, scale, shift, mean, variance], 'statistics')
    const [[found]] = (await run([runOf([add(mean, zero), add(variance, zero)], feeds)])) as [[Tensors]]
    expect(found.get('out0')!.data).toEqual(feeds.get(mean)!.data)
    expect(found.get('out1')!.data).toEqual(feeds.get(variance)!.data)
  },
)

describe('errors', () => {
  const x = input('x', 'float32', ['batch', 3, 8, 8])
  const w = input('w', 'float32', [4, 3, 3, 3])
  const vector = input('v', 'float32', [3])
  const attributes = { strides: [2, 2], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 }
  const table: readonly (readonly [string, () => unknown, string])[] = [
    ['dy', () => kernels.convGrad(x, x, w, attributes), 'ConvGrad: dy should be [batch,4,4,4] for this x and w'],
    [
      'training mode',
      () => apply(kernels.BatchNormInternal, [x, vector, vector, vector, vector], { training_mode: 0 }),
      'BatchNormInternal: needs training_mode=1; with given statistics it is BatchNormalization',
    ],
    [
      'epsilon',
      () => apply(kernels.BatchNormalizationGrad, [x, x, vector, vector, vector]),
      "BatchNormalizationGrad: needs the attribute 'epsilon' (float)",
    ],
  ]
  it.each(table)('%s', (_, call, message) => {
    expect(call).toThrow(GraphError)
    expect(call).toThrow(message)
  })
})

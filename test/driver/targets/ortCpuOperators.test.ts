// ONNX Runtime's blocked operators: what their records say is what the runtime does, and what plain operators compute.
import { describe, expect, it } from 'vitest'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { GraphError, input, type Value } from '../../../src/core/graph/value.js'
import type { ConvOptions } from '../../../src/core/ops/conv.js'
import { add, conv, globalAveragePool, relu, transpose } from '../../../src/core/ops/index.js'
import { type ConvNchwcOptions, nchwc } from '../../../src/driver/targets/ort-cpu/nchwc.js'
import { blocks, byName, drawnFor, machineBlock } from '../../support/blocks.js'
import { expectClose, modelOf, openModel, rounded } from '../../support/runtime.js'
import { rows, trial } from '../../support/samples.js'

/** Both values are the same numbers, computed in float64. */
function expectEqual(actual: Value, expected: Value, inputs: readonly Value[], key: string, tolerance = 0) {
  const [a, b] = evaluateValues([actual, expected], drawnFor(inputs, key))
  expectClose(a!, b!, key, tolerance)
}

describe.skipIf(machineBlock === undefined)('the records in ONNX Runtime', () => {
  const own = nchwc(machineBlock ?? 8)
  it.each(rows(Object.values(own.operators)).map((row) => [row.name, row] as const))('%s', async (_, row) => {
    const { outputs, feeds } = trial(row.operator, row.index, rounded)
    const named = Object.fromEntries(outputs.map((value, i) => [`out${i}`, value]))
    const model = await openModel(modelOf(graph('sample', [...feeds.keys()], named), 'functions'))
    const actual = await model.run(byName(feeds))
    await model.close()
    evaluateValues(outputs, feeds).forEach((value, i) => {
      expectClose(actual.get(`out${i}`)!, value, `output ${i}`)
    })
  })
})

describe.each(blocks)('blocks of %i', (block) => {
  const { reorderInput, reorderOutput, filter, narrowFilter, conv: blockedConv, ...own } = nchwc(block)
  const x = input('x', 'float32', [2, 3 * block, 5, 4])

  it('going to blocks and back changes nothing, from and to either plain layout', () => {
    const last = transpose(x, [0, 2, 3, 1])
    for (const y of [reorderInput(x), reorderInput(last, { channelsLast: true })]) {
      expect(y.shape).toEqual(x.shape)
      expectEqual(reorderOutput(y), x, [x], 'channels first')
      expectEqual(reorderOutput(y, { channelsLast: true }), last, [x], 'channels last')
    }
  })

  it('lays the channels of a block side by side', () => {
    const two = input('x', 'float32', [1, 2 * block, 1, 2])
    const places = { dtype: two.dtype, shape: two.shape as number[], data: new Float64Array(4 * block) }
    for (let c = 0; c < 2 * block; c++) for (const place of [0, 1]) places.data[2 * c + place] = 100 * c + place
    const [y] = evaluateValues([reorderInput(two)], new Map([[two, places]]))
    const expected = [0, 1].flatMap((part) =>
      [0, 1].flatMap((place) => Array.from({ length: block }, (_, c) => 100 * (part * block + c) + place)),
    )
    expect([...y!.data]).toEqual(expected)
  })

  it('global average pooling', () => {
    expectEqual(own.globalAveragePool(reorderInput(x)), globalAveragePool(x), [x], 'pooled', 1e-15)
  })

  const windows: readonly ConvOptions[] = [
    { pads: [1, 1, 1, 1] },
    { strides: [2, 2], pads: [1, 0, 0, 1] },
    { strides: [3, 1], pads: [0, 2, 1, 0] },
    { dilations: [2, 1], pads: [2, 1, 0, 1] },
  ]
  describe.each([
    ['one block to two', block, 2 * block],
    ['three blocks to one', 3 * block, block],
    ['channels fewer than a block', 3, 2 * block],
    ['one channel', 1, block],
  ])('convolution of %s', (_, channels, outputs) => {
    it.each([[3, 3] as const, [1, 1] as const, [2, 3] as const])('kernel %i×%i', (...kernel) => {
      const image = input('image', 'float32', [2, channels, 6, 5])
      const w = input('w', 'float32', [outputs, channels, ...kernel])
      const bias = input('bias', 'float32', [outputs])
      const narrow = channels < block
      for (const window of windows) {
        const plain = conv(image, w, window)
        const sum = input('sum', 'float32', plain.shape)
        const all: [ConvNchwcOptions, Value][] = [
          [{}, plain],
          [{ bias }, conv(image, w, { ...window, bias })],
          [{ activation: 'Relu' }, relu(plain)],
          [{ sum: reorderInput(sum) }, add(plain, sum)],
          [{ bias, sum: reorderInput(sum), activation: 'Relu' }, relu(add(conv(image, w, { ...window, bias }), sum))],
        ]
        for (const [options, expected] of all) {
          const operands = [narrow ? image : reorderInput(image), narrow ? narrowFilter(w) : filter(w)] as const
          const actual = reorderOutput(blockedConv(...operands, { ...window, ...options }))
          expectEqual(actual, expected, [image, w, bias, sum], `${kernel} ${JSON.stringify(window)}`, 1e-14)
        }
      }
    })
  })

  it('depthwise convolution, and groups of whole blocks', () => {
    const options = { pads: [1, 1, 1, 1] }
    const depthwise = input('w', 'float32', [3 * block, 1, 3, 3])
    const group = 3 * block
    expectEqual(
      reorderOutput(blockedConv(reorderInput(x), narrowFilter(depthwise), { ...options, group })),
      conv(x, depthwise, { ...options, group }),
      [x, depthwise],
      'depthwise',
      1e-14,
    )
    const grouped = input('w', 'float32', [6 * block, block, 3, 3])
    expectEqual(
      reorderOutput(blockedConv(reorderInput(x), filter(grouped), { ...options, group: 3 })),
      conv(x, grouped, { ...options, group: 3 }),
      [x, grouped],
      'three groups',
      1e-14,
    )
  })

  describe('errors', () => {
    const w = input('w', 'float32', [block, 3 * block, 3, 3])
    const of = (...shape: (number | string)[]) => input('v', 'float32', shape)
    const table: readonly (readonly [string, () => unknown, string])[] = [
      ['channels', () => reorderInput(of(1, 14, 4, 4)), `needs channels in whole blocks of ${block}, got 14`],
      ['symbols', () => reorderInput(of(1, 'c', 4, 4)), `needs channels in whole blocks of ${block}, got c`],
      ['channels last', () => reorderInput(of(1, 12, 4, 6), { channelsLast: true }), `blocks of ${block}, got 6`],
      [
        'channels of the result',
        () => reorderOutput(x, { channels: 2 * block }),
        `channels=${2 * block} are not in as many`,
      ],
      ['rank', () => reorderInput(of(block, block)), 'needs a four-dimensional input'],
      ['rank of the result', () => reorderOutput(of(block, block)), 'needs a four-dimensional input'],
      ['part of a block', () => reorderOutput(of(1, 12, 4, 4)), `blocks of ${block}, got 12`],
      ['outputs', () => blockedConv(x, of(12, 3 * block, 3, 3)), `blocks of ${block}, got 12`],
      ['inputs', () => blockedConv(of(1, block + 4, 3, 3), of(block, block + 4, 3, 3)), `got ${block + 4}`],
      [
        'inputs of a group',
        () => blockedConv(of(1, 3 * block, 3, 3), of(2 * block, 1.5 * block, 3, 3), { group: 2 }),
        `got ${1.5 * block}`,
      ],
      ['sum', () => blockedConv(x, w, { sum: x }), 'the sum needs the shape of the result'],
      ['activation', () => blockedConv(x, w, { activation: 'Tanh' as never }), "activation 'Tanh' is not known"],
      ['weights', () => filter(of('outputs', block, 3, 3)), 'needs weights of known shape'],
      ['narrow weights', () => narrowFilter(of('outputs', 3, 3, 3)), 'needs weights of known shape'],
      ['pooling', () => own.globalAveragePool(of(1, 12, 4, 4)), `blocks of ${block}, got 12`],
    ]
    it.each(table)('%s', (_, call, message) => {
      expect(call).toThrow(GraphError)
      expect(call).toThrow(message)
    })
  })

  it('one description a block', () => {
    expect(nchwc(block)).toBe(nchwc(block))
    expect(nchwc(block).block).toBe(block)
  })
})

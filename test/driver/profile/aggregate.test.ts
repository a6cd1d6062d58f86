// What is made of the events of ONNX Runtime's profiler, by numbers worked out by hand.
import { describe, expect, it } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { input } from '../../../src/core/graph/value.js'
import { conv } from '../../../src/core/ops/index.js'
import { type ProfileRow, profileOf } from '../../../src/driver/profile/aggregate.js'
import { type ProfileEvent, parseEvent, stepTimes } from '../../../src/driver/profile/events.js'
import { flopsOf, nominalFlops } from '../../../src/driver/profile/flops.js'
import { operatorLabel, outerScope, placeOf } from '../../../src/driver/profile/names.js'
import { formatProfile } from '../../../src/driver/profile/table.js'

const plain = (_: string, operator: string) => operator
const row = (rows: readonly ProfileRow[], label: string) => rows.find((one) => one.label === label)

describe('flopsOf', () => {
  it.each([
    // 5 images of 8×8, 4 channels out, 3 in, 3×3: 1280 outputs of 27 multiply-adds.
    [
      'Conv',
      [
        [5, 3, 8, 8],
        [4, 3, 3, 3],
      ],
      [[5, 4, 8, 8]],
      69_120,
    ],
    // Two groups: each of 6 channels sees 2 of 4; with a bias, which is not counted.
    ['Conv', [[1, 4, 5, 5], [6, 2, 1, 1], [6]], [[1, 6, 5, 5]], 600],
    [
      'FusedConv',
      [
        [1, 1, 4, 4],
        [1, 1, 2, 2],
      ],
      [[1, 1, 3, 3]],
      72,
    ],
    // 2·4·3·3 inputs, each into 5 channels by 2×2.
    [
      'ConvTranspose',
      [
        [2, 4, 3, 3],
        [4, 5, 2, 2],
      ],
      [[2, 5, 6, 6]],
      2880,
    ],
    [
      'MatMul',
      [
        [2, 3],
        [3, 4],
      ],
      [[2, 4]],
      48,
    ],
    [
      'MatMul',
      [
        [7, 2, 3],
        [3, 4],
      ],
      [[7, 2, 4]],
      336,
    ],
    ['MatMul', [[3], [3, 4]], [[4]], 24],
    ['MatMul', [[5, 2, 3], [3]], [[5, 2]], 60],
    // Aᵀ B: [7, 3, 2]ᵀ is 2×3.
    [
      'FusedMatMul',
      [
        [7, 3, 2],
        [7, 3, 4],
      ],
      [[7, 2, 4]],
      336,
    ],
    ['Gemm', [[128, 64], [10, 64], [10]], [[128, 10]], 163_840],
    [
      'Add',
      [
        [2, 3],
        [2, 3],
      ],
      [[2, 3]],
      0,
    ],
    ['Conv', [], [], 0],
    ['Conv', [[5, 3, 8, 8]], [[5, 4, 8, 8]], 0],
    [
      'MatMul',
      [
        [2, 3],
        [3, 4],
      ],
      [[]],
      0,
    ],
    [
      'MatMul',
      [
        [0, 3],
        [3, 4],
      ],
      [[0, 4]],
      0,
    ],
    ['constructor', [[1], [1]], [[1]], 0],
  ])('%s of %j gives %j: %d', (operator, inputs, outputs, flops) => {
    expect(flopsOf(operator, inputs, outputs)).toBe(flops)
  })

  it('counts a network three times forward', () => {
    const x = input('x', 'float32', ['batch', 3, 8, 8])
    const w = input('w', 'float32', [4, 3, 3, 3])
    // 256 outputs of 27 multiply-adds an image.
    expect(nominalFlops(graph('one', [x, w], { y: conv(x, w, { pads: [1, 1, 1, 1] }) }), 5)).toBe(6 * 5 * 6912)
  })
})

describe('names', () => {
  it.each([
    ['train/stage1.block2.f1.conv1', 'forward', 'stage1.block2.f1.conv1'],
    ['train/stage1.block2.f1.conv1/Transpose_3', 'forward', 'stage1.block2.f1.conv1'],
    ['train/stage1.block2.f1.conv1/grad/ConvWeightGrad/Pad', 'backward', 'stage1.block2.f1.conv1'],
    ['stem/grad/MatMul/MatmulTransposeFusion/', 'backward', 'stem'],
    ['fused train/stem', 'forward', 'stem'],
    ['stage1.block1.f2.conv2_nchwc', 'forward', 'stage1.block1.f2.conv2'],
    ['train/head.bn/again', 'recomputation', 'head.bn'],
    ['train/head.bn/again/BatchNormalization/Sub', 'recomputation', 'head.bn'],
    ['train/head.bn/grad.m2/Mul', 'backward', 'head.bn'],
    ['train/head.bn/again/zero/Slice', 'recomputation', 'head.bn'],
    ['normalize/Mul', 'forward', 'normalize'],
    ['update/stem.weight', 'update', 'update'],
    ['update/stem.weight/Mul_2', 'update', 'update'],
    ['train', 'forward', ''],
    ['train/Relu', 'forward', ''],
    ['train/grad/ReluGrad_2/Mul', 'backward', ''],
    ['Transpose_token_12', 'runtime', ''],
    ['Cast_0', 'runtime', ''],
    ['', 'runtime', ''],
  ])('"%s" is %s of "%s"', (name, role, layer) => {
    expect(placeOf(name)).toEqual({ role, layer })
  })

  it('knows the scopes around a layer', () => {
    expect(outerScope('stage1.block2.f1.conv1', 2)).toBe('stage1.block2')
    expect(outerScope('stage1.block2.f1.conv1', 1)).toBe('stage1')
    expect(outerScope('stem', 2)).toBe('stem')
  })

  it('shortens domains', () => {
    const labels = ['', 'ai.onnx', 'com.microsoft', 'com.microsoft.nchwc'].map((domain) =>
      operatorLabel('Conv', domain),
    )
    expect(labels).toEqual(['Conv', 'Conv', 'Conv', 'nchwc.Conv'])
  })
})

const runEvent = (ts: number, dur: number): string =>
  JSON.stringify({ cat: 'Session', name: 'model_run', ts, dur, args: {} })

const typed = (shapes: readonly (readonly number[])[]) => shapes.map((shape) => ({ float: shape }))

const nodeEvent = (
  name: string,
  operator: string,
  ts: number,
  dur: number,
  shapes: readonly [readonly number[][], readonly number[][]] = [[], []],
): string =>
  JSON.stringify({
    cat: 'Node',
    name: `${name}_kernel_time`,
    ts,
    dur,
    args: {
      op_name: operator,
      input_type_shape: typed(shapes[0]),
      output_type_shape: typed(shapes[1]),
      node_index: '3',
    },
  })

const parsed = (lines: readonly string[]): ProfileEvent[] => lines.flatMap((line) => parseEvent(line) ?? [])

const stemShapes = [
  [
    [5, 3, 8, 8],
    [4, 3, 3, 3],
  ],
  [[5, 4, 8, 8]],
] as const

/** Microseconds of the convolution forward and backward, of a product and of an update, run by run. */
const madeUp = [
  [9000, 9000, 9000, 9000],
  [1000, 3000, 400, 30],
  [2000, 5000, 600, 10],
  [1500, 4000, 500, 20],
].flatMap(([forward, backward, product, update], i) => {
  const start = 100_000 * (i + 1)
  return [
    `${runEvent(start, 20_000 + 1000 * i)},`,
    nodeEvent('train/stem', 'Conv', start + 10, forward!, stemShapes as never),
    nodeEvent('train/stem/grad/Conv', 'Conv', start + 10_000, backward!, stemShapes as never),
    nodeEvent('train/a.b.c', 'MatMul', start + 16_000, product!, [
      [
        [2, 3],
        [3, 4],
      ],
      [[2, 4]],
    ]),
    nodeEvent('update/stem.weight/Mul', 'Mul', start + 17_000, update!),
  ]
})

describe('a profile of made-up events', () => {
  it('takes the median of each node over the steps after the first', () => {
    const times = stepTimes(parsed(madeUp), 1)
    expect(times).toMatchObject({ steps: 3, stepMs: 22 })
    expect(times.nodes.map(({ name, ms, calls, flops }) => [name, ms, calls, flops])).toEqual([
      ['train/stem', 1.5, 1, 69_120],
      ['train/stem/grad/Conv', 4, 1, 69_120],
      ['train/a.b.c', 0.5, 1, 48],
      ['update/stem.weight/Mul', 0.02, 1, 0],
    ])
  })

  it('adds up by part, operator, layer and its scopes', () => {
    const context = { operator: (name: string, op: string) => (name === 'train/stem' ? `nchwc.${op}` : op), peak: 0.1 }
    const profile = profileOf(stepTimes(parsed(madeUp), 1), { ...context, nominalFlops: 220_000 })
    expect(profile.total).toMatchObject({ ms: 6.02, share: 1, calls: 4, flops: 138_288 })
    // 220,000 operations in 22 ms are 0.01 GFLOP/s.
    expect(profile.nominal!.rate).toBeCloseTo(0.01, 12)
    expect(profile.nominal!.ofPeak).toBeCloseTo(0.1, 12)
    expect(profile.roles.map(({ label, ms }) => [label, ms])).toEqual([
      ['backward', 4],
      ['forward', 2],
      ['update', 0.02],
    ])
    expect(profile.operators.map(({ label, role, ms }) => [label, role, ms])).toEqual([
      ['Conv', 'backward', 4],
      ['nchwc.Conv', 'forward', 1.5],
      ['MatMul', 'forward', 0.5],
      ['Mul', 'update', 0.02],
    ])
    const stem = row(profile.layers, 'stem')!
    expect(stem).toMatchObject({ ms: 5.5, calls: 2, flops: 138_240 })
    // 138,240 operations in 5.5 ms.
    expect(stem.rate).toBeCloseTo(0.0251345, 7)
    expect(stem.ofPeak).toBeCloseTo(0.251345, 6)
    expect(profile.layers.map(({ label }) => label)).toEqual(['stem', 'a.b.c', 'update'])
    expect(profile.blocks.map(({ label }) => label)).toEqual(['stem', 'a.b', 'update'])
    expect(profile.stages.map(({ label }) => label)).toEqual(['stem', 'a', 'update'])
    expect(profile.small).toMatchObject({ belowMs: 0.05, ms: 0.02, calls: 1 })
    expect(JSON.parse(JSON.stringify(profile))).toEqual(profile)
  })

  it('counts what runs more than once a step, by the nodes in a loop and not by the loop', () => {
    const lines = [
      runEvent(0, 1000),
      nodeEvent('loop', 'Loop', 0, 900),
      nodeEvent('train/x', 'Mul', 100, 100),
      nodeEvent('train/x', 'Mul', 300, 200),
    ]
    expect(stepTimes(parsed(lines), 0).nodes).toEqual([
      { name: 'train/x', operator: 'Mul', calls: 2, ms: 0.3, flops: 0 },
    ])
  })

  it('prints tables', () => {
    expect(formatProfile(profileOf(stepTimes(parsed(madeUp), 1), { operator: plain, peak: 0.1 }))).toBe(`\
a step takes 22.0 ms under the profiler, its nodes 6.0 ms (median of 3)
sgemm peak: 0.1 GFLOP/s
computed: 0.0 GFLOP, 0.0 GFLOP/s, 23.0 % of the peak
small nodes, below 50 µs each: 1 of 4, 0.0 ms, 0.3 %

part      time ms  share %  calls  GFLOP/s  of peak %
backward      4.0     66.4      1      0.0       17.3
forward       2.0     33.2      2      0.0       34.6
update        0.0      0.3      1

operator  part      time ms  share %  calls  GFLOP/s  of peak %
Conv      backward      4.0     66.4      1      0.0       17.3
Conv      forward       1.5     24.9      1      0.0       46.1
MatMul    forward       0.5      8.3      1      0.0        0.1
Mul       update        0.0      0.3      1

layer   time ms  share %  calls  GFLOP/s  of peak %
stem        5.5     91.4      2      0.0       25.1
a.b.c       0.5      8.3      1      0.0        0.1
update      0.0      0.3      1
`)
  })

  it('fits a screen: the most expensive layers, the others in a row, blocks and stages', () => {
    const lines = Array.from({ length: 100 }, (_, i) =>
      nodeEvent(`train/stage${i % 4}.block${i % 30}.conv${i}`, 'Mul', i, 1000 * (i + 1)),
    )
    const text = formatProfile(profileOf(stepTimes(parsed([runEvent(0, 1000), ...lines]), 0), { operator: plain }))
    const [, , , stages, blocks, layers] = text.split('\n\n').map((section) => section.trimEnd().split('\n'))
    expect(stages).toHaveLength(5)
    expect(blocks).toHaveLength(12)
    expect(layers).toHaveLength(22)
    // 1 + 2 + … + 80 of 5050 milliseconds.
    expect(layers!.at(-1)).toMatch(/^80 others +3240\.0 +64\.2 +80$/)
  })

  it('makes a profile of anything', () => {
    const odd = [
      '[',
      ']',
      '',
      'null',
      '{"cat":"Node"',
      '{"cat":"Node","name":"x_kernel_time"}',
      '{"cat":"Node","name":"x_kernel_time","ts":1,"dur":null,"args":{"op_name":"Add"}}',
      '{"cat":"Node","name":"x_kernel_time","ts":1,"dur":1e999,"args":{"op_name":"Add"}}',
      '{"cat":"Node","name":"x_kernel_time","ts":1,"dur":-5,"args":{"op_name":"Add"}}',
    ]
    expect(parsed(odd)).toEqual([])
    const shapeless = [
      runEvent(0, 100),
      '{"cat":"Node","name":"a_kernel_time","ts":1,"dur":5,"args":{"op_name":"Conv"}},',
      '{"cat":"Node","name":"b_kernel_time","ts":2,"dur":0,"args":{"op_name":"Conv","input_type_shape":[{},{"float":[-1]}],"output_type_shape":"?"}}',
      nodeEvent('line\\none\u0007', 'MatMul', 3, 0, [
        [
          [2, 3],
          [3, 4],
        ],
        [[2, 4]],
      ]),
    ]
    for (const events of [[], parsed(shapeless), parsed([runEvent(0, 0)]), parsed(shapeless.slice(1))]) {
      const profile = profileOf(stepTimes(events, 0), { operator: plain, peak: Number.NaN, nominalFlops: Infinity })
      expect(profile).toMatchObject({ peak: null, nominal: null })
      const text = formatProfile(profile) + JSON.stringify(profile)
      expect(text).not.toMatch(/NaN|Infinity|undefined|\p{Cc}(?<!\n)/u)
    }
  })
})

// Candidate ways to write a training primitive in standard operators, timed side by side in ONNX Runtime on the CPU:
// `npm run bench:lowerings`. Each round runs every candidate once, so that a slow moment of the machine falls on all of them;
// the table gives medians in ms and the ratio to the one that target `portable` uses. `node bench/lowerings.mjs pool` times the studies
// with that in their name, and keeps no figures.

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import {
  add,
  batchNormalization,
  cast,
  concat,
  conv,
  convTranspose,
  exportGraph,
  graph,
  greater,
  input,
  matmul,
  mul,
  pad,
  portable,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  reshape,
  sign,
  slice,
  sub,
  transpose,
  where,
} from 'rdm-onnx'
import { poolings } from './poolings.mjs'

const BATCH = 128
const ROUNDS = 15
const threads = availableParallelism()

const places = (x) => reshape(x, [0, 0, -1])
const product = (a, b) => reduceSum(matmul(a, transpose(b, [0, 2, 1])), [0])
const WHOLE = 2 ** 31 - 1
const end = (dropped) => (dropped === 0 ? WHOLE : -dropped)
const framed = (x) => pad(x, [2, 3], [1, 1], [1, 1])
const tap = (x, i, j) => slice(x, [2, 3], [i, j], [end(2 - i), end(2 - j)])
const nine = (f) => Array.from({ length: 9 }, (_, k) => f(Math.floor(k / 3), k % 3))

const attributes = { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 }
const { expansions } = portable

/** [what, inputs by shape, candidates: the first is what portable does] */
const studies = [
  ...[
    [16, 32],
    [32, 16],
    [64, 8],
  ].map(([c, h]) => ({
    name: `weight gradient of a 3×3 convolution, ${c}→${c} at ${h}×${h}`,
    inputs: { x: [BATCH, c, h, h], dy: [BATCH, c, h, h] },
    candidates: {
      portable: ({ x, dy }) => expansions.ConvWeightGrad([x, dy], attributes)[0],
      'nine taps side by side, one product': ({ x, dy }) =>
        product(
          places(dy),
          places(
            concat(
              nine((i, j) => tap(framed(x), i, j)),
              1,
            ),
          ),
        ),
      'nine products': ({ x, dy }) =>
        concat(
          nine((i, j) => product(places(dy), places(tap(framed(x), i, j)))),
          0,
        ),
      'Conv with batch and channels exchanged': ({ x, dy }) =>
        conv(transpose(x, [1, 0, 2, 3]), transpose(dy, [1, 0, 2, 3]), { pads: [1, 1, 1, 1] }),
    },
  })),
  ...[
    [16, 32],
    [64, 8],
  ].map(([c, h]) => ({
    name: `input gradient of a 3×3 convolution, ${c}→${c} at ${h}×${h}`,
    inputs: { dy: [BATCH, c, h, h], w: [c, c, 3, 3] },
    candidates: {
      'portable (Conv, kernel turned)': ({ dy, w }) =>
        expansions.ConvInputGrad([dy, w], { ...attributes, output_padding: [0, 0] })[0],
      ConvTranspose: ({ dy, w }) => convTranspose(dy, w, { pads: [1, 1, 1, 1] }),
    },
  })),
  {
    name: 'ReLU gradient, 16 channels at 32×32',
    inputs: { dy: [BATCH, 16, 32, 32], y: [BATCH, 16, 32, 32] },
    candidates: {
      'portable (HardSigmoid mask)': ({ dy, y }) => expansions.ReluGrad([dy, y], {})[0],
      'Cast of Greater': ({ dy, y }) => mul(dy, cast(greater(y, 0), 'float32')),
      Sign: ({ dy, y }) => mul(dy, sign(y)),
      Where: ({ dy, y }) => where(greater(y, 0), dy, 0),
    },
  },
  {
    name: 'batch-norm statistics, 16 channels at 32×32',
    inputs: { x: [BATCH, 16, 32, 32] },
    candidates: {
      'portable (ReduceMean, ReduceSumSquare)': ({ x }) => add(reduceMean(x, [0, 2, 3]), reduceSumSquare(x, [0, 2, 3])),
      'two passes: mean, then squares of x − mean': ({ x }) =>
        reduceSumSquare(sub(x, reduceMean(x, [0, 2, 3])), [0, 2, 3]),
    },
  },
  {
    name: 'a·dy + b·x + c over channels (batch-norm gradient), 16 at 32×32',
    inputs: { dy: [BATCH, 16, 32, 32], x: [BATCH, 16, 32, 32], a: [16], b: [16], c: [16], one: [16] },
    candidates: {
      'portable (BatchNormalization for b·x + c, Mul, Add)': ({ dy, x, a, b, c, one }) => {
        const affine = batchNormalization(x, { scale: b, shift: c, mean: sub(one, one), variance: one }, { epsilon: 0 })
        return add(mul(dy, reshape(a, [-1, 1, 1])), affine)
      },
      'Mul, Mul, Add, Add': ({ dy, x, a, b, c }) => {
        const over = (v) => reshape(v, [-1, 1, 1])
        return add(mul(dy, over(a)), add(mul(x, over(b)), over(c)))
      },
      'BatchNormalization twice, Add': ({ dy, x, a, b, c, one }) => {
        const zero = sub(one, one)
        const affine = (v, scale, shift) =>
          batchNormalization(v, { scale, shift, mean: zero, variance: one }, { epsilon: 0 })
        return add(affine(dy, a, zero), affine(x, b, c))
      },
    },
  },
  ...poolings,
]
const [wanted = ''] = process.argv.slice(2)

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]

async function open(build, shapes) {
  const inputs = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, input(name, 'float32', shape)]),
  )
  // The result is summed to one number, so that copying it out costs nothing.
  const model = exportGraph(
    graph('candidate', Object.values(inputs), { result: reduceMean(build(inputs), undefined, { keepdims: 0 }) }),
  )
  return InferenceSession.create(model, {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  })
}

const results = []
for (const { name, inputs, candidates } of studies.filter(({ name }) => name.includes(wanted))) {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([key, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1)
      return [
        key,
        new Tensor(
          'float32',
          Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
          shape,
        ),
      ]
    }),
  )
  const runs = []
  for (const [candidate, build] of Object.entries(candidates))
    runs.push({ candidate, session: await open(build, inputs), ms: [] })
  for (let round = -2; round < ROUNDS; round++) {
    for (const run of runs) {
      // Threads of a session spin for a while after a run: let them sleep before the next one begins.
      await setTimeout(30)
      const started = performance.now()
      await run.session.run(feeds)
      if (round >= 0) run.ms.push(performance.now() - started)
    }
  }
  const base = median(runs[0].ms)
  console.log(`\n${name}`)
  for (const { candidate, ms, session } of runs) {
    const sorted = [...ms].sort((a, b) => a - b)
    const row = {
      study: name,
      candidate,
      ms: median(ms),
      low: sorted[2],
      high: sorted.at(-3),
      ratio: median(ms) / base,
    }
    results.push(row)
    console.log(
      `  ${candidate.padEnd(44)} ${row.ms.toFixed(2).padStart(8)} ms  (${row.low.toFixed(2)}–${row.high.toFixed(2)})  × ${row.ratio.toFixed(2)}`,
    )
    await session.release()
  }
}
if (wanted === '') {
  mkdirSync(new URL('results', import.meta.url), { recursive: true })
  const machine = { cpu: cpus()[0].model, threads, node: process.version }
  writeFileSync(
    new URL('results/lowerings.json', import.meta.url),
    `${JSON.stringify({ date: new Date().toISOString().slice(0, 10), machine, batch: BATCH, results }, null, 2)}\n`,
  )
}

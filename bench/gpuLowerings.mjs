// Ways to write the pieces of a training step, timed on the GPU in ONNX Runtime: `node bench/gpuLowerings.mjs [--ep cpu
// --small] [--only 'weight gradient']`. Each is repeated in a Loop within one run; candidates of a study run by turns, after
// their results were compared. Prints an object a line, as it goes.

import { parseArgs } from 'node:util'
import ort from 'onnxruntime-node'
import { countOf, fail, median, option } from './common.mjs'
import { studies } from './gpu/candidates.mjs'
import { loopModel } from './gpu/loopModel.mjs'

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1)

/** Small enough that no sum of squares leaves what half precision can say. */
function someTensor(shape, seed) {
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.7 + seed) / 4)
  return new ort.Tensor('float32', data, shape)
}

/** ‖a − b‖ / ‖b‖ */
function relativeError(a, b) {
  let [apart, size] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    apart += (a[i] - b[i]) ** 2
    size += b[i] ** 2
  }
  return a.length === b.length ? Math.sqrt(apart / size) : Number.NaN
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      ep: option('cuda'),
      small: { type: 'boolean', default: false },
      /** Studies whose names begin so. */
      only: option(''),
      batch: { type: 'string' },
      iterations: { type: 'string' },
      rounds: { type: 'string' },
      /** float32 (with TF32, as is the default), float16 */
      types: option('float16,float32'),
    },
  })
  const { ep, small, only } = values
  const count = (name, full, little) => (values[name] === undefined ? (small ? little : full) : countOf(values, name))
  const types = values.types.split(',')
  if (!types.every((type) => ['float16', 'float32'].includes(type))) fail('--types takes float16 and float32')
  if (!['cuda', 'cpu'].includes(ep)) fail(`--ep is cuda or cpu, not '${ep}'`)
  const numbers = {
    batch: count('batch', 128, 2),
    iterations: count('iterations', 50, 2),
    rounds: count('rounds', 7, 1),
  }
  return { ep, only, types, ...numbers }
}

/** TF32 and float16 have 10 bits of fraction. */
const toleranceOf = (ep, type) => (ep === 'cpu' && type === 'float32' ? 1e-4 : 2e-2)

function open(model, ep) {
  return ort.InferenceSession.create(model, {
    executionProviders: [ep],
    graphOptimizationLevel: 'all',
    enableMemPattern: false,
    logSeverityLevel: 4,
  })
}

async function time(session, feeds) {
  const begun = performance.now()
  await session.run(feeds, ['probe'])
  return performance.now() - begun
}

/**
 * @param empty the session of an empty loop: runs by turns with the candidates, and its time is taken off theirs
 * @returns a row a candidate: { candidate, micros } of one repetition, or { candidate, refused }; `wrong` where it differs
 */
async function runStudy({ inputs, candidates, differ = false }, type, empty, { ep, iterations, rounds }) {
  const shapes = Object.entries(inputs)
  const feeds = Object.fromEntries(shapes.map(([name, shape], i) => [name, someTensor(shape, i)]))
  const rows = []
  let expected
  for (const [candidate, given] of Object.entries(candidates)) {
    const row = { candidate, ms: [] }
    rows.push(row)
    try {
      const parts = typeof given === 'function' ? { build: given } : given
      row.session = await open(loopModel({ inputs, type, iterations, ...parts }), ep)
      const { result } = await row.session.run(feeds, ['result'])
      expected ??= result.data
      row.error = differ ? 0 : relativeError(result.data, expected)
      if (!(row.error <= toleranceOf(ep, type))) row.wrong = `is off by ${row.error.toExponential(1)}`
      await time(row.session, feeds)
    } catch ({ message }) {
      row.refused = message.replace(/\s+/g, ' ').slice(0, 200)
    }
  }
  const loop = []
  for (let round = 0; round < rounds; round++) {
    loop.push(await time(empty.session, empty.feeds))
    for (const { session, refused, ms } of rows) if (!refused) ms.push(await time(session, feeds))
  }
  for (const { session } of rows) await session?.release()
  const micros = (ms) => (1000 * (median(ms) - median(loop))) / iterations
  return rows.map(({ session, ms, ...row }) => ({ ...row, ...(ms.length > 0 ? { micros: micros(ms) } : {}) }))
}

/** A loop whose body passes a small tensor on. */
async function emptyLoop(type, { ep, iterations }) {
  const build =
    ({ x }) =>
    (b) =>
      b.op('Identity', [x])
  const session = await open(loopModel({ inputs: { x: [16] }, build, type, iterations }), ep)
  const feeds = { x: someTensor([16], 0) }
  await time(session, feeds)
  return { session, feeds }
}

async function main() {
  ort.env.logLevel = 'fatal'
  const options = readOptions()
  const { only, types, batch, iterations } = options
  const empty = {}
  for (const type of types) empty[type] = await emptyLoop(type, options)
  console.log(JSON.stringify({ batch, iterations }))
  for (const study of studies(batch).filter(({ name }) => name.startsWith(only))) {
    for (const type of types) {
      for (const row of await runStudy(study, type, empty[type], options))
        console.log(JSON.stringify({ study: study.name, type, ...row }))
    }
  }
}

main().catch(({ message }) => fail(message))

// Reads and writes files that are made wrong at random: `npm run fuzz -- --runs 20000 FOLDER…`. Whatever the
// bytes, reading ends soon, with a model or with a UserError in one line. Files: some of our own, exports of other libraries, ONNX's
// own tests and trained networks where they are installed, and all that are given. The same arguments do the same again; what went wrong is kept as a file.

import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { createProgram, parsedBy, runProgram, seedNumber, wholeNumber } from '../dist/src/cli/command.js'
import { encodeModel } from '../dist/src/core/onnx/tensors.js'
import { randomStream } from '../dist/src/core/random.js'
import {
  exportGraph,
  exportModel,
  findNetwork,
  readNetwork,
  readTrainableModel,
  recipes,
  residualNetwork,
  signatureOf,
  UserError,
} from '../dist/src/index.js'
import { mutated } from './mutations.mjs'

/** Of one file. */
const limits = { seconds: 5, heapMB: 1024, buffersMB: 2048, bytes: 3e6, message: 1100 }

const root = join(import.meta.dirname, '..')

/** Files of one origin, by the name that reports have. */
function filesIn(folder, count = Number.POSITIVE_INFINITY) {
  if (!existsSync(folder)) return []
  if (!statSync(folder).isDirectory()) return [[folder, readFileSync(folder)]]
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).size <= limits.bytes)
    .sort()
  const step = Math.max(1, Math.floor(found.length / count))
  return found.filter((_, i) => i % step === 0).map((path) => [path, readFileSync(path)])
}

function ours() {
  const { architecture } = findNetwork('rdm56')
  const small = { ...architecture, functions: ['01'], blocks: [1], widths: [4], imageSize: 4 }
  const options = { recipe: recipes.paper, seed: 7 }
  const network = residualNetwork(small)
  const dropping = residualNetwork({ ...small, stochasticDepth: 0.5 })
  return [
    ['our training', exportModel(network, options)],
    ['our training, stochastic depth', exportModel(dropping, options)],
    ['our step', exportModel(network, { ...options, part: 'train', inline: true })],
    ['our network', exportModel(network, { ...options, part: 'infer' })],
  ]
}

/** Functions with overloads and defaults, a branch, sparse and external tensors, metadata: what few exporters write. */
function newest() {
  const metadataProps = [{ key: 'from', value: 'here' }]
  const info = (name, elemType, ...dims) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
    metadataProps,
  })
  const node = (opType, input, output, more = {}) => ({
    opType,
    name: output[0],
    input,
    output,
    metadataProps,
    ...more,
  })
  const scale = (overload, f) => ({
    domain: 'f',
    name: 'Scale',
    overload,
    input: ['a'],
    output: ['b'],
    attributeProto: [{ name: 'by', type: 1, f }],
    opsetImport: [{ version: 21 }],
    node: [
      node('Constant', [], ['k'], { attribute: [{ name: 'value_float', refAttrName: 'by', type: 1 }] }),
      node('Mul', ['a', 'k'], ['b']),
    ],
    metadataProps,
  })
  const branch = (opType) => ({
    name: opType,
    node: [node(opType, ['s'], [`${opType}.y`])],
    output: [{ name: `${opType}.y` }],
  })
  const attribute = ['then', 'else'].map((name, i) => ({
    name: `${name}_branch`,
    type: 5,
    g: branch(['Neg', 'Abs'][i]),
  }))
  const sparse = {
    values: { name: 's', dataType: 1, dims: [2], floatData: [1, -2] },
    indices: { dataType: 7, dims: [2], int64Data: [0, 3] },
    dims: [2, 2],
  }
  const graph = {
    name: 'g',
    metadataProps,
    input: [info('x', 1, 2, 2), info('go', 9)],
    output: [info('y', 1, 2, 2)],
    initializer: [{ name: 'w', dataType: 1, dims: [2, 2], floatData: [1, 2, 3, 4], metadataProps }],
    sparseInitializer: [sparse],
    node: [
      node('Scale', ['x'], ['p'], { domain: 'f', overload: 'two' }),
      node('Scale', ['p'], ['q'], { domain: 'f', attribute: [{ name: 'by', type: 1, f: 3 }] }),
      node('If', ['go'], ['r'], { attribute }),
      node('MatMul', ['q', 'w'], ['t']),
      node('Add', ['t', 'r'], ['y']),
    ],
  }
  const opsetImport = [{ version: 21 }, { domain: 'f', version: 1 }]
  return [
    [
      'newest format',
      encodeModel({ irVersion: 10, opsetImport, graph, functions: [scale('', 2), scale('two', 4)], metadataProps }),
    ],
  ]
}

function origins(given) {
  const suite = (name, count) => filesIn(join(root, '.venv', 'onnx-cases', name), count)
  return [
    ours(),
    newest(),
    suite('node', 120),
    suite('simple', 40),
    suite('pytorch-operator', 40),
    suite('pytorch-converted', 40),
    suite('light'),
    filesIn(join(root, 'test', 'fixtures', 'networks')),
    filesIn(join(root, '.venv', 'networks')),
    ...given.map((folder) => filesIn(folder)),
  ].filter((files) => files.length > 0)
}

/** Writing takes what was read: names of any length too, which its messages may hold. */
function write(network) {
  const weights = new Map(network.parameters.map(({ origin }) => [origin.name, origin.initializer.tensor]))
  try {
    exportGraph(network, weights)
  } catch (error) {
    throw error instanceof UserError ? new UserError(error.message.slice(0, limits.message)) : error
  }
}

/** What is wrong with how a file is read and written; undefined: nothing. */
function problemOf(bytes) {
  const uses = [
    () => signatureOf(bytes),
    () => write(readNetwork(bytes)),
    () => {
      const model = readTrainableModel(bytes)
      readTrainableModel(model.withState(model.state))
      model.inference(model.state)
    },
  ]
  for (const use of uses) {
    try {
      use()
    } catch (error) {
      if (!(error instanceof UserError)) return String(error?.stack ?? error)
      if (/[\n\r\u2028]/.test(error.message) || error.message.length > limits.message)
        return `no line: ${error.message.slice(0, 300)}`
    }
  }
  return undefined
}

if (isMainThread) {
  const program = createProgram('fuzz', 'Read and write files that are made wrong at random.', [
    'npm run fuzz -- --runs 20000',
    'npm run fuzz -- --seed 3 --only 1234 models/',
  ])
    .argument('[folders...]', 'files and folders of more files')
    .option('--runs <count>', 'how many files', parsedBy(wholeNumber(1, 1e9)), 2000)
    .option('--seed <number>', 'the same seed, the same files', parsedBy(seedNumber), 1)
    .option('--only <run>', 'this one alone', parsedBy(wholeNumber(0, 1e9)))
    .action(main)
  await runProgram(program, process.argv.slice(2))
} else {
  const { seed, given } = workerData
  const files = origins(given)
  parentPort.on('message', (run) => {
    const random = randomStream(seed, 'fuzz', run)
    const origin = files[run % files.length]
    const [name, bytes] = origin[random.below(origin.length)]
    const others = files[random.below(files.length)].map(([, other]) => new Uint8Array(other))
    const [change, file] = mutated(random, new Uint8Array(bytes), others)
    // Told first: where reading does not end, the file is known all the same.
    parentPort.postMessage({ run, what: `${name}, ${change}`, file })
    const started = performance.now()
    const problem = problemOf(file)
    const seconds = (performance.now() - started) / 1000
    const { arrayBuffers } = process.memoryUsage()
    const large = arrayBuffers / 1e6 > limits.buffersMB ? `holds ${Math.round(arrayBuffers / 1e6)} MB` : undefined
    parentPort.postMessage({ run, done: true, problem: problem ?? large, seconds })
  })
  parentPort.postMessage({ ready: files.map((some) => `${some.length} like ${some[0][0]}`) })
}

async function main(given, { runs, seed, only }) {
  const first = only ?? 0
  const end = only === undefined ? runs : first + 1
  const kept = mkdtempSync(join(tmpdir(), 'rdm-fuzz-'))
  const problems = []
  let slowest = { seconds: 0 }
  let heard = (_message) => {}
  const start = () => {
    const resourceLimits = { maxOldGenerationSizeMb: limits.heapMB }
    const started = new Worker(new URL(import.meta.url), { workerData: { seed, given }, resourceLimits })
    started.on('message', (message) => heard(message))
    started.on('error', (error) => heard({ lost: `the process ended: ${error.message}` }))
    return started
  }
  /** The next message of the worker, or that none came in time. */
  const next = (seconds) =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ lost: 'does not end' }), seconds * 1000)
      heard = (message) => {
        clearTimeout(timer)
        resolve(message)
      }
    })
  let worker = start()
  console.log((await next(60)).ready.join('\n'))

  /** One file in the worker, which a file that crashes or blocks it takes along. */
  async function tried(run) {
    worker.postMessage(run)
    const told = await next(60)
    const result = told.lost ? told : await next(limits.seconds)
    if (result.lost) {
      await worker.terminate()
      worker = start()
      await next(60)
    }
    return {
      what: 'making it',
      file: new Uint8Array(),
      seconds: limits.seconds,
      ...told,
      ...result,
      problem: result.lost ?? result.problem,
    }
  }

  for (let run = first; run < end; run++) {
    const { what, file, problem, seconds } = await tried(run)
    if (seconds > slowest.seconds) slowest = { seconds, run, what }
    if (problem === undefined) continue
    const path = join(kept, `${run}.onnx`)
    writeFileSync(path, file)
    problems.push(problem)
    console.log(`${run} (${what}, ${path}): ${problem}`)
  }
  await worker.terminate()
  console.log(
    `${end - first} files, ${problems.length} problems; the slowest took ${slowest.seconds.toFixed(2)} s (${slowest.run}: ${slowest.what})`,
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}

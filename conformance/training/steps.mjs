// Three training steps of a derived file by the float64 reference, against those that the network's own library takes.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { narrow, tensorOf, widen } from '../../dist/src/core/graph/tensor.js'
import { readTrainableModel } from '../../dist/src/core/model/read.js'
import { portable } from '../../dist/src/core/targets/portable/index.js'
import { evaluateGraph, numbers } from '../../dist/src/index.js'
import { root } from '../files.mjs'

const generated = (shape, value) =>
  Float64Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => value(i))

/** What `exporters/formulas.py` feeds. */
function inputOf({ shape, start, range }) {
  const wave = (i) => Math.sin(0.37 * i + start)
  return range
    ? generated(shape, (i) => range[0] + Math.floor(((range[1] - range[0]) * (wave(i) + 1)) / 2))
    : generated(shape, (i) => Math.fround(wave(i)))
}
function targetOf({ shape, classes }, { loss }) {
  if (classes !== undefined) return generated(shape, (i) => (5 * i + 2) % classes)
  return generated(shape, loss.includes('binary') ? (i) => i % 2 : (i) => Math.sin(0.53 * i + 2))
}

const total = (data, of) => data.reduce((sum, value, i) => sum + of(value, i), 0)
const digest = (data) => ({
  count: data.length,
  sum: total(data, (x) => x),
  squares: total(data, (x) => x * x),
})

/** Two digests of numbers beside each other: what recurrent layers have in one weight, libraries have in up to four. */
const plus = (a, b) => ({ sum: a.sum + b.sum, squares: a.squares + b.squares })
const beside = (a, b) => ({
  initial: plus(a.initial, b.initial),
  final: plus(a.final, b.final),
  moved: a.moved + b.moved,
})

function* together(weights, most) {
  for (const [i, weight] of weights.entries()) {
    yield weight
    if (most > 1) for (const rest of together(weights.slice(i + 1), most - 1)) yield beside(weight, rest)
  }
}

/** The weight of the library that a weight of the file is, by its numbers: exporters rename, transpose and put together. */
function ownOf({ count, sum, squares }, weights, most) {
  const isNear = (a, b, scale) => Math.abs(a - b) < 1e-6 * scale
  for (const own of together(weights, most)) {
    const { initial } = own
    if (isNear(initial.squares, squares, squares) && isNear(initial.sum, sum, Math.sqrt(count * squares))) return own
  }
  return undefined
}

/**
 * How far a weight's end is from that of the library, in length and in direction: as a part of the way that it went there, or, where
 * it stays (a bias before a norm), of 1e-8 of itself.
 */
function apart(before, after, own) {
  const way = Math.max(Math.sqrt(own.moved), 1e-8 * Math.sqrt(own.initial.squares))
  const [first, last] = [digest(before), digest(after)]
  const moved = Math.sqrt(total(after, (x, i) => (x - before[i]) ** 2))
  const along = (of) => of(last) - of(first) - (of(own.final) - of(own.initial))
  return Math.max(
    Math.abs(moved - Math.sqrt(own.moved)) / way,
    Math.abs(along(({ sum }) => sum)) / (way * Math.sqrt(before.length)),
    Math.abs(along(({ squares }) => squares)) / (2 * way * Math.sqrt(own.initial.squares)),
  )
}

/** A file that trains the network, as rdm-derive writes it. */
export function derived(file, flags) {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-networks-'))
  try {
    const out = join(folder, 'model.onnx')
    const bin = join(root, 'bin', 'rdm-derive.js')
    execFileSync(process.execPath, [bin, file, ...flags, '--out', out], { stdio: ['ignore', 'ignore', 'pipe'] })
    return readFileSync(out)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A step in ONNX Runtime, in float32. */
async function inRuntime(model, size) {
  const session = await InferenceSession.create(model.step(portable, size), { logSeverityLevel: 3 })
  return async (feeds) => {
    const given = session.inputNames.map((name) => {
      const { dtype, data, shape } = narrow(feeds.get(name))
      return [name, new Tensor(dtype, data, [...shape])]
    })
    const results = Object.entries(await session.run(Object.fromEntries(given)))
    return new Map(results.map(([name, { type, dims, data }]) => [name, widen(tensorOf(type, dims, data))]))
  }
}

/**
 * @param network `file`, the ONNX file; `flags` of rdm-derive beside loss and optimizer; `training`, what the library came to;
 * `isLarge` where plain loops in float64 take minutes: then in ONNX Runtime, in float32
 * @returns the largest differences of losses (as a part of the first loss) and of weights (as a part of their way), how many weights
 * were compared, and the names of those that the library does not have
 */
export async function compareSteps({ file, flags, training, isLarge = false }) {
  const { lr, momentum, weight_decay: decay } = training.sgd
  const optimizer = ['--optimizer', 'sgd', '--momentum', String(momentum)]
  const decayed =
    decay === undefined ? [] : ['--weight-decay', String(decay), '--group', `${training.undecayed}:decay=0`]
  const norm = training.batchStatistics ? ['--batch-norm', 'train'] : []
  const model = readTrainableModel(
    derived(file, [...flags, ...norm, '--loss', training.loss, ...optimizer, ...decayed]),
  )
  const { signature } = model
  const given = new Map(Object.entries(model.state).map(([name, value]) => [name, widen(value)]))
  const size = Object.values(training.inputs)[0].shape[0]
  const graph = model.graph(size)
  const step = isLarge ? await inRuntime(model, size) : (feeds) => evaluateGraph(graph, feeds)
  const feeds = new Map(given)
  const known = new Map(graph.inputs.map((value) => [value.origin.name, value]))
  const sizes = new Map()
  for (const [name, { shape }] of Object.entries(training.inputs))
    for (const [axis, size] of shape.entries()) sizes.set(known.get(name).shape[axis], size)
  for (const [name, input] of Object.entries(training.inputs))
    feeds.set(name, numbers(known.get(name).dtype, input.shape, inputOf(input)))
  for (const { name, classes } of signature.targets) {
    const { dtype, shape: open } = known.get(name)
    const shape = open.map((size) => sizes.get(size) ?? size)
    feeds.set(name, numbers(dtype, shape, targetOf({ shape, classes }, training)))
  }
  const hyperparameters = { learning_rate: lr, momentum, weight_decay: decay ?? 0 }
  for (const name of Object.keys(signature.hyperparameters))
    feeds.set(name, numbers('float32', [], [hyperparameters[name]]))
  // The ratio of what is dropped is 0.
  if (signature.seeds !== undefined) feeds.set(signature.seeds, numbers('float32', [4], [1, 2, 3, 4]))
  const losses = []
  while (losses.length < training.losses.length) {
    const results = await step(feeds)
    for (const [output, state] of Object.entries(signature.updates)) feeds.set(state, results.get(output))
    losses.push(results.get(signature.loss).data[0])
  }
  const state = [...given].filter(([name]) => !signature.statistics.includes(name) && !name.endsWith('.momentum'))
  const all = Object.values(training.weights)
  const same = new Map(state.map(([name, { data }]) => [name, training.weights[name] ?? ownOf(digest(data), all, 1)]))
  const left = all.filter((own) => ![...same.values()].includes(own))
  const differences = []
  const others = []
  for (const [name, { data }] of state) {
    const own = same.get(name) ?? ownOf(digest(data), left, 4)
    if (own) differences.push([name, apart(data, feeds.get(name).data, own)])
    else others.push(name)
  }
  const loss = Math.max(...losses.map((loss, i) => Math.abs(loss - training.losses[i]) / training.losses[0]))
  const weights = Math.max(...differences.map(([, difference]) => difference))
  return { loss, weights, differences, compared: differences.length, others }
}

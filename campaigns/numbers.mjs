// Numbers at the edge, in data, weights and settings: one step of a linear network, by the command and again in float64.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomStream } from '../dist/src/core/random.js'
import { readNetwork } from '../dist/src/index.js'
import { command, inParallel, problemOf } from './support/commands.mjs'
import { floats, modelOf, node, types, value } from './support/graphs.mjs'

export const title = 'Numbers at the edge'
export const about =
  'One step of SGD on a linear network of 3 inputs and 2 outputs, with data, weights and settings at the edge of what numbers are. The ' +
  'command says in one line what is wrong with them, or its weights are those of the same step in float64, to 10⁻⁴ of the largest.'

const outputs = 2
const start = [0.1, -0.2, 0.3, 0.4, -0.5, 0.6]
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0)

/** The output of the network for one example, in float64. */
const predicted = (x, w) =>
  Array.from({ length: outputs }, (_, k) => sum(x.map((value, i) => value * w[i * outputs + k])))

/** What a loss gives back of outputs and target, for one example. */
const losses = {
  mse: (y, target) => y.map((value, k) => (2 * (value - target[k])) / outputs),
  'cross-entropy': (y, label) => {
    const most = Math.max(...y)
    const parts = y.map((value) => Math.exp(value - most))
    return parts.map((part, k) => part / sum(parts) - (k === label ? 1 : 0))
  },
}

/** The weights after one step over all examples. */
function stepped({ loss, rows, targets, weights, rate }) {
  const back = rows.map((x, n) => losses[loss](predicted(x, weights), targets[n]))
  return weights.map((w, at) => {
    const [i, k] = [Math.floor(at / outputs), at % outputs]
    return w - rate * (sum(rows.map((x, n) => x[i] * back[n][k])) / rows.length)
  })
}

const draw = (random, count, make) => Array.from({ length: count }, () => Array.from({ length: 3 }, () => make(random)))
const usual = (random) => Math.fround(random.uniform() * 2 - 1)

/** Name → what is unusual. Regression unless it has labels. */
const cases = {
  'nothing unusual': {},
  'one example': { count: 1 },
  'constant features': { make: () => 3 },
  'features of 0': { make: () => 0 },
  'denormal features': { make: (random) => Math.fround((random.uniform() - 0.5) * 1e-39) },
  'features of 10^18': { make: (random) => Math.fround(usual(random) * 1e18) },
  'features of 10^38': { make: (random) => Math.fround(usual(random) * 1e38) },
  'targets of 10^38': { target: (random) => Math.fround(usual(random) * 1e38) },
  'denormal weights': { weights: start.map((w) => Math.fround(w * 1e-39)) },
  'weights of 0': { weights: start.map(() => 0) },
  'weights of NaN': { weights: start.map((w, i) => (i === 3 ? Number.NaN : w)) },
  'weights of infinity': { weights: start.map((w, i) => (i === 3 ? Number.POSITIVE_INFINITY : w)) },
  'weights of 10^38': { weights: start.map((w) => Math.fround(w * 1e38)) },
  'NaN in a table': { cell: 'nan' },
  'infinity in a table': { cell: 'inf' },
  '10^999 in a table': { cell: '1e999' },
  'an empty cell': { cell: '' },
  'a rate of 0': { rate: 0 },
  'a rate of 10^-30': { rate: 1e-30 },
  'a rate of 10^6': { rate: 1e6 },
  'a rate of 10^38': { rate: 1e38 },
  'two classes': { label: (n) => n % 2 },
  'two classes, one without examples': { label: () => 1 },
  'labels out of range': { label: (n) => n % 5 },
  'labels below 0': { label: (n) => (n % 2) - 1 },
  'labels between classes': { label: (n) => (n % 2) + 0.5 },
  'one class by its name': { label: () => 'red', names: ['red'] },
  'two classes by their names': { label: (n) => ['blue', 'red'][n % 2], names: ['blue', 'red'] },
  'classes, features of 10^18': { label: (n) => n % 2, make: (random) => Math.fround(usual(random) * 1e18) },
  'classes, denormal features': {
    label: (n) => n % 2,
    make: (random) => Math.fround((random.uniform() - 0.5) * 1e-39),
  },
}
const few = ['nothing unusual', 'one example', 'weights of NaN', 'labels out of range', 'two classes']

const csv = (rows, targets, cell) =>
  [
    Array.isArray(targets[0]) ? 'a,b,c,d,e' : 'a,b,c,label',
    ...rows
      .map((row, n) => [...row, targets[n]].flat().join(','))
      .map((line, n) => (n === 0 && cell !== undefined ? line.replace(/^[^,]*/, cell) : line)),
    '',
  ].join('\n')

async function tried(name, seed, folder) {
  const {
    count = 12,
    make = usual,
    target = usual,
    weights: given = start,
    rate = 0.1,
    label,
    names,
    cell,
  } = cases[name]
  const random = randomStream(seed, name)
  const rows = draw(random, count, make)
  const targets = label ? rows.map((_, n) => label(n)) : rows.map(() => [target(random), target(random)])
  const path = (file) => join(folder, file)
  mkdirSync(path('data'), { recursive: true })
  for (const part of ['train', 'test']) writeFileSync(path(`data/${part}.csv`), csv(rows, targets, cell))
  const network = {
    input: [value('x', types.float, ['batch', 3])],
    output: [value('y', types.float, ['batch', outputs])],
    initializer: [floats('w', [3, outputs], given)],
    node: [node('MatMul', ['x', 'w'], ['y'])],
  }
  writeFileSync(path('network.onnx'), modelOf(network))
  const loss = label ? 'cross-entropy' : 'mse'
  const derive = [
    path('network.onnx'),
    '--loss',
    loss,
    '--optimizer',
    'sgd',
    '--momentum',
    '0',
    '--weight-decay',
    '0',
    '--out',
    path('step.onnx'),
  ]
  const derived = await command('rdm-derive', derive, { seconds: 150 })
  if (derived.code !== 0) return { how: 'refused', by: 'rdm-derive', result: derived }
  const column = label ? 'label' : 'd,e'
  const fit = [
    path('step.onnx'),
    '--data',
    path('data'),
    '--out',
    path('run'),
    '--epochs',
    '1',
    '--batch',
    '64',
    '--lr',
    `0:${rate}`,
  ]
  const inputs = ['--input', 'x=a,b,c', '--input', `${label ? 'labels' : 'targets'}=${column}`]
  const trained = await command('rdm-fit', [...fit, ...inputs], { seconds: 150 })
  if (trained.code !== 0) return { how: 'refused', by: 'rdm-fit', result: trained }
  const model = readNetwork(new Uint8Array(readFileSync(path('run/model.onnx'))))
  const actual = [...model.parameters.find(({ origin }) => origin.name === 'w').origin.initializer.tensor.data]
  const labels = names ? targets.map((text) => names.indexOf(text)) : targets
  const expected = stepped({ loss, rows, targets: labels, weights: given, rate })
  const largest = Math.max(...expected.map(Math.abs))
  const apart = Math.max(...expected.map((w, i) => Math.abs(w - actual[i]))) / largest
  return { how: 'right', apart: Number.isNaN(apart) && largest === 0 ? 0 : apart, result: trained }
}

export async function run({ short, seed, folder, say }) {
  const names = Object.keys(cases).filter((name) => !short || few.includes(name))
  const faults = []
  const rows = []
  await inParallel(names.length, 2, async (at) => {
    const name = names[at]
    const { how, by, apart, result } = await tried(name, seed, join(folder, `${at}`))
    const problem =
      problemOf(result) ??
      (how === 'right' && !(apart <= 1e-4) ? `its weights are ${apart} from those in float64` : undefined)
    if (problem) {
      faults.push(`${name}: ${problem}`)
      say(faults.at(-1))
    }
    const line = result.err.trim().split('\n').at(-1).replaceAll(folder, '').slice(0, 200)
    rows[at] = [name, how === 'right' ? 'trained' : `refused by ${by}`, how === 'right' ? apart.toExponential(1) : line]
  })
  return { columns: ['what', 'what came of it', 'apart from float64, or the line'], rows, faults }
}

// Does our step compute on the GPU what it computes on the CPU? Three steps of rdm-fit from the same weights on the same
// batches: the portable target on the CPU provider against the provider and target that are asked for.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { exportModel, readTrainableModel, residualNetwork } from 'rdm-onnx'
import { short } from '../common.mjs'
import { ours } from './processes.mjs'
import { LEARNING_RATE, network, precisions, stepOptions } from './settings.mjs'

const STEPS = 3

/**
 * What may differ: the losses; what the steps changed, of the state tensor that is furthest off and of the whole state. Two
 * right steps differ by rounding, and by the ReLUs that rounding turns over (src/driver/planning/compare.ts), which in a tensor whose
 * gradient nearly cancels out can be much of it; TF32 and half precision have 10 bits of fraction, not 23, so they turn over
 * more. A gradient that is wrong is off by its own size.
 */
const tensor = 0.5
export const ways = [
  {
    name: 'fp32',
    precision: 'fp32',
    env: { NVIDIA_TF32_OVERRIDE: '0' },
    allowed: { loss: 1e-3, change: tensor, wholeChange: 0.02 },
  },
  { name: 'TF32', precision: 'fp32', env: {}, allowed: { loss: 1e-2, change: tensor, wholeChange: 0.1 } },
  { name: 'fp16', precision: 'fp16', env: {}, allowed: { loss: 1e-2, change: tensor, wholeChange: 0.1 } },
]

/** Of the largest change: what lies below is zero but for rounding. */
const FLOOR = 1e-4

/** Root of the mean square of a − b; NaN where one is not finite. */
export function distance(a, b) {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return Math.sqrt(sum / Math.max(1, a.length))
}

/**
 * How far apart two runs are that began with the same state.
 * @returns the largest relative difference of the losses; of the change of a state tensor (root mean square), and which;
 *   and of the change of the whole state
 */
export function difference(initial, expected, actual) {
  const names = Object.keys(initial)
  const changes = names.map((name) => distance(expected.state[name].data, initial[name].data))
  const largest = Math.max(...changes)
  const apart = names.map((name) => distance(actual.state[name].data, expected.state[name].data))
  const errors = names.map((_, i) => apart[i] / Math.max(changes[i], FLOOR * largest))
  // Written so that NaN counts as the largest.
  const worst = errors.reduce((at, error, i) => (error <= errors[at] ? at : i), 0)
  const whole = (values) =>
    Math.sqrt(names.reduce((sum, name, i) => sum + initial[name].data.length * values[i] ** 2, 0))
  const losses = expected.losses.map((loss, i) => Math.abs(actual.losses[i] - loss) / Math.abs(loss))
  return {
    loss: losses.some(Number.isNaN) ? Number.NaN : Math.max(...losses),
    change: errors[worst],
    worst: names[worst],
    wholeChange: whole(apart) / whole(changes),
  }
}

/** Three steps: their losses and the state after them. */
async function threeSteps(processes, { folder, data, options, env }) {
  const fit = ours('rdm-fit', [
    ...[join(folder, '..', 'model.onnx'), '--data', data, '--out', folder, '--json', '--lr', LEARNING_RATE],
    ...['--steps', STEPS, ...options],
  ])
  const events = await processes.events(fit, env)
  const losses = events.filter(({ event }) => event === 'step').map(({ loss }) => loss)
  if (losses.length !== STEPS) throw new Error(`rdm-fit took ${losses.length} steps, not ${STEPS}`)
  return { losses, state: readTrainableModel(readFileSync(join(folder, 'model.onnx'))).state }
}

/** Starts the reference of a network; the ways that are compared with it, each a row of the report. */
function comparisons(report, processes, settings, { name, architecture, recipe }) {
  const { data } = settings
  const folder = join(settings.scratch, `correctness-${name}`)
  mkdirSync(folder)
  const model = exportModel(residualNetwork(architecture), { recipe, seed: 1, architecture })
  writeFileSync(join(folder, 'model.onnx'), model)
  const initial = readTrainableModel(model).state
  const portable = stepOptions({ ...settings, ep: 'cpu', target: 'portable' })
  const reference = threeSteps(processes, { folder: join(folder, 'cpu'), data, options: portable })
  // Its failure is that of each comparison.
  reference.catch(() => {})
  const compared = ways.filter(({ precision }) => precisions(settings).includes(precision))
  return compared.map(({ name: way, precision, env, allowed }) => {
    const row = { network: name, way, allowed }
    report.results.push(row)
    return async () => {
      try {
        const options = stepOptions(settings, precision)
        const actual = await threeSteps(processes, { folder: join(folder, way), data, options, env })
        const expected = await reference
        Object.assign(row, difference(initial, expected, actual), { losses: actual.losses, expected: expected.losses })
        row.verdict = Object.keys(allowed).every((what) => row[what] <= allowed[what]) ? 'agrees' : 'DIFFERS'
      } catch ({ message }) {
        row.verdict = `failed: ${message}`
      }
    }
  })
}

export async function correctness(report, processes, given) {
  // On a GPU all run at once, beside PyTorch's compiler.
  const threads = given.ep === 'cpu' ? availableParallelism() : Math.ceil(availableParallelism() / 4)
  const settings = { ...given, threads }
  report.steps = STEPS
  report.learningRate = LEARNING_RATE
  report.results = []
  const small = { name: 'rdm8', ...network('rdm56', { small: true }) }
  const networks = settings.small ? [small] : [small, { name: 'rdm56', ...network('rdm56', settings) }]
  const work = networks.flatMap((each) => comparisons(report, processes, settings, each))
  // On a CPU they would only take each other's cores.
  if (settings.ep === 'cpu') for (const compare of work) await compare()
  else await Promise.all(work.map((compare) => compare()))
}

const digits = (value) => (value === undefined ? '' : value.toExponential(1))

export const correctnessTable = ({ results }) => [
  ['network', 'way', 'losses', 'allowed', 'worst tensor', 'allowed', 'all tensors', 'allowed', 'verdict'],
  ...results.map(({ network, way, allowed, verdict, ...row }) => [
    ...[network, way],
    ...Object.keys(allowed).flatMap((what) => [digits(row[what]), digits(allowed[what])]),
    short(verdict ?? 'not finished'),
  ]),
]

// Does our step compute on the GPU what it computes on the CPU? Three steps of rdm-fit from the same weights on the same
// batches: the portable target on the CPU provider against the provider and target that are asked for.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportModel, readTrainableModel, residualNetwork } from 'rdm-onnx'
import { short } from '../common.mjs'
import { ours } from './processes.mjs'
import { LEARNING_RATE, network, precisions, stepOptions } from './settings.mjs'

const STEPS = 3

/**
 * What may differ. Two right steps differ by rounding, and by the ReLUs that rounding turns over (src/tuning/compare.ts);
 * TF32 and half precision have 10 bits of fraction, not 23, so they turn over more. A wrong gradient is off by its own size.
 */
export const ways = [
  { name: 'fp32', precision: 'fp32', env: { NVIDIA_TF32_OVERRIDE: '0' }, loss: 1e-3, change: 0.1 },
  { name: 'TF32', precision: 'fp32', env: {}, loss: 1e-2, change: 0.3 },
  { name: 'fp16', precision: 'fp16', env: {}, loss: 1e-2, change: 0.3 },
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

async function compareNetwork(report, processes, settings, { name, architecture, recipe }) {
  const { data } = settings
  const folder = join(settings.scratch, `correctness-${name}`)
  mkdirSync(folder)
  const model = exportModel(residualNetwork(architecture), { recipe, seed: 1, architecture })
  writeFileSync(join(folder, 'model.onnx'), model)
  const initial = readTrainableModel(model).state
  const portable = stepOptions({ ...settings, ep: 'cpu', target: 'portable' })
  const reference = threeSteps(processes, { folder: join(folder, 'cpu'), data, options: portable })
  // Its failure is each comparison's.
  reference.catch(() => {})
  const compared = ways.filter(({ precision }) => precisions(settings).includes(precision))
  await Promise.all(
    compared.map(async ({ name: way, precision, env, loss, change }) => {
      const row = { network: name, way, allowed: { loss, change } }
      report.results.push(row)
      try {
        const options = stepOptions(settings, precision)
        const actual = await threeSteps(processes, { folder: join(folder, way), data, options, env })
        const expected = await reference
        Object.assign(row, difference(initial, expected, actual), { losses: actual.losses, expected: expected.losses })
        row.verdict = row.loss <= loss && row.change <= change ? 'agrees' : 'DIFFERS'
      } catch ({ message }) {
        row.verdict = `failed: ${message}`
      }
    }),
  )
}

export async function correctness(report, processes, settings) {
  report.steps = STEPS
  report.learningRate = LEARNING_RATE
  report.results = []
  const small = { name: 'rdm8', ...network('rdm56', { small: true }) }
  const networks = settings.small ? [small] : [small, { name: 'rdm56', ...network('rdm56', settings) }]
  await Promise.all(networks.map((each) => compareNetwork(report, processes, settings, each)))
}

const digits = (value) => (value === undefined ? '' : value.toExponential(1))

export const correctnessTable = ({ results }) => [
  ['network', 'way', 'losses', 'allowed', 'worst tensor', 'allowed', 'all tensors', 'verdict'],
  ...results.map(({ network, way, loss, change, wholeChange, allowed, verdict }) => [
    ...[network, way, digits(loss), digits(allowed.loss), digits(change), digits(allowed.change)],
    ...[digits(wholeChange), short(verdict ?? 'not finished')],
  ]),
]

// Where a step of ours spends its time on the GPU: ONNX Runtime's profiler, once as it is (what it takes to start the kernels)
// and once with CUDA_LAUNCH_BLOCKING=1, where each node waits for its kernels (starting and computing).

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportModel, residualNetwork } from 'rdm-onnx'
import { short } from '../common.mjs'
import { ours } from './processes.mjs'
import { network, precisions, stepOptions } from './settings.mjs'

const STEPS = { full: 10, small: 2 }
const ways = { started: {}, computed: { CUDA_LAUNCH_BLOCKING: '1' } }

/**
 * Milliseconds by operator and part of the step, in each precision and way one after the other, added to `results`.
 * @param fit the arguments of rdm-fit: model, data and what else a run of it needs
 */
export async function profileSteps(results, processes, settings, fit) {
  const steps = STEPS[settings.small ? 'small' : 'full']
  for (const precision of precisions(settings)) {
    const options = [...stepOptions(settings, precision), '--profile', steps, '--json']
    for (const [way, env] of Object.entries(ways)) {
      const row = { precision, way }
      results.push(row)
      try {
        const events = await processes.events(ours('rdm-fit', [...fit, ...options]), env)
        const { stepMs, total, roles, operators } = events.find(({ event }) => event === 'profile')
        Object.assign(row, { stepMs, total, roles, operators, verdict: 'measured' })
      } catch ({ message }) {
        row.verdict = `failed: ${message}`
      }
    }
  }
}

/** Of the network of `--seeds-arch`. */
export async function profiles(report, processes, settings) {
  const { architecture, recipe } = network(settings.seedsArch, settings)
  const model = join(settings.scratch, 'profiled.onnx')
  writeFileSync(model, exportModel(residualNetwork(architecture), { recipe, seed: 1, architecture }))
  Object.assign(report, { architecture: architecture.name, batch: settings.batch, results: [] })
  await profileSteps(report.results, processes, settings, [model, '--data', settings.data])
}

/** The operators that take longest, a column for each precision and way. */
export function profilesTable({ results }) {
  const label = ({ role, label }) => `${role} ${label}`
  const longest = [...new Set(results.flatMap(({ operators = [] }) => operators.slice(0, 8).map(label)))]
  const shown = (row, name) => {
    const found = row.operators?.find((each) => label(each) === name)
    return found ? `${found.ms.toFixed(2)} (${found.calls})` : ''
  }
  return [
    ['ms a step (nodes)', ...results.map(({ precision, way }) => `${precision}, ${way}`)],
    ['the step', ...results.map(({ stepMs, verdict }) => stepMs?.toFixed(1) ?? short(verdict))],
    ['all nodes', ...results.map(({ total }) => (total ? `${total.ms.toFixed(1)} (${total.calls})` : ''))],
    ...longest.map((name) => [name, ...results.map((row) => shown(row, name))]),
  ]
}

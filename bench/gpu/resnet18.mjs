// A network of someone else on the GPU: torchvision's resnet18 on 64 × 64, exported by PyTorch there, derived by rdm-derive and
// trained by rdm-fit; three steps against the CPU's portable step, then milliseconds a step against PyTorch's, then
// where they go.

import { join } from 'node:path'
import { median } from '../common.mjs'
import { ours, python } from './processes.mjs'
import { profileSteps, profilesTable } from './profile.mjs'
import { precisions, stepOptions } from './settings.mjs'

const LEARNING_RATE = 1e-3
const SCRIPT = 'torch_resnet18.py'
/** Epochs whose runs are timed; the first of all chooses kernels. */
const EPOCHS = 4

export async function resnet18(report, processes, settings) {
  const { ep, batch, small, scratch } = settings
  const folder = join(scratch, 'resnet18')
  const device = ['--device', ep, '--batch', batch]
  // Of a size that a run of rdm-fit is 100 steps: state crosses the bus once in each.
  const images = small ? 4 * batch : 100 * batch
  await processes.run(python(SCRIPT, ['export', folder, '--images', images].map(String)))
  const [source, model] = ['resnet18.onnx', 'step.onnx'].map((name) => join(folder, name))
  const sgd = ['--momentum', 0.9, '--weight-decay', 1e-4, '--lr', LEARNING_RATE]
  await processes.run(
    ours('rdm-derive', [source, ...sgd, '--batch-norm', 'train', '--normalize', 'imagenet', '--out', model]),
  )
  Object.assign(report, { batch, results: [] })
  const fit = (name, given, options) =>
    ours('rdm-fit', [
      ...[model, '--data', join(folder, 'images.npz'), '--out', join(folder, name), '--json', '--seed', 1],
      ...[...stepOptions(...given), ...options],
    ])
  const threeSteps = async (name, ...given) => {
    const events = await processes.events(fit(name, given, ['--steps', 3]))
    return events.filter(({ event }) => event === 'step').map(({ loss }) => loss)
  }
  report.expected = await threeSteps('cpu', { ...settings, ep: 'cpu', target: 'portable' })
  for (const precision of precisions(settings)) {
    const row = { name: `ours ${precision}` }
    report.results.push(row)
    try {
      row.losses = await threeSteps(`three-${precision}`, settings, precision)
      row.difference = Math.max(...row.losses.map((loss, i) => Math.abs(loss / report.expected[i] - 1)))
      const events = await processes.events(fit(precision, [settings, precision], ['--epochs', small ? 2 : EPOCHS]))
      const steps = events.filter(({ event, epoch }) => event === 'step' && epoch > 0)
      row.median = median(steps.map(({ ms }) => ms))
    } catch ({ message }) {
      row.failed = message
    }
  }
  const peers = JSON.parse(await processes.run(python(SCRIPT, ['time', folder, ...device].map(String))))
  for (const [name, ms] of Object.entries(peers)) report.results.push({ name: `torch ${name}`, median: median(ms), ms })
  report.profiles = []
  await profileSteps(report.profiles, processes, settings, [model, '--data', join(folder, 'images.npz')])
}

export const resnet18Table = ({ expected, results, profiles = [] }) => [
  ['', 'ms a step', 'losses of three steps', 'largest difference'],
  ['ours, portable, CPU', '', expected?.map((loss) => loss.toFixed(4)).join(' ') ?? '', ''],
  ...results.map(({ name, median, losses, difference, failed }) => [
    name,
    failed ?? median?.toFixed(2) ?? '',
    losses?.map((loss) => loss.toFixed(4)).join(' ') ?? '',
    difference?.toExponential(1) ?? '',
  ]),
  ...profilesTable({ results: profiles }),
]

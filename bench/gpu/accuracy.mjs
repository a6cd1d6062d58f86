// Test error after a few epochs of the real data, of each precision: does it learn?

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportModel, residualNetwork } from 'rdm-onnx'
import { short } from '../common.mjs'
import { ours } from './processes.mjs'
import { findData, network, precisions, stepOptions } from './settings.mjs'

const RATES = '0:0.01,1:0.1,2:0.01'
const EPOCHS = 3

export async function accuracy(report, processes, settings) {
  if (findData() === undefined && !settings.small) throw new Error('needs CIFAR-10: DATA names its folder')
  const { architecture, recipe } = network('rdm56', settings)
  const model = join(settings.scratch, 'accuracy.onnx')
  writeFileSync(model, exportModel(residualNetwork(architecture), { recipe, seed: 1, architecture }))
  Object.assign(report, { architecture: architecture.name, epochs: EPOCHS, learningRate: RATES, results: [] })
  await Promise.all(
    precisions(settings).map(async (precision) => {
      const row = { precision, epochs: [] }
      report.results.push(row)
      const out = join(settings.scratch, `accuracy-${precision}`)
      const fit = [model, '--data', settings.data, '--out', out, '--json', '--epochs', EPOCHS, '--lr', RATES]
      try {
        const events = await processes.events(ours('rdm-fit', [...fit, ...stepOptions(settings, precision)]))
        row.epochs = events
          .filter(({ event }) => event === 'epoch')
          .map(({ loss, testLoss, testError, ms }) => ({ loss, testLoss, testError, ms }))
        row.verdict = 'trained'
      } catch ({ message }) {
        row.verdict = `failed: ${message}`
      }
    }),
  )
}

export const accuracyTable = ({ results }) => [
  ['precision', 'test error by epoch', 'seconds an epoch', ''],
  ...results.map(({ precision, epochs, verdict }) => [
    precision,
    epochs.map(({ testError }) => `${(100 * testError).toFixed(2)} %`).join(', '),
    epochs.map(({ ms }) => (ms / 1000).toFixed(0)).join(', '),
    short(verdict ?? 'not finished'),
  ]),
]

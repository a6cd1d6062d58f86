// Tiny models of every kind that trains, and data for them: a run of one takes seconds.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeData } from '../../conformance/training/data.mjs'
import { readTrainableModel } from '../../dist/src/core/model/read.js'
import { runCommand } from './children.mjs'

const networks = join(import.meta.dirname, '../../test/fixtures/networks')
const SIZES = { train: 32, test: 8 }
/** A checkpoint after each step: there is always one being written. */
const settings = ['--batch', '8', '--threads', '1', '--checkpoint-seconds', '0']

/** Files of other frameworks, and what they are trained to; names of tasks are those of the conformance tests' data. */
const derived = {
  mlp: ['mlp.script', 'smooth', '--loss', 'mse', '--optimizer', 'adam'],
  dropout: ['batch_norm_training.script', 'spot', '--batch-norm', 'train', '--optimizer', 'adam'],
  scikit: ['sklearn_mlp_classifier.skl2onnx', 'largest', '--optimizer', 'adamw', '--ema', '0.9'],
  gru: ['gru.script', 'smooth', '--loss', 'mse', '--clip-norm', '1'],
  keras: ['keras_text.keras', 'above', '--loss', 'binary-cross-entropy', '--optimizer', 'muon'],
  attention: ['transformer_encoder.script', 'vocabulary', '--lora', '2'],
}

/** @returns the model's file and its data */
export async function deriveTiny(folder, name, env) {
  const [network, task, ...flags] = derived[name]
  const [model, data] = [join(folder, `${name}.onnx`), join(folder, `${name}-data`)]
  mkdirSync(folder, { recursive: true })
  await runCommand('rdm-derive', [join(networks, `${network}.onnx`), ...flags, '--out', model], { env })
  makeData(data, task, readTrainableModel(readFileSync(model)).signature, SIZES)
  return { model, data }
}

/** A residual network with gates of stochastic depth, trained by Adam on images. */
export async function residualTiny(folder, env) {
  const [model, data] = [join(folder, 'residual.onnx'), join(folder, 'images')]
  mkdirSync(folder, { recursive: true })
  const network = ['--blocks', '1,1', '--functions', '11,01', '--widths', '4,4']
  await runCommand(
    'rdm-export',
    [...network, '--stochastic-depth', '0.5', '--optimizer', 'adam', '--lr', '0.01', '--out', model],
    { env },
  )
  await runCommand('rdm-data', ['synth', data, '--train', '32', '--test', '8'], { env })
  return { model, data }
}

/** What begins a run of rdm-fit and what goes on with it. */
export const fitOf = ({ model, data }, more, epochs = 3) => ({
  begin: (out) => [model, '--data', data, '--out', out, ...settings, '--epochs', `${epochs}`, ...more],
  resume: (out) => ['--resume', '--out', out],
})

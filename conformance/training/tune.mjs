// A short fine-tuning of a network's file, with the commands that a user has.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTrainableModel } from '../../dist/src/core/model/read.js'
import { root } from '../files.mjs'
import { makeData, makeLines } from './data.mjs'
import { derived } from './steps.mjs'

const SIZES = { train: 256, test: 64 }
const BATCH = 16

/** The lines of a command with --json, as objects. */
function run(command, args) {
  const bin = join(root, 'bin', `${command}.js`)
  const out = execFileSync(process.execPath, [bin, ...args, '--threads', '1', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return out
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/**
 * @returns the test loss, and the error where the loss has one, before and after; the milliseconds of a step with 16 examples, the
 * start included
 */
export async function tune({ file, flags, tuning }) {
  const { task, loss, epochs = 8, rate = 0.005, flags: own = [] } = tuning
  const folder = mkdtempSync(join(tmpdir(), 'rdm-tuning-'))
  try {
    const [data, model, out] = ['data', 'model.onnx', 'run'].map((name) => join(folder, name))
    const pixels = task === 'lines' ? ['--normalize', 'imagenet'] : []
    const said = [...flags, ...own, ...pixels, ...(loss === undefined ? [] : ['--loss', loss]), '--optimizer', 'adam']
    const bytes = derived(file, said)
    writeFileSync(model, bytes)
    const { signature } = readTrainableModel(bytes)
    if (task === 'lines') await makeLines(data, SIZES)
    else makeData(data, task, signature, SIZES)
    const score = (path) => {
      const { loss, error } = run('rdm-eval', [path, '--data', data])[0]
      return { loss, ...(error === undefined ? {} : { error }) }
    }
    const before = score(model)
    const start = performance.now()
    run('rdm-fit', [
      model,
      '--data',
      data,
      '--out',
      out,
      '--epochs',
      String(epochs),
      '--batch',
      String(BATCH),
      '--lr',
      String(rate),
      '--target',
      'portable',
      '--no-augment',
    ])
    const milliseconds = (performance.now() - start) / ((epochs * SIZES.train) / BATCH)
    return { said, before, after: score(join(out, 'model.onnx')), milliseconds }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

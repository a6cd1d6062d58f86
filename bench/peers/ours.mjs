// Our training step as the driver runs it, by one of the targets: `node ours.mjs --case FOLDER --target portable`.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openTrainingSession, planStep, readTrainableModel } from 'rdm-onnx'
import { decodeSafetensors } from '../../dist/src/driver/run/safetensors.js'
import { feedsOf } from '../common.mjs'
import { readCase, serveRuns } from './protocol.mjs'

const { values } = parseArgs({ options: { case: { type: 'string' }, target: { type: 'string' } } })
const file = (name) => readFileSync(join(values.case, name))
const { threads, batch, learningRate } = readCase(values.case)

const model = readTrainableModel(file('model.onnx'))
const planned = await planStep({ model, batch, threads, wanted: values.target, severalSteps: true })
const { models, optimize, signature, added, inLoop, stepsPerRun = 1 } = planned
const state = { ...model.state, ...added }
const session = await openTrainingSession({ models, batch, state, carried: signature.updates, threads, optimize })
const { tensors } = decodeSafetensors(file('batch.safetensors'), 'batch.safetensors')
const one = feedsOf(signature, tensors, learningRate)

/** The same batch, so many times over. */
function stacked({ dtype, shape, data }, steps) {
  const rows = new data.constructor(data.length * steps)
  for (let i = 0; i < steps; i++) rows.set(data, i * data.length)
  return { dtype, shape: [steps, ...shape], data: rows }
}

async function run(steps) {
  const feeds = inLoop
    ? Object.fromEntries(Object.entries(one).map(([name, value]) => [name, stacked(value, steps)]))
    : one
  const started = performance.now()
  const { data } = (await session.step(feeds, batch))[signature.loss]
  return { ms: performance.now() - started, losses: [...data] }
}

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
// A loop takes as many steps in a run as it is asked for, one after the other without it.
await serveRuns(inLoop ? run : () => run(1), {
  version: `onnxruntime-node ${version}`,
  stepsPerRun,
})
await session.close()

// Our training step as the driver runs it, by one of the targets: `node ours.mjs --case FOLDER --target portable`.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openTrainingSession, planStep, readTrainableModel } from 'rdm-onnx'
import { decodeSafetensors } from '../../dist/src/driver/run/safetensors.js'
import { feedsOf } from '../common.mjs'
import { readCase, serve } from './protocol.mjs'

const { values } = parseArgs({ options: { case: { type: 'string' }, target: { type: 'string' } } })
const file = (name) => readFileSync(join(values.case, name))
const { threads, batch, learningRate } = readCase(values.case)

const model = readTrainableModel(file('model.onnx'))
const { models, optimize, signature, added, inLoop } = await planStep({ model, batch, threads, wanted: values.target })
const state = { ...model.state, ...added }
const session = await openTrainingSession({ models, batch, state, carried: signature.updates, threads, optimize })
const { tensors } = decodeSafetensors(file('batch.safetensors'), 'batch.safetensors')
const one = feedsOf(signature, tensors, learningRate)
// A run of one step.
const stacked = ({ dtype, shape, data }) => ({ dtype, shape: [1, ...shape], data })
const feeds = inLoop ? Object.fromEntries(Object.entries(one).map(([name, value]) => [name, stacked(value)])) : one

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
await serve(async () => (await session.step(feeds, batch))[signature.loss].data[0], {
  version: `onnxruntime-node ${version}`,
})
await session.close()

// Our training step as the driver runs it, by one of the targets: `node ours.mjs --case FOLDER --target portable`.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openTrainingSession, planStep, readTrainableModel } from 'rdm-onnx'
import { decodeSafetensors } from '../../dist/src/driver/run/safetensors.js'
import { readCase, serve } from './protocol.mjs'

const { values } = parseArgs({ options: { case: { type: 'string' }, target: { type: 'string' } } })
const file = (name) => readFileSync(join(values.case, name))
const { threads, batch, learningRate } = readCase(values.case)

const model = readTrainableModel(file('model.onnx'))
const { state, carried, signature } = model
const { models, optimize } = await planStep({ model, batch, threads, wanted: values.target })
const session = await openTrainingSession({ models, batch, state, carried, threads, optimize })
const { images, labels } = decodeSafetensors(file('batch.safetensors'), 'batch.safetensors').tensors
const feeds = {
  [signature.images]: images,
  [signature.labels]: labels,
  [signature.learningRate]: { dtype: 'float32', shape: [], data: Float32Array.of(learningRate) },
}

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
await serve(async () => (await session.step(feeds, batch))[signature.loss].data[0], {
  version: `onnxruntime-node ${version}`,
})
await session.close()

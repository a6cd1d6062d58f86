// Our training step as the driver runs it, by one of the targets: `node ours.mjs --case FOLDER --target portable`.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openTrainingSession } from 'rdm-onnx'
import { decodeSafetensors } from '../../dist/src/fit/safetensors.js'
import { targets } from '../targets.mjs'
import { readCase, serve } from './protocol.mjs'

const { values } = parseArgs({ options: { case: { type: 'string' }, target: { type: 'string' } } })
const file = (name) => readFileSync(join(values.case, name))
const { threads, batch, learningRate } = readCase(values.case)

const { step, state, carried, signature } = await targets[values.target](file('model.onnx'), { batch, threads })
const session = await openTrainingSession({ model: step, state, carried, threads })
const { images, labels } = decodeSafetensors(file('batch.safetensors'), 'batch.safetensors').tensors
const feeds = {
  [signature.images]: images,
  [signature.labels]: labels,
  [signature.learningRate]: { dtype: 'float32', shape: [], data: Float32Array.of(learningRate) },
}

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
await serve(async () => (await session.step(feeds))[signature.loss].data[0], { version: `onnxruntime-node ${version}` })
await session.close()

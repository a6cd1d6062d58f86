// Our step of plain8 as `rdm-onnx/web` runs it: on WebAssembly with threads, or on WebGPU, where its state stays.

import { readTrainableModel } from '../../../src/core/model/read.js'
import { openStep } from '../../../src/driver/fit/train.js'
import { webEngine } from '../../../src/web/engine.js'
import { setRuntime } from '../../../src/web/runtime.js'
import { planWebStep } from '../../../src/web/target.js'
import { readCase } from './case.js'

/** The same batch as of one step. */
const alone = ({ dtype, shape, data }) => ({ dtype, shape: [1, ...shape], data })

export async function open({ webgpu }) {
  const { settings, images, labels } = await readCase()
  const { batch, threads, learningRate } = settings
  const provider = webgpu ? 'webgpu' : 'wasm'
  const model = readTrainableModel(new Uint8Array(await (await fetch('model.onnx')).arrayBuffer()))
  const planned = planWebStep({ model, batch, provider })
  const runtime = new URL(`/ort.${provider}.bundle.min.mjs`, location.href).href
  setRuntime(provider)
  const session = await openStep(webEngine({ provider, threads, runtime }), planned, model.state, batch)
  const { hyperparameters, loss } = planned.signature
  const one = {
    images: { ...images, dtype: 'float32' },
    labels: { ...labels, dtype: 'int64' },
    ...Object.fromEntries(
      Object.entries(hyperparameters).map(([name, value]) => [
        name,
        { dtype: 'float32', shape: [], data: Float32Array.of(value ?? learningRate) },
      ]),
    ),
  }
  const feeds = planned.inLoop
    ? Object.fromEntries(Object.entries(one).map(([name, value]) => [name, alone(value)]))
    : one
  return {
    version: webgpu ? 'webgpu' : `wasm, ${threads} threads`,
    async step() {
      const outputs = await session.step(feeds, batch)
      return outputs[loss].data[0]
    },
  }
}

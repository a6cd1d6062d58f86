// Our step of plain8 in ONNX Runtime Web: the portable step, on WebAssembly with threads.

import * as ort from 'onnxruntime-web'
import { readCase } from './case.js'

export async function open() {
  const { settings, images, labels } = await readCase()
  const { env, InferenceSession, Tensor } = ort
  env.wasm.numThreads = settings.threads
  env.wasm.wasmPaths = '/'
  const [step, { carried, state: first, hyperparameters, loss }] = await Promise.all([
    fetch('step.onnx').then((response) => response.arrayBuffer()),
    fetch('step.json').then((response) => response.json()),
  ])
  const session = await InferenceSession.create(new Uint8Array(step), { executionProviders: ['wasm'] })
  const tensorOf = ({ dtype, shape, data }) => new Tensor(dtype, Float32Array.from(data), shape)
  let state = Object.fromEntries(Object.entries(first).map(([name, value]) => [name, tensorOf(value)]))
  const feeds = {
    images: new Tensor('float32', images.data, images.shape),
    labels: new Tensor('int64', labels.data, labels.shape),
    ...Object.fromEntries(
      Object.entries(hyperparameters).map(([name, value]) => [
        name,
        new Tensor('float32', Float32Array.of(value ?? settings.learningRate), []),
      ]),
    ),
  }
  return {
    version: `wasm, ${settings.threads} threads`,
    async step() {
      const outputs = await session.run({ ...feeds, ...state })
      state = Object.fromEntries(Object.entries(carried).map(([output, input]) => [input, outputs[output]]))
      return outputs[loss].data[0]
    },
  }
}

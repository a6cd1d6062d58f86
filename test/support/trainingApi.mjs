// A list of actions on training artifacts, by ONNX Runtime's training API for the web: JSON on both standard streams.
import { readFileSync } from 'node:fs'
import {
  env,
  Tensor,
  TrainingSession,
} from '../../node_modules/onnxruntime-web-training/dist/ort.training.wasm.min.mjs'

const { folder, batches, actions } = JSON.parse(readFileSync(0, 'utf8'))
const artifact = (name) => new Uint8Array(readFileSync(`${folder}/${name}`))
const arrays = { uint8: Uint8Array, float32: Float32Array }
const feeds = batches.map((batch) =>
  Object.entries(batch).map(([name, { dtype, data, shape }]) => {
    const values = dtype === 'int64' ? BigInt64Array.from(data, BigInt) : new arrays[dtype](data)
    return [name, new Tensor(dtype, values, shape)]
  }),
)
const numbers = (results) =>
  Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]))

env.wasm.numThreads = 1
const session = await TrainingSession.create({
  checkpointState: artifact('checkpoint'),
  trainModel: artifact('training_model.onnx'),
  evalModel: artifact('eval_model.onnx'),
  optimizerModel: artifact('optimizer_model.onnx'),
})
const does = {
  train: async (index) => numbers(await session.runTrainStep(Object.fromEntries(feeds[index]))),
  eval: async (index) =>
    numbers(await session.runEvalStep(Object.fromEntries(feeds[index].filter(([name]) => name !== 'gates')))),
  update: () => session.runOptimizerStep(),
  reset: () => session.lazyResetGrad(),
  contiguous: async () => numbers({ parameters: await session.getContiguousParameters(false) }),
}
const results = []
for (const [name, ...given] of actions) results.push((await does[name](...given)) ?? {})
process.stdout.write(JSON.stringify(results))

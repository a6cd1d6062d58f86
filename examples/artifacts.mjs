// Trains what `rdm-export --artifacts DIR --lr 0.001` wrote by ONNX Runtime's training API for the web, here in Node:
//   node artifacts.mjs DIR data_batch_1.bin
// Needs onnxruntime-web 1.19.2, the last release with training. In a page, import 'onnxruntime-web/training' and give
// TrainingSession.create the addresses of the files.

import { readFile } from 'node:fs/promises'
import { env, Tensor, TrainingSession } from '../node_modules/onnxruntime-web-training/dist/ort.training.wasm.min.mjs'

const [folder, file] = process.argv.slice(2)
// CIFAR-10: records of a label and the pixels.
const PIXELS = 3 * 32 * 32
const records = await readFile(file)
const count = records.length / (1 + PIXELS)
function batchOf(indices) {
  const images = new Uint8Array(indices.length * PIXELS)
  const labels = new BigInt64Array(indices.length)
  indices.forEach((index, i) => {
    const at = index * (1 + PIXELS)
    labels[i] = BigInt(records[at])
    images.set(records.subarray(at + 1, at + 1 + PIXELS), i * PIXELS)
  })
  return {
    images: new Tensor('uint8', images, [indices.length, 3, 32, 32]),
    labels: new Tensor('int64', labels, [indices.length]),
  }
}
const artifact = async (name) => new Uint8Array(await readFile(`${folder}/${name}`))

// More threads need workers, which Node ends only with process.exit().
env.wasm.numThreads = 1
const session = await TrainingSession.create({
  checkpointState: await artifact('checkpoint'),
  trainModel: await artifact('training_model.onnx'),
  evalModel: await artifact('eval_model.onnx'),
  optimizerModel: await artifact('optimizer_model.onnx'),
})
for (let step = 0; step < 10; step++) {
  const indices = Array.from({ length: 25 }, (_, i) => (step * 25 + i) % count)
  const { loss, correct } = await session.runTrainStep(batchOf(indices))
  await session.runOptimizerStep()
  await session.lazyResetGrad()
  console.log(`step ${step + 1}: loss ${loss.data[0].toFixed(4)}, ${correct.data[0]} of ${indices.length} right`)
}

const { loss, correct } = await session.runEvalStep(batchOf(Array.from({ length: count }, (_, i) => i)))
console.log(`trained: loss ${loss.data[0].toFixed(4)}, ${correct.data[0]} of ${count} right`)
const parameters = await session.getContiguousParameters(false)
console.log(`${parameters.data.length} numbers to keep`)
await session.release()

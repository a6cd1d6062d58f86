// Trains and predicts in ONNX Runtime, here in Node, what `rdm-export` wrote:
//   node train-onnxruntime.mjs MODELS data_batch_1.bin 10 TRAINED [onnxruntime-web]
// MODELS holds init.onnx, train.onnx and infer.onnx (`rdm-export --part init|train|infer`). Ten steps, each with the next
// 32 images; TRAINED gets a file of float32 for each weight. Needs onnxruntime-node, or onnxruntime-web for WebAssembly.

import { readFile, writeFile } from 'node:fs/promises'

const [models, data, steps, trained, runtime = 'onnxruntime-node'] = process.argv.slice(2)
const { InferenceSession, Tensor } = await import(runtime)

// CIFAR-10: records of a label and the pixels.
const PIXELS = 3 * 32 * 32
const records = await readFile(data)
const count = records.length / (1 + PIXELS)
function batchOf(step) {
  const images = new Uint8Array(32 * PIXELS)
  const labels = new BigInt64Array(32)
  for (let i = 0; i < 32; i++) {
    const at = ((step * 32 + i) % count) * (1 + PIXELS)
    labels[i] = BigInt(records[at])
    images.set(records.subarray(at + 1, at + 1 + PIXELS), i * PIXELS)
  }
  return { images: new Tensor('uint8', images, [32, 3, 32, 32]), labels: new Tensor('int64', labels, [32]) }
}
const load = (part) => InferenceSession.create(`${models}/${part}.onnx`)
/** The tensors that are called NAME and this ending, by NAME. */
const ending = (suffix, tensors) =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.endsWith(suffix))
      .map(([name, tensor]) => [name.slice(0, -suffix.length), tensor]),
  )

let state = ending('.initial', await (await load('init')).run({}))
const train = await load('train')
const learning_rate = new Tensor('float32', [0.05], [])
for (let step = 0; step < Number(steps); step++) {
  const begin = performance.now()
  const { loss, correct, ...next } = await train.run({ ...batchOf(step), learning_rate, ...state })
  const seconds = (performance.now() - begin) / 1000
  state = ending('.next', next)
  console.log(
    `step ${step + 1}: loss ${loss.data[0].toFixed(6)}, ${correct.data[0]} of 32 right, ${seconds.toFixed(4)} s`,
  )
}

for (const [name, { data }] of Object.entries(state)) await writeFile(`${trained}/${name}`, data)
const { images, labels } = batchOf(0)
const { probabilities } = await (await load('infer')).run({ images })
await writeFile(`${trained}/probabilities`, probabilities.data)
const answers = Array.from({ length: 32 }, (_, i) => {
  const row = probabilities.data.subarray(i * 10, i * 10 + 10)
  return BigInt(row.indexOf(Math.max(...row)))
})
console.log(`infer.onnx: ${answers.filter((answer, i) => answer === labels.data[i]).length} of 32 right`)

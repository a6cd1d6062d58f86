// Trains what core.mjs wrote, with onnxruntime-node and nothing of ours.
import { InferenceSession, Tensor } from 'onnxruntime-node'

const ending = (suffix, tensors) =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, value]) =>
      name.endsWith(suffix) ? [[name.slice(0, -suffix.length), value]] : [],
    ),
  )
let state = ending('.initial', await (await InferenceSession.create('init.onnx')).run({}))
const train = await InferenceSession.create('train.onnx')
const part = (i, step) => (i * step) % 1
const losses = []
for (let step = 0; step < 200; step++) {
  const x = Float32Array.from({ length: 32 }, (_, i) => part(32 * step + i, 0.618034))
  const targets = Float32Array.from({ length: 16 }, (_, i) => x[2 * i] + x[2 * i + 1])
  const fed = { x: new Tensor('float32', x, [16, 2]), targets: new Tensor('float32', targets, [16, 1]) }
  const { loss, ...next } = await train.run({ ...fed, learning_rate: new Tensor('float32', [0.02], []), ...state })
  losses.push(loss.data[0])
  state = { ...state, ...ending('.next', next) }
}
const [first, last] = [losses[0], losses.at(-1)]
if (!(last < first / 20)) throw new Error(`the loss went from ${first} to ${last}`)
console.log(`loop: loss ${first.toFixed(4)} to ${last.toFixed(4)}`)

// The step of plain8 in jax-js, compiled as one function, in WebAssembly or on WebGPU.

import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax'
import { readCase } from './case.js'

export async function open({ webgpu }) {
  const { settings, weights, images, labels } = await readCase()
  const { learningRate, momentum } = settings
  const device = webgpu ? 'webgpu' : 'wasm'
  if (!(await init(device)).includes(device)) throw new Error(`jax-js has no ${device} here`)
  defaultDevice(device)
  const arrayOf = ({ data, shape }) => np.array(data).reshape(shape)
  let state = Object.fromEntries(Object.entries(weights).map(([name, value]) => [name, arrayOf(value)]))
  let velocity = Object.fromEntries(Object.entries(weights).map(([name, { shape }]) => [name, np.zeros(shape)]))
  const x = arrayOf(images)
  const hot = np
    .array(
      Float32Array.from({ length: labels.data.length * 10 }, (_, i) =>
        Number(Number(labels.data[Math.floor(i / 10)]) === i % 10),
      ),
    )
    .reshape([labels.data.length, 10])

  // What a function takes it also frees: a value that is used twice is handed over once more by `ref`.
  function loss(w, images, hot) {
    const conv = (from, name, stride, size) => {
      const pad = (size - 1) / 2
      return lax.conv(
        from,
        w[`${name}.weight`],
        [stride, stride],
        [
          [pad, pad],
          [pad, pad],
        ],
      )
    }
    let value = nn.relu(conv(images, 'stem', 1, 3))
    for (let i = 1; i <= 3; i++) {
      const stride = i === 1 ? 1 : 2
      const inner = nn.relu(conv(value.ref, `block${i}.conv1`, stride, 3))
      const branch = conv(inner, `block${i}.conv2`, 1, 3)
      const shortcut = i === 1 ? value : conv(value, `block${i}.shortcut`, stride, 1)
      value = nn.relu(np.add(branch, shortcut))
    }
    const logits = np.matmul(np.mean(value, [2, 3]), w['classifier.weight'].transpose()).add(w['classifier.bias'])
    return np.mean(np.sum(nn.logSoftmax(logits, -1).mul(hot), 1)).neg()
  }

  const update = jit((w, v, images, hot) => {
    const [value, gradient] = valueAndGrad(loss)(tree.ref(w), images, hot)
    const nextV = tree.map((g, velocity) => velocity.mul(momentum).add(g), gradient, v)
    const nextW = tree.map((weight, velocity) => weight.sub(velocity.mul(learningRate)), w, tree.ref(nextV))
    return [value, nextW, nextV]
  })

  return {
    version: device,
    async step() {
      const [value, nextState, nextVelocity] = update(state, velocity, x.ref, hot.ref)
      state = nextState
      velocity = nextVelocity
      await blockUntilReady([state, velocity])
      const [number] = await value.data()
      return number
    },
  }
}

// The step of plain8 in TensorFlow.js, on WebGPU, or by its fastest backend for a processor that differentiates convolutions: that of
// WebAssembly has no gradient of a filter.

import * as tf from '@tensorflow/tfjs'
import { readCase } from './case.js'

/** Where a page has no GPU, WebGL is computed by the processor: whichever is faster is taken. Where it has one, WebGL uses it, too. */
const backends = { processor: ['cpu', 'webgl'], gpu: ['webgpu', 'webgl'] }

export async function open({ webgpu }) {
  const { settings, weights, images, labels } = await readCase()
  const { learningRate, momentum } = settings
  // It wants the names of WebGPU as soon as it is loaded.
  if (webgpu) await import('@tensorflow/tfjs-backend-webgpu')

  function begin() {
    // Channels last, as its kernels want them; filters [height, width, in, out].
    const variables = Object.fromEntries(
      Object.entries(weights).map(([name, { shape, data }]) => {
        const value = tf.tensor(data, shape)
        if (shape.length === 4) return [name, tf.variable(tf.transpose(value, [2, 3, 1, 0]))]
        return [name, tf.variable(shape.length === 2 ? tf.transpose(value) : value)]
      }),
    )
    const x = tf.transpose(tf.tensor(images.data, images.shape), [0, 2, 3, 1])
    const targets = tf.oneHot(tf.tensor1d(Int32Array.from(labels.data, Number), 'int32'), 10)
    const optimizer = tf.train.momentum(learningRate, momentum)
    const conv = (from, name, stride = 1) => {
      const filter = variables[`${name}.weight`]
      return tf.conv2d(from, filter, stride, (filter.shape[0] - 1) / 2, 'NHWC', 1, 'floor')
    }
    const loss = () => {
      let value = tf.relu(conv(x, 'stem'))
      for (let i = 1; i <= 3; i++) {
        const stride = i === 1 ? 1 : 2
        const branch = conv(tf.relu(conv(value, `block${i}.conv1`, stride)), `block${i}.conv2`)
        const shortcut = i === 1 ? value : conv(value, `block${i}.shortcut`, stride)
        value = tf.relu(tf.add(branch, shortcut))
      }
      const logits = tf.add(
        tf.matMul(tf.mean(value, [1, 2]), variables['classifier.weight']),
        variables['classifier.bias'],
      )
      return tf.losses.softmaxCrossEntropy(targets, logits)
    }
    return async () => {
      const value = optimizer.minimize(loss, true)
      const [number] = await value.data()
      value.dispose()
      return number
    }
  }

  let fastest
  for (const backend of webgpu ? backends.gpu : backends.processor) {
    try {
      if (!(await tf.setBackend(backend))) continue
      await tf.ready()
      const step = begin()
      await step()
      const started = performance.now()
      await step()
      const ms = performance.now() - started
      if (fastest === undefined || ms < fastest.ms) fastest = { backend, ms }
    } catch (error) {
      console.log(`tfjs, ${backend}: ${error.message}`)
    }
  }
  await tf.setBackend(fastest.backend)
  return { version: fastest.backend, step: begin() }
}

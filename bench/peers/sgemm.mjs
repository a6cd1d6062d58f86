// What the machine can do at most: products of big float32 matrices in ONNX Runtime. In place of a loss, a step gives the
// GFLOP/s of the fastest.

import { parseArgs } from 'node:util'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { exportGraph, graph, input, matmul, reduceMean } from 'rdm-onnx'
import { readCase, serve } from './protocol.mjs'

const { values } = parseArgs({ options: { case: { type: 'string' } } })
const { threads } = readCase(values.case)

async function product(size) {
  const [a, b] = ['a', 'b'].map((name) => input(name, 'float32', [size, size]))
  // The result is summed to one number, so that copying it out costs nothing.
  const mean = reduceMean(matmul(a, b), undefined, { keepdims: 0 })
  const session = await InferenceSession.create(exportGraph(graph('product', [a, b], { mean })), {
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
  })
  const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i))
  const feeds = { a: new Tensor('float32', values, [size, size]), b: new Tensor('float32', values, [size, size]) }
  return async () => {
    const started = performance.now()
    await session.run(feeds)
    return (2 * size ** 3) / (performance.now() - started) / 1e6
  }
}

const products = [await product(1024), await product(2048)]

await serve(async () => {
  let best = 0
  for (const run of [...products, ...products]) best = Math.max(best, await run())
  return best
})

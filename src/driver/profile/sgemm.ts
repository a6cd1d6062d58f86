// What the machine can do at most: the fastest of some products of float32 matrices in ONNX Runtime.
import { graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/graph/tensor.js'
import { input } from '../../core/graph/value.js'
import { exportGraph } from '../../core/model/write.js'
import { matmul, slice } from '../../core/ops/index.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession } from '../runtime/session.js'

const sizes = [1024, 2048]
/** Milliseconds to spend on each size, more or less. */
const budget = 1000

/** GFLOP/s of the best of some products of square matrices. */
async function bestRate(size: number, settings: SessionSettings): Promise<number> {
  const [a, b] = [input('a', 'float32', [size, size]), input('b', 'float32', [size, size])]
  // One number of the product goes out, so that no time goes into copying.
  const corner = slice(matmul(a, b), [0, 1], [0, 0], [1, 1])
  const session = await openSession(exportGraph(graph('sgemm', [a, b], { corner })), settings)
  try {
    const data = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i))
    const matrix: Tensor = { dtype: 'float32', shape: [size, size], data }
    const feeds = { a: matrix, b: matrix }
    const first = await session.time(feeds, 2)
    const runs = Math.min(50, Math.max(3, Math.round(budget / first[1]!)))
    const times = await session.time(feeds, runs)
    return (2 * size ** 3) / Math.min(...first, ...times) / 1e6
  } finally {
    await session.close()
  }
}

/**
 * The machine's single-precision peak in GFLOP/s, as a matrix product reaches it with the threads and the provider of
 * `settings`; takes 2 to 3 seconds. Nothing else should run meanwhile: sessions that are idle spin for a while.
 */
export async function measureSgemmPeak(settings: SessionSettings = {}): Promise<number> {
  let peak = 0
  for (const size of sizes) peak = Math.max(peak, await bestRate(size, settings))
  return peak
}

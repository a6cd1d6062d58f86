// One convolution: the smallest model that a training step's provider has to run, and what it computes.
import { evaluate } from '../graph/evaluate.js'
import { graph } from '../graph/graph.js'
import { type Tensor, tensor } from '../graph/tensor.js'
import { input } from '../graph/value.js'
import { exportGraph } from '../model/write.js'
import { conv } from '../ops/index.js'
import type { HostTensors } from '../runtime/tensor.js'

const [BATCH, CHANNELS, SIZE] = [2, 16, 8]
const shapes = { x: [BATCH, CHANNELS, SIZE, SIZE], w: [CHANNELS, CHANNELS, 3, 3] } as const

/** Whole numbers from −4 to 4: they and their products are exact in every float format that a GPU may compute in. */
function numbers(shape: readonly number[], step: number): Tensor {
  const size = shape.reduce((product, dimension) => product * dimension, 1)
  return tensor(
    'float32',
    shape,
    Float64Array.from({ length: size }, (_, i) => ((i * step) % 9) - 4),
  )
}

/** The model `y = x ∗ w`, its inputs, and y by the reference evaluation. */
export function convolution(): { model: Uint8Array; feeds: HostTensors; expected: Float64Array } {
  const x = input('x', 'float32', shapes.x)
  const w = input('w', 'float32', shapes.w)
  const network = graph('convolution', [x, w], { y: conv(x, w, { pads: [1, 1, 1, 1] }) })
  const tensors = { x: numbers(shapes.x, 7), w: numbers(shapes.w, 5) }
  const { data: expected } = evaluate(network, new Map(Object.entries(tensors))).get('y')!
  const feeds = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [
      name,
      { dtype: 'float32' as const, shape, data: Float32Array.from(data) },
    ]),
  )
  return { model: exportGraph(network), feeds, expected }
}

/** The largest difference, relative to the largest expected number; NaN when any number is. */
export function errorOf(found: ArrayLike<number>, expected: Float64Array): number {
  if (found.length !== expected.length) return Number.NaN
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(found[i]! - value)), 0) / scale
}

// One convolution: the smallest model that a training step's provider has to run, and what it computes.
import { evaluate } from '../../core/graph/evaluate.js'
import { graph } from '../../core/graph/graph.js'
import { type Tensor, type Tensors, tensor } from '../../core/graph/tensor.js'
import { input } from '../../core/graph/value.js'
import { exportGraph } from '../../core/model/write.js'
import { conv } from '../../core/ops/index.js'

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
export function convolution(): { model: Uint8Array; feeds: Tensors; expected: Float64Array } {
  const x = input('x', 'float32', shapes.x)
  const w = input('w', 'float32', shapes.w)
  const network = graph('convolution', [x, w], { y: conv(x, w, { pads: [1, 1, 1, 1] }) })
  const feeds = { x: numbers(shapes.x, 7), w: numbers(shapes.w, 5) }
  const { data: expected } = evaluate(network, new Map(Object.entries(feeds))).get('y')!
  return { model: exportGraph(network), feeds, expected }
}

/** The largest difference, relative to the largest expected number; NaN when any number is. */
export function errorOf(found: ArrayLike<number>, expected: Float64Array): number {
  if (found.length !== expected.length) return Number.NaN
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(found[i]! - value)), 0) / scale
}

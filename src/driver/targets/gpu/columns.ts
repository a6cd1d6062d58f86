// im2col in one node: a Gather lays the taps of each place side by side. They come out in the order of the weights.

import { constant, type Value } from '../../../core/graph/value.js'
import { gather, pad, reshape } from '../../../core/ops/index.js'
import type { Window } from '../../../core/ops/window.js'

/** [N, C, H, W] → [N, C, H·W] */
export const places = (x: Value) => reshape(x, [0, 0, -1])

/** [N, C, H, W] → [N, C·taps, places]: what each tap meets at each place of dy, [H', W']. */
export function columns(x: Value, dy: Value, { kernel_shape, strides, pads, dilations }: Window): Value {
  const kernel = kernel_shape!
  const axes = [0, 1] as const
  const size = axes.map((axis) => x.shape[axis + 2] as number)
  const count = axes.map((axis) => dy.shape[axis + 2] as number)
  const reach = axes.map((axis) => (count[axis]! - 1) * strides[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1)
  // A stride may never reach the last rows; the frame has what is reached.
  const after = axes.map((axis) => Math.max(0, reach[axis]! - pads[axis]! - size[axis]!))
  const [height, width] = axes.map((axis) => pads[axis]! + size[axis]! + after[axis]!) as [number, number]
  const framed = height === size[0] && width === size[1] ? x : pad(x, [2, 3], pads.slice(0, 2), after)
  const indices: number[] = []
  for (let i = 0; i < kernel[0]!; i++)
    for (let j = 0; j < kernel[1]!; j++)
      for (let p = 0; p < count[0]!; p++)
        for (let q = 0; q < count[1]!; q++)
          indices.push((p * strides[0]! + i * dilations[0]!) * width + q * strides[1]! + j * dilations[1]!)
  if (indices.length === height * width && indices.every((index, i) => index === i)) return places(framed)
  const taken = gather(places(framed), constant('int32', indices, [kernel[0]! * kernel[1]!, count[0]! * count[1]!]), 2)
  return reshape(taken, [0, -1, count[0]! * count[1]!])
}

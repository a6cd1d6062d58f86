// The weight gradient of a convolution, dw[o, c, i, j] = Σ dy[n, o, p, q] · x[n, c, p·s − pad + i·d, q·s − pad + j·d], in few
// nodes: one Gather lays the taps of each place side by side (im2col), a product an image contracts the places, and one sum
// adds the images up. Where filters are more than places, those products are larger than what they are made of (512 channels at
// 4 × 4: 1.2 GB of a batch of 128), and one product contracts the places of all images. The taps come out in the order of the weights, so nothing is transposed.

import { isStatic, sizeOf } from '../../../core/graph/shape.js'
import { constant, type Value } from '../../../core/graph/value.js'
import { cast, gather, pad, reduceSum, reshape, transpose } from '../../../core/ops/index.js'
import type { Window } from '../../../core/ops/window.js'
import { portable } from '../../../core/targets/portable/index.js'
import type { Expansions } from '../../../core/targets/target.js'
import { matmulTransposed } from '../fusedMatMul.js'

/** [N, C, H, W] → [N, C, H·W] */
const places = (x: Value) => reshape(x, [0, 0, -1])

/** [N, rows, places] → [rows, N·places] */
const acrossImages = (x: Value) => reshape(transpose(x, [1, 0, 2]), [x.shape[1] as number, -1])

/** [N, C, H, W] → [N, C·taps, places]: what each tap meets at each place of dy, [H', W']. */
function columns(x: Value, dy: Value, { kernel_shape, strides, pads, dilations }: Window): Value {
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

/** The result is float32, whatever the operands are: the images are added up in it. */
export const convWeightGrad: Expansions['ConvWeightGrad'] = ([x, dy], attributes) => {
  const [channels, outputs] = [x!.shape[1]!, dy!.shape[1]!]
  const known = isStatic([...x!.shape.slice(1), ...dy!.shape.slice(1)])
  if (attributes.group !== 1 || !known || x!.shape.length !== 4) {
    const [sums] = portable.expansions.ConvWeightGrad([x!, dy!], attributes)
    return [sums!.dtype === 'float32' ? sums! : cast(sums!, 'float32')]
  }
  const [a, b] = [places(dy!), columns(x!, dy!, attributes)]
  const inFloats = (value: Value) => (value.dtype === 'float32' ? value : cast(value, 'float32'))
  const sums =
    (outputs as number) > (sizeOf(dy!.shape.slice(2)) as number)
      ? inFloats(matmulTransposed(acrossImages(a), acrossImages(b)))
      : reduceSum(inFloats(matmulTransposed(a, b)), [0], { keepdims: 0 })
  return [reshape(sums, [outputs as number, channels as number, ...attributes.kernel_shape!])]
}

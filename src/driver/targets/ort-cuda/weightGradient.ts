// The weight gradient of a convolution, dw[o, c, i, j] = Σ dy[n, o, p, q] · x[n, c, p·s − pad + i·d, q·s − pad + j·d], in few
// nodes: one Gather lays the taps of each place side by side (im2col), a product an image contracts the places, and one sum
// adds the images up. Where filters are more than places, those products are larger than what they are made of (512 channels at
// 4 × 4: 1.2 GB of a batch of 128), and one product contracts the places of all images. The taps come out in the order of the weights, so nothing is transposed.

import { isStatic, sizeOf } from '../../../core/graph/shape.js'
import type { Value } from '../../../core/graph/value.js'
import { cast, reduceSum, reshape, transpose } from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import type { Expansions } from '../../../core/targets/target.js'
import { matmulTransposed } from '../fusedMatMul.js'
import { columns, places } from '../gpu/columns.js'

/** [N, rows, places] → [rows, N·places] */
const acrossImages = (x: Value) => reshape(transpose(x, [1, 0, 2]), [x.shape[1] as number, -1])

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

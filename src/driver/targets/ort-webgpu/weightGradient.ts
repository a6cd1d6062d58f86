// The weight gradient of a convolution by one product an image (im2col times dy) and a sum over images; where filters are more
// than places, by one product over the places of all images, as it is smaller than those.

import { isStatic, sizeOf } from '../../../core/graph/shape.js'
import type { Value } from '../../../core/graph/value.js'
import { matmul, reduceSum, reshape, transpose } from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import type { Expansions } from '../../../core/targets/target.js'
import { columns, places } from '../gpu/columns.js'

/** [N, rows, places] → [N·places, rows] */
const acrossImages = (x: Value) => reshape(transpose(x, [0, 2, 1]), [-1, x.shape[1] as number])

export const convWeightGrad: Expansions['ConvWeightGrad'] = ([x, dy], attributes) => {
  const isUsual = attributes.group === 1 && x!.shape.length === 4 && isStatic([...x!.shape, ...dy!.shape])
  if (!isUsual) return portable.expansions.ConvWeightGrad([x!, dy!], attributes)
  const [channels, outputs] = [x!.shape[1], dy!.shape[1]] as [number, number]
  const taps = columns(x!, dy!, attributes)
  const isDeep = outputs > (sizeOf(dy!.shape.slice(2)) as number)
  // [C·taps, O]
  const sums = isDeep
    ? matmul(transpose(acrossImages(taps), [1, 0]), acrossImages(places(dy!)))
    : reduceSum(matmul(taps, transpose(places(dy!), [0, 2, 1])), [0], { keepdims: 0 })
  return [reshape(transpose(sums, [1, 0]), [outputs, channels, ...attributes.kernel_shape!])]
}

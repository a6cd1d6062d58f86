// Evaluation averaged over variants of each image (test-time augmentation), as airbench does it (Jordan 2024): the image and its
// mirror image, and those of the image shifted by a pixel to either corner.

import { arrays, elementsOf, isFloat, type Tensor, type Tensors, tensorOf } from '../../core/graph/tensor.js'
import type { TestAugment } from '../../core/model/recipe.js'
import { isImages } from '../data/rows.js'
import { type Crop, cropImage } from '../data/transforms.js'

interface Variant extends Crop {
  readonly weight: number
}

/** `mirror-shift`: half the image and its mirror image, half those of two shifts by a pixel. */
const shifts: Readonly<Record<TestAugment, readonly (readonly [shift: number, weight: number])[]>> = {
  none: [],
  mirror: [[0, 1]],
  'mirror-shift': [
    [0, 1 / 2],
    [-1, 1 / 4],
    [1, 1 / 4],
  ],
}

const variantsOf = (augment: TestAugment): readonly Variant[] =>
  shifts[augment].flatMap(([shift, weight]) =>
    [false, true].map((flip) => ({ top: shift, left: shift, flip, weight: weight / 2 })),
  )

/** The images of a batch, [n, channels, height, width], each taken so. */
function taken(images: Tensor, variant: Variant): Tensor {
  const [count, channels, height, width] = images.shape as readonly [number, number, number, number]
  const size = channels * height * width
  const data = new Uint8Array(count * size)
  for (let i = 0; i < count; i++) {
    const from = (images.data as Uint8Array).subarray(i * size, (i + 1) * size)
    cropImage(from, data.subarray(i * size, (i + 1) * size), height, width, variant, 'reflect')
  }
  return tensorOf('uint8', images.shape, data)
}

/** Images along the last three axes, whatever stands before them. */
const asBatch = (value: Tensor): Tensor =>
  tensorOf(value.dtype, [elementsOf(value.shape.slice(0, -3)), ...value.shape.slice(-3)], value.data)

/** The outputs for feeds: by one prediction, or the weighted mean of those of the variants. */
export async function predictVariants(
  predict: (feeds: Tensors) => Promise<Tensors>,
  feeds: Tensors,
  augment: TestAugment,
): Promise<Tensors> {
  const variants = variantsOf(augment)
  if (variants.length === 0) return predict(feeds)
  const sums = new Map<string, { readonly like: Tensor; readonly total: Float64Array }>()
  for (const variant of variants) {
    const changed = Object.entries(feeds).map(([name, value]): [string, Tensor] => {
      if (!isImages({ dtype: value.dtype, shape: value.shape.slice(-3) })) return [name, value]
      return [name, tensorOf('uint8', value.shape, taken(asBatch(value), variant).data)]
    })
    for (const [name, value] of Object.entries(await predict(Object.fromEntries(changed)))) {
      if (!isFloat(value.dtype) || value.dtype === 'float16') continue
      const known = sums.get(name) ?? { like: value, total: new Float64Array(value.data.length) }
      for (let i = 0; i < value.data.length; i++) known.total[i]! += variant.weight * Number(value.data[i])
      sums.set(name, known)
    }
  }
  const means = [...sums].map(([name, { like, total }]): [string, Tensor] => {
    const data = new arrays[like.dtype](total.length)
    for (let i = 0; i < total.length; i++) data[i] = total[i]!
    return [name, tensorOf(like.dtype, like.shape, data)]
  })
  return Object.fromEntries(means)
}

// The input gradient of a convolution. With stride 1 it is a convolution itself, which runtimes do better than
// ConvTranspose: dx = pad(dy) ∗ w with the kernel turned by 180° and its channel axes exchanged.

import { scope } from '../../graph/value.js'
import { conv, convTranspose, flip, transpose } from '../../ops/index.js'
import type { Expansions } from '../target.js'

export const convInputGrad: Expansions['ConvInputGrad'] = ([dy, w], attributes) => {
  const { strides, pads, dilations, group, output_padding } = attributes
  const kernel = w!.shape.slice(2) as readonly number[]
  const axes = kernel.map((_, axis) => axis + 2)
  // Full correlation pads by dilation·(kernel − 1); what the forward pass had padded is not asked for.
  const reach = kernel.map((size, axis) => dilations[axis]! * (size - 1))
  const back = pads.map((amount, side) => reach[side % kernel.length]! - amount)
  const plain =
    group === 1 &&
    strides.every((stride) => stride === 1) &&
    output_padding.every((rest) => rest === 0) &&
    back.every((amount) => amount >= 0)
  if (!plain) return [convTranspose(dy!, w!, attributes)]
  const isPoint = kernel.every((size) => size === 1)
  const turned = scope('turned', () => transpose(isPoint ? w! : flip(w!, ...axes), [1, 0, ...axes]))
  return [conv(dy!, turned, { pads: back, dilations })]
}

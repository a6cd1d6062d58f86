// The input gradient of a convolution. With stride 1 it is a convolution itself, which runtimes do better than
// ConvTranspose: dx = pad(dy) ∗ w with the kernel turned by 180° and its channel axes exchanged.

import { scope } from '../../graph/value.js'
import { conv, convTranspose, flip, transpose } from '../../ops/index.js'
import type { Expansions } from '../target.js'

export const convInputGrad: Expansions['ConvInputGrad'] = ([dy, w], attributes) => {
  const { strides, pads, dilations, group, output_padding } = attributes
  // Full correlation pads by dilation·(kernel − 1); what the forward pass had padded is not asked for.
  const reach = [0, 1].map((axis) => dilations[axis]! * ((w!.shape[axis + 2] as number) - 1))
  const back = pads.map((amount, side) => reach[side % 2]! - amount)
  const plain =
    [...strides, ...output_padding].join() === '1,1,0,0' && group === 1 && back.every((amount) => amount >= 0)
  if (!plain) return [convTranspose(dy!, w!, attributes)]
  const isPoint = w!.shape[2] === 1 && w!.shape[3] === 1
  const turned = scope('turned', () => transpose(isPoint ? w! : flip(w!, 2, 3), [1, 0, 2, 3]))
  return [conv(dy!, turned, { pads: back, dilations })]
}

// Which values are blocked. A rule takes blocked operands by `blocked(x)` and gives its result as `plain(y)`: a value of the
// plain layout, behind a ReorderOutput. Where the next rule asks for it blocked again, it gets y itself, and the
// ReorderOutput, then used by nobody, is never written. So conversions are left only where layouts really meet.

import { isStatic } from '../../../core/graph/shape.js'
import { nodeOf, type Value } from '../../../core/graph/value.js'
import { reshape, transpose } from '../../../core/ops/index.js'
import type { Nchwc } from './nchwc.js'

export interface Layout {
  readonly nchwc: Nchwc
  /** Whether x comes blocked, so that taking it blocked costs nothing. */
  isBlocked(x: Value): boolean
  /** Whether x can be blocked: float32 [N, C, H, W] of known sizes with channels in whole blocks. */
  fits(x: Value): boolean
  blocked(x: Value): Value
  plain(y: Value): Value
  /** Whether x could be blocked, were its last block filled with channels of zeros. */
  fitsFilled(x: Value): boolean
  /** x with so many channels, which need not be whole blocks, as convolutions take it: with channels of zeros in the last block. */
  filled(x: Value): Value
  /** Of a blocked y the first so many channels. */
  firstChannels(y: Value, channels: number): Value
  /** x as [N, H, W, C]. */
  channelsLast(x: Value): Value
  /**
   * How many images, put side by side as channels, have them in whole blocks: 1 where x can be blocked as it is. What treats each
   * channel of each image by itself may take [N, C, H, W] for [N/k, k·C, H, W], which it is as it lies. Undefined where no such
   * number divides the batch.
   */
  imagesSideBySide(x: Value): number | undefined
  /** x [N, C, H, W] as blocked [N/k, k·C, H, W] with that number of images. */
  sideBySide(x: Value): Value
}

/** A pure function of a value, computed once for each: what two consumers ask for is one node. */
export function once<T>(compute: (x: Value) => T): (x: Value) => T {
  const known = new Map<Value, T>()
  return (x) => {
    const found = known.get(x) ?? compute(x)
    known.set(x, found)
    return found
  }
}

export function layoutBy(nchwc: Nchwc): Layout {
  const { operators, block } = nchwc
  /** The blocked value that x is the plain view of, if it is one. */
  const behind = (x: Value): Value | undefined => {
    const node = nodeOf(x)
    if (node?.operator !== operators.ReorderOutput || node.attributes.channels_last) return undefined
    const [y] = node.inputs
    // What fills the last block is no part of x.
    return y!.shape[1] === x.shape[1] ? y : undefined
  }
  const fits: Layout['fits'] = ({ dtype, shape }) =>
    dtype === 'float32' && shape.length === 4 && isStatic(shape) && shape[1]! % block === 0
  /** Of a single place the channels stand side by side in both layouts. */
  const isBoth = (x: Value) => fits(x) && x.shape[2] === 1 && x.shape[3] === 1
  const blocked = once((x) => behind(x) ?? (isBoth(x) ? x : nchwc.reorderInput(x)))
  const plain = (y: Value) => (isBoth(y) ? y : nchwc.reorderOutput(y))
  const imagesSideBySide: Layout['imagesSideBySide'] = ({ dtype, shape }) => {
    if (dtype !== 'float32' || shape.length !== 4 || !isStatic(shape)) return undefined
    const [n, c] = shape as readonly [number, number, ...number[]]
    return Array.from({ length: block }, (_, i) => i + 1).find((k) => n % k === 0 && (k * c) % block === 0)
  }
  return {
    nchwc,
    isBlocked: (x) => behind(x) !== undefined || isBoth(x),
    fits,
    blocked,
    imagesSideBySide,
    sideBySide: once((x) => {
      const images = imagesSideBySide(x)!
      if (images === 1) return blocked(x)
      const [n, c, h, w] = x.shape as readonly [number, number, number, number]
      return nchwc.reorderInput(reshape(x, [n / images, c * images, h, w]))
    }),
    plain,
    fitsFilled: ({ dtype, shape }) =>
      dtype === 'float32' && shape.length === 4 && isStatic(shape) && shape[1]! > block && shape[1]! % 4 === 0,
    filled: once((x) => (fits(x) ? blocked(x) : nchwc.reorderInput(x))),
    firstChannels: (y, channels) => (y.shape[1] === channels ? plain(y) : nchwc.reorderOutput(y, { channels })),
    channelsLast: once((x) => {
      const y = behind(x)
      return y ? nchwc.reorderOutput(y, { channelsLast: true }) : transpose(x, [0, 2, 3, 1])
    }),
  }
}

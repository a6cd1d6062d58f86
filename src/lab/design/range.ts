// The layers of the paths that count as effective, as the address has them: 10:34.

import { UserError } from '../../core/errors.js'
import type { LayerRange } from '../../study/paths/lengths.js'

/** Where Veit et al. 2016 measured most of the gradient, in a network of 110 layers: 5 to 17 blocks of two. */
const usual: LayerRange = { from: 10, to: 34 }

/** @throws UserError for text that is no range */
export function rangeFrom(text: string | null): LayerRange {
  if (text === null) return usual
  const [, from, to] = /^(\d{1,5}):(\d{1,5})$/.exec(text) ?? []
  if (from === undefined || Number(to) < Number(from))
    throw new UserError(`range=${text} is no range of layers: write it as in range=10:34`)
  return { from: Number(from), to: Number(to) }
}

/** Undefined for the range that is taken unless another is given. */
export const formatRange = ({ from, to }: LayerRange): string | undefined =>
  from === usual.from && to === usual.to ? undefined : `${from}:${to}`

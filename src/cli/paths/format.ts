// How counts of paths are written, for people and as JSON, and the range of layers that options give.
import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { rounded } from '../../driver/format/table.js'
import type { LayerRange } from '../../study/paths/lengths.js'
import type * as Pictures from '../../study/paths/pictures.js'

/** What a count prints, and its picture. */
export interface Counted {
  readonly text: string
  readonly json: unknown
  readonly picture: (pictures: typeof Pictures) => string
}

/** Whole numbers that a JSON number cannot hold exactly become strings. */
const exactly = (_: string, value: unknown): unknown => {
  if (typeof value !== 'bigint') return value
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}

export const jsonLine = (value: unknown): string => `${JSON.stringify(value, exactly)}\n`

/** Exact as far as a table has room: up to 30 digits. */
export const formatCount = (count: bigint): string => rounded(count, 30)

/** part / whole, to 18 digits behind the point. */
export const fraction = (part: bigint, whole: bigint): number => Number((part * 10n ** 18n) / whole) / 1e18
export const percent = (part: bigint, whole: bigint): string => (100 * fraction(part, whole)).toFixed(2)

/** Text like `10:34`, in layers. */
export const layerRange: z.ZodType<LayerRange, string> = z.string().transform((text, context) => {
  const match = /^(\d{1,7}):(\d{1,7})$/.exec(text)
  const [from, to] = [Number(match?.[1]), Number(match?.[2])]
  if (match && from <= to) return { from, to }
  context.addIssue(
    match
      ? `The range ends before it begins: write ${to}:${from}`
      : 'Expected the least and the most layers of a path with a colon between them, such as 10:34',
  )
  return z.NEVER
})

export const formatRange = ({ from, to }: LayerRange): string => `${from} to ${to} layers`

/** @throws UserError when the range goes beyond the longest path */
export function checkRange({ to }: LayerRange, longest: number, of: string): void {
  if (to > longest)
    throw new UserError(
      `--range ends at ${to} layers, but the longest path of ${of} has ${longest}: expected 0 to ${longest}`,
    )
}

// What several runs of a model come to, as papers say it: median (mean ± standard deviation).

import { median, percentage } from '../format/units.js'

/** Median, mean and standard deviation, in the unit of the values. */
export interface Spread {
  /** The middle value; of an even count the mean of the two in the middle. */
  readonly median: number
  readonly mean: number
  /** Of the sample, with n − 1; null for a single value, which has none. */
  readonly std: number | null
}

/** Median, mean and standard deviation of some values; null where there are none. */
export function spreadOf(values: readonly number[]): Spread | null {
  const count = values.length
  if (count === 0) return null
  const sorted = values.toSorted((a, b) => a - b)
  // In their order, so that the rounding does not depend on which run ended first.
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { median: median(values), mean, std: count === 1 ? null : Math.sqrt(squares / (count - 1)) }
}

/** Median (mean ± standard deviation) of fractions, in per cent, as papers give it. */
export function spreadText({ median, mean, std }: Spread): string {
  return `${percentage(median)} (${percentage(mean)}${std === null ? '' : ` ± ${percentage(std)}`})`
}

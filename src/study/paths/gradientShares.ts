// What the gradients along sampled paths come to: the share of each length, and the range of lengths that carries most.

import { UserError } from '../../core/errors.js'
import { randomStream } from '../../core/random.js'
import { log10 } from './lengths.js'
import type { LengthSamples } from './measure.js'

/** Lengths of paths, both ends included. */
export interface LengthRange {
  readonly first: number
  readonly last: number
}

export interface MeanGradient {
  readonly mean: number
  /** Of the mean: the sample's standard deviation / √n; 0 where every path was taken with every image. */
  readonly standardError: number
}

const meanOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length

export function meanGradient({ norms, complete }: LengthSamples): MeanGradient {
  const mean = meanOf(norms)
  if (complete || norms.length < 2) return { mean, standardError: complete ? 0 : Number.NaN }
  const squares = norms.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, standardError: Math.sqrt(squares / (norms.length - 1) / norms.length) }
}

/**
 * The share of each length: paths · mean gradient, over the sum of all. By logarithms, because counts of paths leave the
 * range of a number.
 * @throws UserError when no gradient arrives at all
 */
export function gradientShares(paths: readonly bigint[], means: readonly number[]): number[] {
  const logs = means.map((mean, k) => Math.log10(mean) + log10(paths[k]!))
  const most = Math.max(...logs)
  if (most === Number.NEGATIVE_INFINITY)
    throw new UserError('no gradient arrives at the input along any path that was sampled: the model cannot learn')
  const totals = logs.map((log) => 10 ** (log - most))
  const sum = totals.reduce((a, b) => a + b, 0)
  return totals.map((total) => total / sum)
}

/** The fewest neighbouring lengths that carry the share; of several equally few those that carry the most. */
export function gradientRange(shares: readonly number[], share: number): LengthRange {
  // Sums of shares are off by a rounding or two.
  const enough = share - 1e-9
  for (let count = 1; ; count++) {
    let [best, most] = [0, Number.NEGATIVE_INFINITY]
    for (let first = 0; first + count <= shares.length; first++) {
      const sum = shares.slice(first, first + count).reduce((a, b) => a + b, 0)
      if (sum > most) [best, most] = [first, sum]
    }
    if (most >= enough || count === shares.length) return { first: best, last: best + count - 1 }
  }
}

export interface RangeSpread {
  /** The middle 95 % of where the range begins and ends. */
  readonly first: readonly [low: number, high: number]
  readonly last: readonly [low: number, high: number]
  /** How many of the resamples gave the very range. */
  readonly same: number
}

/** Resamples of the bootstrap. */
const resamples = 1000

/**
 * How far the range may be off because paths and images were sampled: a bootstrap (Efron 1979), which draws as many
 * samples of each length, with replacement, and finds the range anew. Lengths that are complete stay as they are.
 */
export function rangeSpread(
  samples: readonly LengthSamples[],
  paths: readonly bigint[],
  share: number,
  seed: number,
): RangeSpread {
  const range = gradientRange(
    gradientShares(
      paths,
      samples.map(({ norms }) => meanOf(norms)),
    ),
    share,
  )
  const random = randomStream(seed, 'bootstrap')
  const ranges: LengthRange[] = []
  for (let i = 0; i < resamples; i++) {
    const means = samples.map(({ norms, complete }) => {
      if (complete) return meanOf(norms)
      let sum = 0
      for (let j = 0; j < norms.length; j++) sum += norms[random.below(norms.length)]!
      return sum / norms.length
    })
    // A resample of nothing but zeros has no range.
    if (means.some((mean) => mean > 0)) ranges.push(gradientRange(gradientShares(paths, means), share))
  }
  const middle = (ends: number[]): [number, number] => {
    const sorted = ends.sort((a, b) => a - b)
    return [sorted[Math.floor(0.025 * (sorted.length - 1))]!, sorted[Math.ceil(0.975 * (sorted.length - 1))]!]
  }
  return {
    first: middle(ranges.map(({ first }) => first)),
    last: middle(ranges.map(({ last }) => last)),
    same: ranges.filter(({ first, last }) => first === range.first && last === range.last).length / ranges.length,
  }
}

// Losses of numbers: squared, absolute, and what lies between.

import { scope, type Value } from '../graph/value.js'
import { abs, lessOrEqual, mul, reduceMean, sub, where } from '../ops/index.js'
import type { Loss } from './loss.js'

/** What a loss of regression compares. */
export interface RegressionOptions {
  /** The output that is compared. */
  readonly output?: string
  /** The target, of the type of the output; `targets` unless given. */
  readonly targets?: string
}

const mean = (x: Value): Value => reduceMean(x, undefined, { keepdims: 0 })

/** The mean over all elements of what is made of the difference d. Metrics: `mae`, mean |d|, and `r2`, from mean d². */
const ofDifference =
  (each: (difference: Value) => Value) =>
  ({ output, targets = 'targets' }: RegressionOptions = {}): Loss =>
  ({ output: outputOf, target }) => {
    const y = outputOf(output)
    const d = scope('difference', () => sub(y, target(targets, y.dtype, y.shape)))
    const square = scope('metrics.squared_error', () => mean(mul(d, d)))
    return {
      loss: scope('loss', () => mean(each(d))),
      metrics: [
        { name: 'mae', kind: 'mean', value: scope('metrics.mae', () => mean(abs(d))) },
        { name: 'r2', kind: 'r2', output: 'squared_error', target: targets, value: square },
      ],
    }
  }

/** Mean of d² over all elements, d = output − target (torch.nn.MSELoss). Metrics: `mae`, the mean of |d|, and `r2`. */
export const meanSquaredError = ofDifference((d) => mul(d, d))

/** Mean of |d| over all elements, d = output − target (torch.nn.L1Loss). Metrics as of {@link meanSquaredError}. */
export const meanAbsoluteError = ofDifference(abs)

/** What {@link huber} compares, and where it turns. */
export interface HuberOptions extends RegressionOptions {
  /** Where the square ends and the line begins; 1 unless given. */
  readonly delta?: number
}

/**
 * Mean over all elements of ½d² where |d| ≤ δ, else δ·(|d| − ½δ), d = output − target (Huber 1964; torch.nn.HuberLoss).
 * Metrics as of {@link meanSquaredError}.
 */
export const huber = ({ delta = 1, ...options }: HuberOptions = {}): Loss =>
  ofDifference((d) => {
    const size = abs(d)
    return where(lessOrEqual(size, delta), mul(mul(d, d), 0.5), mul(sub(size, delta / 2), delta))
  })(options)

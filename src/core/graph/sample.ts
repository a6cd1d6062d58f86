// Inputs on which tests try an operator. They stand beside its rules, so that no operator comes without them.

import type { RandomStream } from '../random.js'
import { sizeOf } from './shape.js'
import { type DType, type Numbers, numbers } from './tensor.js'

export interface SampleInput {
  readonly dtype: DType
  readonly shape: readonly number[]
  /** A constant of the graph (a shape, axes, indices) rather than data that flows in. */
  readonly constant: boolean
  draw(random: RandomStream): Numbers
}

export interface Sample<A> {
  readonly inputs: readonly (SampleInput | undefined)[]
  readonly attributes?: { readonly [K in keyof A]?: A[K] }
}

const drawn =
  (next: (random: RandomStream, index: number) => number, dtype: DType = 'float32') =>
  (...shape: number[]): SampleInput => ({
    dtype,
    shape,
    constant: false,
    draw: (random) =>
      numbers(
        dtype,
        shape,
        Float64Array.from({ length: Number(sizeOf(shape)) }, (_, i) => next(random, i)),
      ),
  })

/** Standard normal values. */
export const normal = drawn((random) => random.normal())
/** Values in [0.5, 2.5): for logarithms, roots, divisors, variances. */
export const positive = drawn((random) => 0.5 + 2 * random.uniform())
/** Values in [0, 1): probabilities. */
export const unit = drawn((random) => random.uniform())
/** Values of either sign, at least 0.2 from zero: for kinks at zero. */
export const awayFromZero = drawn((random) => (random.uniform() < 0.5 ? -1 : 1) * (0.2 + random.uniform()))

/** Values that differ from each other by at least 0.05, in random order: for maxima, whose gradient jumps at ties. */
export const distinct = (...shape: number[]): SampleInput => ({
  dtype: 'float32',
  shape,
  constant: false,
  draw(random) {
    const count = Number(sizeOf(shape))
    const order = Array.from({ length: count }, (_, i) => ({ i, key: random.uniform() }))
    order.sort((a, b) => a.key - b.key)
    return numbers(
      'float32',
      shape,
      Float64Array.from(order, ({ i }) => (i - count / 2) * 0.05),
    )
  },
})

/** Whole numbers in [low, high). */
export const integers = (low: number, high: number, ...shape: number[]): SampleInput =>
  drawn((random) => low + random.below(high - low), 'int64')(...shape)

export const booleans = drawn((random) => random.below(2), 'bool')

const fixedInput =
  (constant: boolean) =>
  (dtype: DType, shape: readonly number[], values: readonly number[]): SampleInput => ({
    dtype,
    shape,
    constant,
    draw: () => numbers(dtype, shape, values),
  })

/** Given values that flow in. */
export const fixed = fixedInput(false)
/** As `fixed`, a constant of the graph: for an operand that a small change takes out of what it is. */
export const held = fixedInput(true)
/** A one-dimensional int64 constant: axes, a shape, slice ends. */
export const ints = (...values: number[]): SampleInput => fixedInput(true)('int64', [values.length], values)
/** A scalar float32 constant. */
export const scalar = (value: number): SampleInput => fixedInput(true)('float32', [], [value])
/** A scalar int64 constant. */
export const scalarInt = (value: number): SampleInput => fixedInput(true)('int64', [], [value])

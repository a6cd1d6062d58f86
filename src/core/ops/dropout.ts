// Dropout (Srivastava et al. 2014): ONNX's operator, and the mask that training multiplies with.
//
// The mask is drawn in the graph from four words that are fed at each step, by arithmetic on small whole numbers in float32:
// exact wherever float32 is, so every runtime draws the same mask, and a run that is resumed draws what it would have drawn.
// (Bit operations came with opset 18 and few runtimes have them; WebGPU has no int64; ONNX's own random operators differ from
// runtime to runtime; masks as inputs would be as large as activations.)

import { composite } from '../graph/composite.js'
import { knownIn } from '../graph/dims.js'
import {
  float,
  int,
  ONNX_DOMAIN,
  type Operator,
  older,
  operator,
  optional,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { fixed, normal, scalar } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { apply, apply1, constant, GraphError, scope, type Value } from '../graph/value.js'
import { cumSum } from './cumulative.js'
import { add, cast, div, floor, greater, mul, sub, where } from './elementwise.js'
import { gather } from './indexing.js'
import { map } from './reference.js'
import { expandAs, reshape } from './shape.js'
import { slice } from './slice.js'

/** Of the random numbers of a runtime that drops by itself. */
const dropoutAttributes = { seed: optional('int') }

const isOff = (value: Value | undefined): boolean => knownIn(value)?.[0] === 0
/** Whether a Dropout of these operands never drops: not in training mode, or a ratio of 0. */
export const neverDrops = (ratio: Value | undefined, training: Value | undefined): boolean =>
  !training || isOff(training) || isOff(ratio)

/**
 * x as it is, in inference; training multiplies it with a mask. A second output says what was kept: everything. With
 * `training_mode` a runtime drops by numbers of its own, and the reference refuses to.
 */
export const Dropout: Operator<typeof dropoutAttributes> = operator({
  name: 'Dropout',
  domain: ONNX_DOMAIN,
  since: 13,
  // Until then the ratio is an attribute; the mask was of the type of x before it was bool.
  older: [
    older({
      until: 9,
      attributes: { ratio: float(0.5) },
      read([x], { ratio }) {
        const [y, mask] = apply(Dropout, [x, constant('float32', ratio)])
        return [y!, cast(mask!, x!.dtype)]
      },
    }),
    older({
      until: 11,
      attributes: { ratio: float(0.5) },
      read: ([x], { ratio }) => apply(Dropout, [x, constant('float32', ratio)]),
    }),
  ],
  attributes: dropoutAttributes,
  arity: [1, 3],
  requiredOutputs: 1,
  differentiable: { inputs: [0], outputs: [0] },
  infer([x]) {
    if (!isFloat(x!.dtype)) throw new GraphError('needs a floating-point input')
    return [x!, { dtype: 'bool', shape: x!.shape }]
  },
  gradient: {
    rule({ grad, inputs: [, ratio, training], outputs: [, mask] }) {
      if (neverDrops(ratio, training)) return [grad, undefined, undefined]
      // Outside of training the mask keeps everything, and nothing is scaled.
      const scale = div(1, sub(1, cast(ratio ?? constant(grad.dtype, 0.5), grad.dtype)))
      return [mul(grad, mul(cast(mask!, grad.dtype), where(training!, scale, 1))), undefined, undefined]
    },
  },
  evaluate([x, ratio, training]) {
    if (training?.data[0] && ratio?.data[0] !== 0)
      throw new GraphError(
        'what a runtime drops in training mode is random: feed a ratio of 0, or training_mode = false',
      )
    return [x!, map(x!, () => 1, 'bool')]
  },
  samples: [
    { inputs: [normal(2, 3), scalar(0.4)] },
    { inputs: [normal(4)] },
    { inputs: [normal(4), scalar(0), fixed('bool', [], [1])] },
    { inputs: [normal(4), scalar(0.3), fixed('bool', [], [0])] },
  ],
})
/**
 * Dropout (Srivastava et al. 2014): x as it is in inference.
 * @param ratio the part of the numbers that training drops; what stays is multiplied by 1/(1 − ratio)
 */
export const dropout = (x: Value, ratio = 0.5): Value => apply1(Dropout, [x, constant('float32', ratio)])

/** How many words a mask is drawn from, and the prime that they lie below. */
export const SEEDS = 4
export const SEED_BOUND = 509
/** Words have values below the prime, so that squares of sums of three stay below 2²⁴, up to where float32 counts. */
const P = SEED_BOUND

/** Odd constants without a pattern, below the prime: what keys are mixed from. */
const A = [101, 211, 307, 401, 449, 53] as const
const B = [359, 13, 229, 83, 467, 173] as const
const C = [17, 71, 139, 251, 353, 431] as const

/**
 * x mod P of whole numbers below 2^22: x − P·⌊(x + ½)/P⌋. The quotient lies 1/(2P) or more from a whole number, and its
 * rounding error is a third of that, so that the result is exact however a runtime rounds.
 */
const mod = (x: Value): Value => sub(x, mul(floor(mul(add(x, 0.5), 1 / P)), P))

/** Rounds of a Feistel network over pairs of words: (l, r) → (r, l + (r + key)² mod P), a permutation of pairs. */
function rounds(l: Value, r: Value, keys: readonly Value[]): readonly [Value, Value] {
  return keys.reduce<readonly [Value, Value]>(
    ([left, right], key) => {
      const sum = add(right, key)
      return [right, mod(add(mul(sum, sum), left))]
    },
    [l, r],
  )
}

const range = (size: number): number[] => Array.from({ length: size }, (_, i) => i)
interface Places {
  /** The place mod P, and ⌊place/P⌋ mod P where a place can be P or more. */
  readonly low: Value
  readonly high: Value | undefined
}

/** The places along an axis, from 0, in the rank of x; counted in the graph where the length is a symbol. */
function placesOf(x: Value, axis: number): Places {
  const length = x.shape[axis]!
  const axes = x.shape.map((_, other) => other)
  const shape = axes.map((other) => (other === axis ? -1 : 1))
  if (isKnown(length)) {
    const digits = (digit: (place: number) => number) => reshape(constant('float32', range(length).map(digit)), shape)
    return {
      low: digits((place) => place % P),
      high: length > P ? digits((place) => Math.floor(place / P) % P) : undefined,
    }
  }
  const others = axes.filter((other) => other !== axis)
  const zeros = others.map(() => 0)
  const edge =
    others.length === 0
      ? x
      : slice(
          x,
          others,
          zeros,
          others.map(() => 1),
        )
  const ones = expandAs(constant('float32', [1]), reshape(edge, [-1]))
  const places = reshape(sub(cumSum(ones, 0), 1), shape)
  const high = floor(mul(add(places, 0.5), 1 / P))
  return { low: sub(places, mul(high, P)), high: mod(high) }
}

/**
 * The two words of each place of x: those of its row, mixed with its place within the row. The last two axes go into the two
 * words, the others into the keys.
 */
function wordsOf(x: Value, seeds: Value, layer: number): readonly [Value, Value] {
  const word = (i: number) => gather(seeds, constant('int64', i))
  const [s0, s1, s2, s3] = [word(0), word(1), word(2), word(3)] as const
  const keys = range(6).map((i) => mod(add(add(mul(s2, A[i]!), mul(s3, B[i]!)), (C[i]! + layer * 29 * (i + 1)) % P)))
  const rows = placesOf(x, 0)
  const [a, b] = rounds(add(rows.low, s0), rows.high ? add(rows.high, s1) : s1, keys)
  const [c, d] = rounds(b, a, keys.slice(0, 4).reverse())
  const own = range(4).map((i) => add(add(mul(c, A[i]!), mul(d, B[i]!)), C[i]!))

  const within = x.shape
    .map((_, axis) => axis)
    .slice(1)
    .reverse()
    .map((axis) => placesOf(x, axis))
  const [across, down, ...others] = within.map(({ low }) => low)
  const rest = [...others, ...within.flatMap(({ high }) => (high ? [high] : []))]
  rest.forEach((digit, i) => {
    own[i % 4] = add(own[i % 4]!, mul(digit, A[(i + 1) % 6]!))
  })
  return rounds(across ? add(a, across) : a, down ? add(b, down) : b, own.map(mod))
}

/**
 * 0 for what is dropped, else 1/(1 − ratio), by (seeds, layer, place). The part that is dropped is the ratio to 1/509², and
 * what is kept is scaled by just that.
 */
export const DropoutMask = composite({
  name: 'DropoutMask',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x', 'seeds'],
    outputs: ['mask'],
    text:
      'What dropout multiplies x with: 0 with probability ratio, else 1/(1 − ratio). Drawn from the seeds, the layer and the place ' +
      'of each number by a Feistel network over pairs of whole numbers below 509, in float32: the same in every runtime.',
  },
  attributes: { ratio: float(0.5), layer: int(0) },
  arity: [2, 2],
  check([x, seeds], { ratio, layer }) {
    if (!isFloat(x!.dtype) || x!.shape.length === 0)
      throw new GraphError('needs a floating-point input of one axis or more')
    if (seeds!.dtype !== 'float32' || seeds!.shape.join() !== String(SEEDS))
      throw new GraphError(`needs seeds float32 [${SEEDS}]`)
    if (!(ratio >= 0 && ratio < 1)) throw new GraphError(`ratio ${ratio} must be in [0, 1)`)
    if (!(Number.isInteger(layer) && layer >= 0)) throw new GraphError(`layer ${layer} must be a whole number from 0`)
  },
  body([x, seeds], { ratio, layer }) {
    const [l, r] = scope('words', () => wordsOf(x!, seeds!, layer))
    const dropped = Math.round(ratio * P * P)
    const kept = greater(add(mul(l, P), r), dropped - 0.5)
    return [mul(cast(kept, x!.dtype), 1 / (1 - dropped / (P * P)))]
  },
  gradient: 'zero',
  samples: [
    { inputs: [normal(6, 5), fixed('float32', [4], [3, 141, 59, 265])], attributes: { ratio: 0.4 } },
    { inputs: [normal(3, 2, 4, 5), fixed('float32', [4], [0, 0, 0, 508])], attributes: { ratio: 0.25, layer: 3 } },
    { inputs: [normal(7), fixed('float32', [4], [508, 1, 2, 3])] },
  ],
})
/**
 * What dropout multiplies x with: 0 with probability `ratio`, else 1/(1 − ratio). Drawn from four seeds, which a step is
 * fed.
 */
export const dropoutMask = (x: Value, seeds: Value, ratio: number, layer: number): Value =>
  apply1(DropoutMask, [x, seeds], { ratio, layer })

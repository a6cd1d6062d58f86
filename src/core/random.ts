// Random streams by name: every draw of the product comes from (seed, name, counters), never from a hidden state.
// So the random state of a run is its seed and its position, and a resumed run draws what an uninterrupted one would.

import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus'

export interface RandomStream {
  /** A whole number in [0, bound). */
  below(bound: number): number
  /** A number in [0, 1) with 53 random bits. */
  uniform(): number
  /** A draw from the standard normal distribution. */
  normal(): number
}

/** The stream that belongs to this seed and these keys, from its beginning: `randomStream(1, 'augment', epoch, step)`. */
export function randomStream(seed: number, ...keys: readonly (string | number)[]): RandomStream {
  // A hash, because generators seeded with neighbouring numbers give correlated first draws.
  const digest = new DataView(sha256(utf8ToBytes(JSON.stringify([seed, ...keys]))).buffer)
  const generator = xoroshiro128plusFromState([0, 4, 8, 12].map((offset) => digest.getInt32(offset, true)))
  let spare: number | undefined
  const uniform = () => uniformFloat64(generator)
  return {
    below: (bound) => uniformInt(generator, 0, bound - 1),
    uniform,
    normal() {
      if (spare !== undefined) {
        const value = spare
        spare = undefined
        return value
      }
      // Box–Muller: two uniform draws make two independent normal ones; 1 − u keeps the logarithm finite.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
      const angle = 2 * Math.PI * uniform()
      spare = radius * Math.sin(angle)
      return radius * Math.cos(angle)
    },
  }
}

/** A permutation of 0 … count − 1 (Fisher–Yates). */
export function permutation(count: number, random: RandomStream): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const swapped = order[i]!
    order[i] = order[j]!
    order[j] = swapped
  }
  return order
}

// Drawing paths: which edge a path takes in each block, 0 for the shortcut, i for its i-th function.
import type { RandomStream } from '../../core/random.js'

export type Path = Uint16Array

/** `count` of 0 … total − 1, each once, all such choices alike likely; in no particular order. */
export function choose(total: number, count: number, random: RandomStream): number[] {
  const all = Array.from({ length: total }, (_, i) => i)
  // The first steps of a Fisher–Yates shuffle.
  for (let i = 0; i < count; i++) {
    const j = i + random.below(total - i)
    const swapped = all[i]!
    all[i] = all[j]!
    all[j] = swapped
  }
  return all.slice(0, count)
}

/** A path through exactly `length` functions, all of them alike likely. */
export function drawPath(blocks: number, r: number, length: number, random: RandomStream): Path {
  const path = new Uint16Array(blocks)
  for (const block of choose(blocks, length, random)) path[block] = 1 + random.below(r)
  return path
}

/** All choices of `count` of 0 … total − 1, each in rising order. */
export function* choices(total: number, count: number, from = 0): Generator<readonly number[]> {
  if (count === 0) return yield []
  for (let first = from; first <= total - count; first++)
    for (const rest of choices(total, count - 1, first + 1)) yield [first, ...rest]
}

/** All paths through exactly `length` functions: C(blocks, length) · r^length. */
export function* allPaths(blocks: number, r: number, length: number): Generator<Path> {
  for (const chosen of choices(blocks, length)) {
    for (let code = 0; code < r ** length; code++) {
      const path = new Uint16Array(blocks)
      // The digits of `code` to the base r say which function.
      let rest = code
      for (const block of chosen) {
        path[block] = 1 + (rest % r)
        rest = Math.floor(rest / r)
      }
      yield path
    }
  }
}

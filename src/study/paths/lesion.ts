// Removing residual functions from a trained network: what its error is without each of them, and without several
// (Veit et al. 2016, sections 4.1 and 4.2, with single functions in the place of whole blocks).

import { randomStream } from '../../core/random.js'
import { type Spread, spreadOf } from '../../driver/seeds/statistics.js'
import { pathLengths } from './lengths.js'
import type { Watch } from './measure.js'
import { signTest, wilcoxonTest } from './pairedTests.js'
import { choices, choose } from './sampling.js'

/** Functions by number, block by block. */
export type Removed = readonly number[]

export interface LesionOptions extends Watch {
  readonly functions: number
  /** How many functions to remove at once, each 1 to `functions`. */
  readonly counts: readonly number[]
  /** Random choices of each count; all of them where there are no more. */
  readonly samples: number
  readonly seed: number
  readonly labels: Uint8Array
  /** The classes that the network without these functions takes the images for; undefined when it was stopped. */
  readonly classify: (removed: Removed) => Promise<Uint8Array | undefined>
}

export interface CountOutcome {
  readonly count: number
  /** Wrong images of each choice. */
  readonly wrong: readonly number[]
  /** Every choice there is, so that nothing was left to chance. */
  readonly complete: boolean
}

export interface LesionOutcome {
  /** Wrong images of the whole network. */
  readonly wrong: number
  readonly counts: readonly CountOutcome[]
  /** Without function i: which images are wrong, 1 for each that is. */
  readonly alone: readonly Uint8Array[]
}

/** About ten counts, from one function to all, closer where there are few. */
export const defaultCounts = (functions: number): number[] => {
  if (functions <= 10) return Array.from({ length: functions }, (_, i) => i + 1)
  return [...new Set(Array.from({ length: 10 }, (_, i) => Math.round(functions ** (i / 9))))]
}

/** The choices of so many functions that are tried. */
function choicesOf(count: number, { functions, samples, seed }: LesionOptions): { all: Removed[]; complete: boolean } {
  // C(functions, count), as paths of that length through blocks of one function.
  const complete = count === 1 || pathLengths(1, functions, count)[count]! <= BigInt(samples)
  if (complete) return { all: [...choices(functions, count)], complete }
  const random = randomStream(seed, 'lesions', count)
  return { all: Array.from({ length: samples }, () => choose(functions, count, random)), complete }
}

export const countWrong = (wrong: Uint8Array): number => wrong.reduce((sum, value) => sum + value, 0)

/** @returns undefined when it was stopped */
export async function lesion(options: LesionOptions): Promise<LesionOutcome | undefined> {
  const { functions, counts, labels, classify, signal, onProgress } = options
  const several = counts.filter((count) => count > 1).map((count) => ({ count, ...choicesOf(count, options) }))
  const total = 1 + functions + several.reduce((sum, { all }) => sum + all.length, 0)
  let done = 0
  const wrongWithout = async (removed: Removed): Promise<Uint8Array | undefined> => {
    onProgress?.(done, total)
    const guesses = signal?.aborted ? undefined : await classify(removed)
    onProgress?.(++done, total)
    return guesses?.map((guess, i) => Number(guess !== labels[i]))
  }
  const whole = await wrongWithout([])
  if (!whole) return undefined
  const alone: Uint8Array[] = []
  for (let i = 0; i < functions; i++) {
    const wrong = await wrongWithout([i])
    if (!wrong) return undefined
    alone.push(wrong)
  }
  const outcomes = new Map<number, CountOutcome>()
  if (counts.includes(1)) outcomes.set(1, { count: 1, wrong: alone.map(countWrong), complete: true })
  for (const { count, all, complete } of several) {
    const wrong: number[] = []
    for (const removed of all) {
      const found = await wrongWithout(removed)
      if (!found) return undefined
      wrong.push(countWrong(found))
    }
    outcomes.set(count, { count, wrong, complete })
  }
  return { wrong: countWrong(whole), counts: counts.map((count) => outcomes.get(count)!), alone }
}

/** A block's full functions against its ReLU-dropped ones. */
export interface BlockPair {
  readonly block: number
  /** Images that are wrong more than in the whole network, the mean over the functions of the kind. */
  readonly full: number
  readonly dropped: number
  /** McNemar's test on the images that only one of the two lesions gets wrong; null with several functions of a kind. */
  readonly p: number | null
}

export interface Comparison {
  readonly pairs: readonly BlockPair[]
  readonly full: Spread
  readonly dropped: Spread
  /** Of full − dropped. */
  readonly difference: Spread
  /** Blocks in which removing the full functions costs more, and in which it costs less. */
  readonly more: number
  readonly less: number
  readonly signTest: number
  readonly wilcoxon: number
}

/**
 * Whether functions without some of their ReLUs contribute differently: within each block, what removing a full function
 * costs against what removing a dropped one costs.
 * @param masks of the functions of each block
 * @returns undefined where all functions are of one kind
 */
export function compareKinds(masks: readonly string[], { wrong, alone }: LesionOutcome): Comparison | undefined {
  const r = masks.length
  const isFull = masks.map((mask) => !mask.includes('0'))
  const kinds = [true, false].map((kind) => isFull.flatMap((full, i) => (full === kind ? [i] : [])))
  const [full, dropped] = kinds as [number[], number[]]
  if (full.length === 0 || dropped.length === 0) return undefined
  const pairs = Array.from({ length: alone.length / r }, (_, block): BlockPair => {
    const without = (i: number) => alone[block * r + i]!
    const added = (kind: readonly number[]) =>
      kind.reduce((sum, i) => sum + countWrong(without(i)) - wrong, 0) / kind.length
    const single = full.length === 1 && dropped.length === 1
    return {
      block,
      full: added(full),
      dropped: added(dropped),
      p: single ? mcNemar(without(full[0]!), without(dropped[0]!)) : null,
    }
  })
  const differences = pairs.map((pair) => pair.full - pair.dropped)
  const [more, less] = [differences.filter((d) => d > 0).length, differences.filter((d) => d < 0).length]
  return {
    pairs,
    full: spreadOf(pairs.map((pair) => pair.full))!,
    dropped: spreadOf(pairs.map((pair) => pair.dropped))!,
    difference: spreadOf(differences)!,
    more,
    less,
    signTest: signTest(more, less),
    wilcoxon: wilcoxonTest(differences),
  }
}

function mcNemar(a: Uint8Array, b: Uint8Array): number {
  const onlyWrong = (x: Uint8Array, y: Uint8Array) => x.reduce((sum, wrong, i) => sum + (wrong > y[i]! ? 1 : 0), 0)
  return signTest(onlyWrong(a, b), onlyWrong(b, a))
}

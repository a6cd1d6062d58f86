// What is made of the numbers: shares and ranges against closed forms and all ranges, tests for pairs against all outcomes,
// drawn paths against all paths.
import { describe, expect, it } from 'vitest'
import { randomStream } from '../../../src/core/random.js'
import { gradientRange, gradientShares, meanGradient, rangeSpread } from '../../../src/study/paths/gradientShares.js'
import { pathLengths } from '../../../src/study/paths/lengths.js'
import type { LengthSamples } from '../../../src/study/paths/measure.js'
import { signTest, wilcoxonTest } from '../../../src/study/paths/pairedTests.js'
import { allPaths, choices, choose, drawPath } from '../../../src/study/paths/sampling.js'
import { everyPath, lengthOf } from './support.js'

describe('paths', () => {
  it.each([
    [3, 2],
    [4, 1],
    [2, 3],
  ])('of %i blocks with %i functions are each listed once, by length', (blocks, r) => {
    const every = everyPath(blocks, 1 + r)
    for (let length = 0; length <= blocks; length++) {
      const expected = every.filter((path) => lengthOf(path) === length).map(String)
      expect([...allPaths(blocks, r, length)].map(String).sort()).toEqual(expected.sort())
    }
  })

  it('are drawn with equal chances', () => {
    const random = randomStream(5, 'drawn')
    const counts = new Map<string, number>()
    const draws = 6000
    for (let i = 0; i < draws; i++) {
      const path = String(drawPath(3, 2, 2, random))
      counts.set(path, (counts.get(path) ?? 0) + 1)
    }
    expect([...counts.keys()].sort()).toEqual([...allPaths(3, 2, 2)].map(String).sort())
    // Each of the 12 is a twelfth of the draws, within four standard deviations.
    const deviation = Math.sqrt(draws * (1 / 12) * (11 / 12))
    for (const count of counts.values()) expect(Math.abs(count - draws / 12)).toBeLessThan(4 * deviation)
  })

  it('choose so many of a whole, each once', () => {
    expect([...choices(4, 2)].map(String)).toEqual(['0,1', '0,2', '0,3', '1,2', '1,3', '2,3'])
    expect([...choices(3, 0)]).toEqual([[]])
    const random = randomStream(5, 'chosen')
    for (let count = 0; count <= 5; count++) {
      const chosen = choose(5, count, random)
      expect(new Set(chosen).size).toBe(count)
      expect(chosen.every((value) => value >= 0 && value < 5)).toBe(true)
    }
  })
})

describe('shares of the gradient', () => {
  // With a gradient of q^k along each path the total is (1 + r·q)^b, and the shares are a binomial distribution.
  it.each([
    [3, 2, 0.5],
    [54, 1, 0.4],
    [700, 2, 0.1],
  ])('of %i blocks, r = %i, are binomial when each function scales it by %f', (blocks, r, q) => {
    const means = Array.from({ length: blocks + 1 }, (_, k) => q ** k)
    const shares = gradientShares(pathLengths(r, blocks), means)
    const p = (r * q) / (1 + r * q)
    let expected = (1 - p) ** blocks
    for (let k = 0; k <= blocks; k++) {
      // Where 0.1^k has left the range of a number nothing is left of the share either.
      expect(Math.abs(shares[k]! - expected)).toBeLessThan(1e-10)
      expected *= ((blocks - k) / (k + 1)) * (p / (1 - p))
    }
  })

  it('need some gradient', () => {
    expect(() => gradientShares([1n, 2n], [0, 0])).toThrow(
      /^no gradient arrives at the input along any path that was sampled: the model cannot learn$/,
    )
    expect(gradientShares([1n, 2n, 1n], [0, 10, 20])).toEqual([0, expect.closeTo(0.5), expect.closeTo(0.5)])
  })

  it('lie in the narrowest range that has enough', () => {
    const random = randomStream(9, 'ranges')
    for (let i = 0; i < 200; i++) {
      const values = Array.from({ length: 1 + random.below(8) }, () => random.uniform())
      const total = values.reduce((a, b) => a + b, 0)
      const shares = values.map((value) => value / total)
      const wanted = random.uniform()
      const sum = (first: number, last: number) => shares.slice(first, last + 1).reduce((a, b) => a + b, 0)
      const enough = shares.flatMap((_, first) =>
        shares.flatMap((__, last) => (last >= first && sum(first, last) >= wanted ? [{ first, last }] : [])),
      )
      const fewest = Math.min(...enough.map(({ first, last }) => last - first))
      const narrow = enough.filter(({ first, last }) => last - first === fewest)
      const most = Math.max(...narrow.map(({ first, last }) => sum(first, last)))
      expect(gradientRange(shares, wanted)).toEqual(narrow.find(({ first, last }) => sum(first, last) === most))
    }
    expect(gradientRange([0.1, 0.2, 0.7], 1)).toEqual({ first: 0, last: 2 })
  })

  const samples = (norms: number[], complete = false): LengthSamples => ({ norms: Float64Array.from(norms), complete })

  it('come with the standard error of each mean', () => {
    // The deviations from 4 are −2, 0, 2: variance 4, and √(4 / 3) for the mean of three.
    expect(meanGradient(samples([2, 4, 6]))).toEqual({ mean: 4, standardError: Math.sqrt(4 / 3) })
    expect(meanGradient(samples([2, 4, 6], true))).toEqual({ mean: 4, standardError: 0 })
    expect(meanGradient(samples([2])).standardError).toBeNaN()
  })

  it('have a spread that is that of the resampled means', () => {
    const paths = [1n, 1n]
    expect(rangeSpread([samples([1], true), samples([30], true)], paths, 0.9, 1)).toEqual({
      first: [1, 1],
      last: [1, 1],
      same: 1,
    })
    // The mean of a resample of [1, 39] is 1, 20 or 39 with chances ¼, ½, ¼; only 1 leaves both lengths equal.
    const { first, last, same } = rangeSpread([samples([1], true), samples([1, 39])], paths, 0.9, 1)
    expect([first, last]).toEqual([
      [0, 1],
      [1, 1],
    ])
    // Within four standard deviations of ¾ in 1000 resamples.
    expect(Math.abs(same - 0.75)).toBeLessThan(4 * Math.sqrt((0.75 * 0.25) / 1000))
    // A resample without any gradient is left out.
    expect(rangeSpread([samples([0], true), samples([0, 5])], paths, 0.9, 1)).toEqual({
      first: [1, 1],
      last: [1, 1],
      same: 1,
    })
  })
})

/** All 2^n ways to give n differences their signs; how many of them are at least as far out, counted on both sides. */
function bruteForce(differences: readonly number[], statistic: (signed: readonly number[]) => number): number {
  const sizes = differences.filter((difference) => difference !== 0).map(Math.abs)
  const all = Array.from({ length: 2 ** sizes.length }, (_, code) =>
    statistic(sizes.map((size, i) => ((code >> i) & 1 ? size : -size))),
  )
  const own = statistic(differences.filter((difference) => difference !== 0))
  const share = (far: (value: number) => boolean) => all.filter(far).length / all.length
  return Math.min(
    1,
    2 *
      Math.min(
        share((value) => value <= own),
        share((value) => value >= own),
      ),
  )
}

/** The sum of the ranks of the positive ones; a rank is one more than the number of smaller, and half that of equal others. */
const rankSum = (signed: readonly number[]): number =>
  signed.reduce((sum, value) => {
    if (value < 0) return sum
    const smaller = signed.filter((other) => Math.abs(other) < Math.abs(value)).length
    const equal = signed.filter((other) => Math.abs(other) === Math.abs(value)).length
    return sum + smaller + (equal + 1) / 2
  }, 0)

describe('tests for pairs', () => {
  const random = randomStream(11, 'pairs')
  const drawn = Array.from({ length: 60 }, () =>
    // Few different sizes: many ties, and zeros.
    Array.from({ length: random.below(11) }, () => random.below(9) - 3),
  )

  it('Wilcoxon’s is the count of all ways to give signs, ties and zeros included', () => {
    for (const differences of drawn)
      expect(wilcoxonTest(differences), `${differences}`).toBeCloseTo(bruteForce(differences, rankSum), 12)
    // Table A.4 of Hollander & Wolfe: P(W ≥ 14) = 0.063 for n = 5; all five positive make 2 / 32.
    expect(wilcoxonTest([1, 2, 3, 4, 5])).toBe(2 / 32)
    expect(wilcoxonTest([0, 0])).toBe(1)
  })

  it('the sign test is the count of all signs', () => {
    const positives = (signed: readonly number[]) => signed.filter((value) => value > 0).length
    for (const differences of drawn) {
      const [more, less] = [positives(differences), positives(differences.map((value) => -value))]
      expect(signTest(more, less)).toBeCloseTo(bruteForce(differences, positives), 12)
    }
    expect(signTest(0, 0)).toBe(1)
    expect(signTest(3, 3)).toBe(1)
  })

  it('the sign test is exact for thousands', () => {
    expect(signTest(0, 900) / 2 ** -899).toBeCloseTo(1, 9)
    const [n, fewer] = [5000n, 2400n]
    let [term, sum] = [1n, 1n]
    for (let i = 1n; i <= fewer; i++) {
      term = (term * (n - i + 1n)) / i
      sum += term
    }
    // 2 · sum / 2^5000, with 18 digits behind the point.
    const exact = Number((2n * sum * 10n ** 18n) / 2n ** n) / 1e18
    expect(signTest(2600, 2400) / exact).toBeCloseTo(1, 9)
  })
})

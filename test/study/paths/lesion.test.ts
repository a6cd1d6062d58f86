// Which functions are removed, how often, and what is concluded: with classifiers whose errors are known.
import { describe, expect, it } from 'vitest'
import { compareKinds, defaultCounts, type LesionOptions, lesion } from '../../../src/study/paths/lesion.js'
import { choices } from '../../../src/study/paths/sampling.js'

const labels = Uint8Array.from({ length: 40 }, (_, i) => i % 3)

/** Without functions of these costs so many of the first images are wrong. */
function fake(costs: readonly number[], options: Partial<LesionOptions> = {}) {
  const asked: string[] = []
  const wrong = (removed: readonly number[]) => 2 + removed.reduce((sum, i) => sum + costs[i]!, 0)
  return {
    asked,
    wrong,
    outcome: lesion({
      functions: costs.length,
      counts: [1, 2, 3, 4],
      samples: 5,
      seed: 1,
      labels,
      classify: async (removed) => {
        asked.push(String([...removed].sort()))
        return labels.map((label, i) => (i < wrong(removed) ? label + 1 : label))
      },
      ...options,
    }),
  }
}

describe('lesions', () => {
  const costs = [5, 1, 0, 3]

  it('are each function alone, all choices where there are few, and random ones', async () => {
    const { asked, wrong, outcome } = fake(costs)
    const result = (await outcome)!
    expect(result.wrong).toBe(2)
    expect(result.alone.map((image) => image.reduce((a, b) => a + b))).toEqual([7, 3, 2, 5])
    expect(result.counts.map(({ count, wrong: found, complete }) => [count, found.length, complete])).toEqual([
      [1, 4, true],
      // C(4, 2) = 6 are more than 5.
      [2, 5, false],
      [3, 4, true],
      [4, 1, true],
    ])
    expect(result.counts[2]!.wrong).toEqual([...choices(4, 3)].map(wrong))
    const pairs = asked.slice(5, 10)
    expect(pairs.map((pair) => wrong(pair.split(',').map(Number)))).toEqual(result.counts[1]!.wrong)
    for (const pair of pairs) expect(pair).toMatch(/^[0-3],[0-3]$/)
    expect(new Set(pairs).size).toBeGreaterThan(1)
    const other = fake(costs, { seed: 2 })
    await other.outcome
    expect(other.asked).not.toEqual(asked)
  })

  it('stop when they are told to', async () => {
    const stopping = new AbortController()
    const onProgress = (done: number) => {
      if (done === 3) stopping.abort()
    }
    const { asked, outcome } = fake(costs, { signal: stopping.signal, onProgress })
    expect(await outcome).toBeUndefined()
    expect(asked).toEqual(['', '0', '1'])
  })

  it('are of one function up to all, about ten counts', () => {
    expect(defaultCounts(6)).toEqual([1, 2, 3, 4, 5, 6])
    expect(defaultCounts(54)).toEqual(
      [1, 2, 4, 6, 9, 14, 22, 35, 54].filter((count) => defaultCounts(54).includes(count)),
    )
    for (const functions of [11, 54, 1000]) {
      const counts = defaultCounts(functions)
      expect([counts[0], counts.at(-1)]).toEqual([1, functions])
      expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b))
    }
  })
})

describe('full against ReLU-dropped functions', () => {
  it('are compared within each block', async () => {
    // Two blocks of 11 and 01: 5 against 1, 0 against 3.
    const result = compareKinds(['11', '01'], (await fake([5, 1, 0, 3]).outcome)!)!
    expect(result.pairs).toEqual([
      // The first lesion gets four images wrong that the second gets right: 2 / 2^4.
      { block: 0, full: 5, dropped: 1, p: expect.closeTo(2 / 16) },
      { block: 1, full: 0, dropped: 3, p: expect.closeTo(2 / 8) },
    ])
    expect([result.more, result.less]).toEqual([1, 1])
    expect(result.difference).toEqual({ median: 0.5, mean: 0.5, std: Math.sqrt(24.5) })
    expect([result.signTest, result.wilcoxon]).toEqual([1, 1])
  })

  it('of several functions a kind are compared by their means', async () => {
    const result = compareKinds(['11', '01', '01'], (await fake([5, 1, 0, 3, 4, 2]).outcome)!)!
    expect(result.pairs).toEqual([
      { block: 0, full: 5, dropped: 0.5, p: null },
      { block: 1, full: 3, dropped: 3, p: null },
    ])
    expect([result.more, result.less]).toEqual([1, 0])
  })

  it('are not compared where all are of one kind', async () => {
    const outcome = (await fake([5, 1, 0, 3]).outcome)!
    expect(compareKinds(['11', '11'], outcome)).toBeUndefined()
    expect(compareKinds(['01'], outcome)).toBeUndefined()
  })
})

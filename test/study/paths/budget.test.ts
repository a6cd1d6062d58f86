// What a budget allows: against a search through all networks, against built networks, against what the paper claims.
import { describe, expect, it } from 'vitest'
import { base } from '../../../graphs/entry.js'
import { type Architecture, residualNetwork } from '../../../graphs/residual.js'
import { zoo } from '../../../graphs/zoo.js'
import { parameterCount } from '../../../src/core/model/cost.js'
import {
  type Cost,
  configurationsWithin,
  costFrom,
  costOf,
  edgeCost,
  ranks,
  unitsFor,
} from '../../../src/study/paths/budget.js'
import { effectivePaths, pathLengths } from '../../../src/study/paths/lengths.js'
import { multiplicity } from '../../../src/study/paths/multiplicity.js'

type Shape = Partial<Pick<Architecture, 'block' | 'widths' | 'classes' | 'shortcut' | 'activation'>>
const parametersOf =
  ({ block = 'basic', ...shape }: Shape) =>
  (r: number, n: number): number => {
    const functions = new Array<string>(r).fill(block === 'basic' ? '11' : '111')
    const { length } = shape.widths ?? base.widths
    const blocks = new Array<number>(length).fill(n)
    return parameterCount(residualNetwork({ ...base, name: 'network', block, blocks, functions, ...shape }))
  }
const basic = costFrom(parametersOf({}), 3)
const bottleneck = costFrom(parametersOf({ block: 'bottleneck' }), 3)

describe('parameters by r and n', () => {
  const shapes: readonly Shape[] = [
    {},
    { block: 'bottleneck' },
    { widths: [4, 8], classes: 100 },
    { block: 'bottleneck', widths: [8, 8, 24, 24] },
    { shortcut: 'padding', activation: 'post' },
  ]
  it.each(shapes)('are those of the built network: %o', (shape) => {
    const count = parametersOf(shape)
    const cost = costFrom(count, shape.widths?.length ?? 3)
    for (const [r, n] of [
      [1, 1],
      [1, 3],
      [3, 1],
      [5, 4],
      [2, 9],
      [11, 2],
    ] as const) {
      expect(costOf(cost, r, n)).toBe(count(r, n))
    }
  })

  it('are those of Table 1', () => {
    expect([costOf(basic, 1, 18), costOf(basic, 2, 9), costOf(basic, 10, 2), costOf(basic, 23, 1)]).toEqual([
      1_730_554, 1_707_418, 1_716_762, 1_707_642,
    ])
    expect([costOf(bottleneck, 1, 18), costOf(bottleneck, 2, 9)]).toEqual([1_703_290, 1_691_802])
  })
})

/** Every network within the limit, found by trying all. */
const tried = (cost: Cost, limit: number, most: number) => {
  const fits = (r: number, n: number) => costOf(cost, r, n) <= limit
  const numbers = Array.from({ length: most }, (_, i) => i + 1)
  return numbers.flatMap((r) =>
    numbers
      .filter((n) => fits(r, n))
      .map((n) => ({
        r,
        blocks: n * cost.blocksPerUnit,
        cost: costOf(cost, r, n),
        full: !fits(r + 1, n) && !fits(r, n + 1),
      })),
  )
}

describe('configurationsWithin', () => {
  it('finds what a search through all networks finds', () => {
    for (let edges = 1; edges <= 60; edges++) {
      expect(configurationsWithin(edgeCost, edges)).toEqual(tried(edgeCost, edges, 60))
    }
    for (const limit of [77_881, 77_882, 175_097, 175_098, 1_707_418, 1_749_999]) {
      expect(configurationsWithin(basic, limit)).toEqual(tried(basic, limit, 30))
      expect(configurationsWithin(bottleneck, limit)).toEqual(tried(bottleneck, limit, 30))
    }
  })

  it('leaves out no network with more paths of some length than each full one', () => {
    for (const [cost, limit] of [
      [edgeCost, 54],
      [basic, 1_749_999],
    ] as const) {
      const found = configurationsWithin(cost, limit).map((network) => ({
        ...network,
        lengths: pathLengths(network.r, network.blocks),
      }))
      const full = found.filter((network) => network.full)
      for (const { lengths } of found) {
        expect(full.some((other) => lengths.every((count, k) => count <= (other.lengths[k] ?? 0n)))).toBe(true)
      }
    }
  })

  it('units use the limit up to the last', () => {
    for (const r of [1, 2.5, 7]) {
      expect(costOf(basic, r, unitsFor(basic, 1_700_000, r))).toBeCloseTo(1_700_000, 6)
      expect(costOf(edgeCost, r, unitsFor(edgeCost, 54, r))).toBeCloseTo(54, 10)
    }
  })
})

it('equal values share a rank, the largest has 1', () => {
  expect(ranks([5n, 9n, 5n, 2n ** 70n, 1n])).toEqual([3, 2, 3, 1, 5])
  expect(ranks([])).toEqual([])
})

/** The networks with the most paths within a limit. */
const best = (cost: Cost, limit: number) => {
  const full = configurationsWithin(cost, limit).filter((network) => network.full)
  const places = ranks(full.map(({ r, blocks }) => multiplicity(r, blocks)))
  return full.filter((_, i) => places[i] === 1)
}
const bestFunctions = (cost: Cost, limit: number) => best(cost, limit).map(({ r }) => r)

describe('what the paper says of edges', () => {
  it('appendix A: "the multiplicities at k = 2 and k = 4 are equal, so that it is largest at k = 3"', () => {
    for (const edges of [4, 12, 60, 120]) expect(multiplicity(1, edges / 2)).toBe(multiplicity(3, edges / 4))
    for (let edges = 3; edges <= 600; edges += 3) expect(bestFunctions(edgeCost, edges)).toEqual([2])
  })

  it('holds for every number of edges above 32; for some below, what three edges a block leave unused decides', () => {
    const others: Record<number, number[]> = {}
    for (let edges = 2; edges <= 700; edges++) {
      const winners = bestFunctions(edgeCost, edges)
      if (winners.join() !== '2') others[edges] = winners
    }
    expect(others).toEqual({
      2: [1],
      4: [1, 3],
      5: [4],
      8: [1, 3],
      10: [1],
      11: [1],
      14: [1],
      16: [1, 3],
      17: [1, 3],
      20: [1, 3],
      26: [1],
      32: [1, 3],
    })
  })

  it('section 1: "with the edges constant, more residual functions even lessen multiplicity": from r = 2 on', () => {
    // 60 edges are whole blocks of 2, 3, 4, 5, 6, 10 and 12.
    const counts = [2, 3, 4, 5, 6, 10, 12].map((k) => multiplicity(k - 1, 60 / k))
    expect(counts.map((count, i) => i > 0 && count < counts[i - 1]!)).toEqual([
      false,
      // 2^30 < 3^20: this one gains.
      false,
      true,
      true,
      true,
      true,
      true,
    ])
  })
})

describe('what the paper says of parameters', () => {
  it('Table 1: the networks that it compares are those that fill 1.7M', () => {
    const filled = configurationsWithin(basic, 1_749_999).filter((network) => network.full)
    expect(filled.map(({ r, blocks }) => [r, 2 * blocks + 2])).toEqual([
      [1, 110],
      [2, 56],
      [3, 38],
      [4, 26],
      [6, 20],
      [10, 14],
      [23, 8],
    ])
    const { architecture } = zoo.find((entry) => entry.architecture.name === 'multiresnet30x4')!
    // 14 blocks in three stages are none with equal stages, and in ours they do not round to 1.7M.
    expect(parameterCount(residualNetwork(architecture))).toBe(1_781_338)
  })

  it('section 4.3: "with all parameters constant, multiplicity is largest where r is 1, the ordinary ResNet"', () => {
    expect(best(basic, 1_749_999)).toMatchObject([{ r: 1, blocks: 54, cost: 1_730_554 }])
    expect(best(bottleneck, 1_749_999)).toMatchObject([{ r: 1, blocks: 54, cost: 1_703_290 }])
  })

  /** Budgets up to 5M at which another r has as many paths: from the first, up to below the second. */
  const exceptions = (cost: Cost) => {
    const sizes = configurationsWithin(cost, 5_000_000).map((network) => network.cost)
    const steps = [...new Set(sizes)].sort((a, b) => a - b)
    return steps.flatMap((limit, i) => {
      const winners = bestFunctions(cost, limit)
      return winners.join() === '1' ? [] : [[limit, steps[i + 1]!, winners]]
    })
  }
  it('holds for every budget from 370,000 (basic) and 405,000 (bottleneck) up to 5M', () => {
    // Where the next n of r = 1 does not fit yet.
    expect(exceptions(basic)).toEqual([
      [151_962, 175_098, [2]],
      [226_042, 272_314, [1, 3]],
      [346_394, 369_530, [2]],
    ])
    expect(exceptions(bottleneck)).toEqual([
      [208_026, 219_514, [2]],
      [289_274, 312_250, [1, 3]],
      [393_498, 404_986, [2]],
    ])
  })

  it('within 1.7M, r = 1 has the most paths of every length from three functions on', () => {
    const filled = configurationsWithin(basic, 1_749_999).filter((network) => network.full)
    const [first, ...others] = filled.map(({ r, blocks }) => pathLengths(r, blocks))
    for (let k = 3; k < first!.length; k++) {
      for (const lengths of others) expect(first![k]! > (lengths[k] ?? 0n)).toBe(true)
    }
    // Through two functions: 1431 paths, and 3 · 23² with 23 functions a block.
    expect(first![2]).toBe(1431n)
    expect(others.at(-1)![2]).toBe(1587n)
  })

  it('within 1.7M, r = 1 has the most effective paths of every range that reaches 6 layers', () => {
    const filled = configurationsWithin(basic, 1_749_999).filter((network) => network.full)
    const [first, ...others] = filled.map(({ r, blocks }) => pathLengths(r, blocks))
    for (let from = 0; from <= 108; from++) {
      for (let to = Math.max(6, from + 1); to <= 108; to++) {
        const most = effectivePaths(first!, { from, to }, 2)
        for (const lengths of others) expect(effectivePaths(lengths, { from, to }, 2) < most).toBe(true)
      }
    }
  })

  it('within as many edges as Pre-ResNet-110 has, r = 3 has the most paths of 10 to 34 layers', () => {
    const filled = configurationsWithin(edgeCost, 108).filter((network) => network.full)
    const counts = filled.map(({ r, blocks }) => effectivePaths(pathLengths(r, blocks), { from: 10, to: 34 }, 2))
    expect(filled[ranks(counts).indexOf(1)]).toMatchObject({ r: 3, blocks: 27 })
  })
})

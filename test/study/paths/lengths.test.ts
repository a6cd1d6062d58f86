// Path lengths: against closed forms, against enumeration of every path, against what the papers say.
import { describe, expect, it } from 'vitest'
import { base } from '../../../graphs/entry.js'
import { type Architecture, residualNetwork } from '../../../graphs/residual.js'
import type { Graph } from '../../../src/core/graph/graph.js'
import { effectivePaths, lengthsWithin, pathLengths } from '../../../src/study/paths/lengths.js'
import { multiplicity } from '../../../src/study/paths/multiplicity.js'

/** Row b of Pascal's triangle, by additions alone. */
function pascal(b: number): bigint[] {
  let row = [1n]
  for (let i = 0; i < b; i++) row = [1n, ...row.slice(1).map((value, k) => value + row[k]!), 1n]
  return row
}
const sum = (counts: readonly bigint[]) => counts.reduce((total, count) => total + count, 0n)

describe('closed forms', () => {
  const pairs = [1, 2, 3, 4, 10, 23].flatMap((r) => [0, 1, 2, 3, 14, 27, 54, 333].map((b) => [r, b] as const))

  it.each(pairs)('r = %i, b = %i: C(b, k) · r^k, and (1 + r)^b in all', (r, b) => {
    const lengths = pathLengths(r, b)
    expect(lengths).toEqual(pascal(b).map((choices, k) => choices * BigInt(r) ** BigInt(k)))
    expect(sum(lengths)).toBe(multiplicity(r, b))
    expect(pathLengths(r, b, 3)).toEqual(lengths.slice(0, 4))
    // The mean of Bin(b, r / (1 + r)) is b · r / (1 + r), here times (1 + r)^(b + 1).
    const functions = sum(lengths.map((count, k) => count * BigInt(k)))
    expect(functions * BigInt(1 + r)).toBe(BigInt(b * r) * multiplicity(r, b))
  })

  it('a range from 0 to the whole network has every path, and ranges side by side add up', () => {
    const lengths = pathLengths(2, 27)
    const effective = (from: number, to: number) => effectivePaths(lengths, { from, to }, 2)
    expect(effective(0, 54)).toBe(3n ** 27n)
    for (let cut = 0; cut < 54; cut++) expect(effective(0, cut) + effective(cut + 1, 54)).toBe(3n ** 27n)
  })
})

/** Lengths of all paths, by going through every choice of every block: 0 is the shortcut, 1 … r the functions. */
function everyChoice(r: number, blocks: number): number[] {
  if (blocks === 0) return [0]
  const shorter = everyChoice(r, blocks - 1)
  return Array.from({ length: r + 1 }, (_, choice) => shorter.map((length) => length + Number(choice > 0))).flat()
}

describe('every path of tiny networks', () => {
  const pairs = [1, 2, 3, 4].flatMap((r) => [0, 1, 2, 3, 4, 5].map((b) => [r, b] as const))

  it.each(pairs)('r = %i, b = %i: lengths, and effective paths of every range for 2 and 3 layers', (r, b) => {
    const found = everyChoice(r, b)
    const lengths = pathLengths(r, b)
    expect(lengths).toEqual(lengths.map((_, k) => BigInt(found.filter((length) => length === k).length)))
    for (const layers of [2, 3]) {
      for (let from = 0; from <= b * layers; from++) {
        for (let to = from; to <= b * layers; to++) {
          const inside = found.filter((length) => from <= length * layers && length * layers <= to)
          expect(effectivePaths(lengths, { from, to }, layers)).toBe(BigInt(inside.length))
        }
      }
    }
  })

  it('a range between two lengths has none', () => {
    expect(lengthsWithin({ from: 4, to: 5 }, 3)).toEqual({ first: 2, last: 1 })
    expect(effectivePaths(pathLengths(2, 5), { from: 4, to: 5 }, 3)).toBe(0n)
  })

  // Not the counts alone: the network that is built has these paths.
  const networks: readonly Pick<Architecture, 'block' | 'blocks' | 'functions'>[] = [
    { block: 'basic', blocks: [1, 1, 1], functions: ['11', '01'] },
    { block: 'basic', blocks: [2, 1, 2], functions: ['11', '01', '10'] },
    { block: 'bottleneck', blocks: [1, 2, 1], functions: ['111', '001'] },
    { block: 'basic', blocks: [2, 2, 2], functions: ['11'] },
  ]
  it.each(networks)('$block, blocks $blocks, functions $functions: from the images to the logits', (network) => {
    const layersPerFunction = network.block === 'basic' ? 2 : 3
    const blocks = network.blocks.reduce((total, count) => total + count, 0)
    const found = walk(residualNetwork({ ...base, name: 'tiny', ...network, widths: [4, 4, 8] }))
    const lengths = pathLengths(network.functions.length, blocks)
    expect(found).toHaveLength(Number(sum(lengths)))
    expect(lengths).toEqual(
      lengths.map((_, k) => BigInt(found.filter((layers) => layers === k * layersPerFunction).length)),
    )
  })
})

/** The convolutions in residual functions on each path through a graph, from its logits back to its images. */
function walk(graph: Graph): number[] {
  const found: number[] = []
  const waiting = [{ value: graph.outputs.get('logits')!, layers: 0 }]
  for (let step = waiting.pop(); step; step = waiting.pop()) {
    const { origin } = step.value
    if (origin.kind === 'input') found.push(step.layers)
    if (origin.kind !== 'node') continue
    const { operator, inputs, scope } = origin.node
    const counts = operator.name === 'Conv' && /\.f\d+\./.test(scope)
    for (const value of inputs) if (value) waiting.push({ value, layers: step.layers + Number(counts) })
  }
  return found
}

describe('what the papers say', () => {
  it('section 4.2: 6n + 2 and 9n + 2 layers are all layers of the longest path but the first and the last', () => {
    // RDM-ResNet-56 and -83 with n = 9 have 27 blocks; functions of 2 and 3 layers.
    expect(pathLengths(2, 27).length - 1).toBe((56 - 2) / 2)
    expect(pathLengths(2, 27).length - 1).toBe((83 - 2) / 3)
  })

  it('appendix B: e_p = (1 + r)^b · P(n1/α ≤ k ≤ n2/α), k ~ Bin(b, r / (1 + r))', () => {
    for (const [r, b, layers, from, to] of [
      [2, 27, 2, 10, 34],
      [2, 27, 3, 10, 34],
      [23, 3, 2, 1, 4],
    ] as const) {
      const p = r / (1 + r)
      const probability = pascal(b)
        .map((choices, k) => ({ k, p: Number(choices) * p ** k * (1 - p) ** (b - k) }))
        .filter(({ k }) => k >= from / layers && k <= to / layers)
        .reduce((total, term) => total + term.p, 0)
      const paths = effectivePaths(pathLengths(r, b), { from, to }, layers)
      expect(Number(paths) / ((1 + r) ** b * probability)).toBeCloseTo(1, 12)
    }
  })

  it('Veit et al. 2016: "most of the gradient in a residual network with 110 layers comes from paths that are only 10-34 layers deep"', () => {
    // Those are 5 to 17 of 54 functions: less than half a percent of all 2^54 paths.
    const paths = effectivePaths(pathLengths(1, 54), { from: 10, to: 34 }, 2)
    expect(paths).toBe(sum(pascal(54).slice(5, 18)))
    expect(Number((paths * 10_000n) / 2n ** 54n)).toBe(45)
  })
})

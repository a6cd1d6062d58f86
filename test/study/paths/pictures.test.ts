// Pictures of counted paths: what is drawn, and where.
import { expect, it } from 'vitest'
import { configurationsWithin, edgeCost } from '../../../src/study/paths/budget.js'
import { effectivePaths, pathLengths } from '../../../src/study/paths/lengths.js'
import { multiplicity } from '../../../src/study/paths/multiplicity.js'
import { type BudgetPicture, budgetSvg, lengthsSvg } from '../../../src/study/paths/pictures.js'

/** All networks that fill so many edges, as the command gives them to the picture. */
const picture = (limit: number, range?: { from: number; to: number }): BudgetPicture => ({
  title: `basic blocks within ${limit} edges`,
  subtitle: 'most paths: r = 2 <38>',
  cost: edgeCost,
  limit,
  networks: configurationsWithin(edgeCost, limit)
    .filter(({ full }) => full)
    .map((network) => ({
      ...network,
      multiplicity: multiplicity(network.r, network.blocks),
      effectivePaths: range ? effectivePaths(pathLengths(network.r, network.blocks), range, 2) : null,
    })),
  range: range && '10 to 34 layers',
})

interface Point {
  readonly x: number
  readonly y: number
}
const numbers = (text: string) => [...text.matchAll(/-?\d+(?:\.\d+)?/g)].map(([value]) => Number(value))
/** What is drawn in the chart itself (not of its axes and legend) in one colour. */
const drawn = (svg: string, colour: string) =>
  [...svg.matchAll(/<(?:path|polyline|polygon) [^>]*>/g)]
    .map(String)
    .filter((tag) => tag.includes('ecmeta_ssr_type="chart"') && tag.includes(`"${colour}"`))
const colours = { paths: '#c1272d', effective: '#2b5c8a' }

/** Centres of the networks' circles. */
const circles = (svg: string): Point[] =>
  drawn(svg, colours.paths).map((tag) => {
    const [, , , , x, y] = numbers(/matrix\(([^)]*)\)/.exec(tag)![1]!)
    return { x: x!, y: y! }
  })
/** Pixels of the axes: k = 1 … 64 and 10⁰ … 10¹⁰ for 54 edges. */
const pixel = (k: number, count: number): Point => ({
  x: 80 + (680 * Math.log2(k)) / 6,
  y: 440 - 33 * Math.log10(count),
})

it('puts the networks where their edges and paths are, and Appendix A’s curve highest at k = e', () => {
  const svg = budgetSvg(picture(54))
  const found = circles(svg)
  const expected = picture(54).networks.map(({ r, multiplicity: count }) => pixel(1 + r, Number(count)))
  expect(found).toHaveLength(12)
  found.forEach(({ x, y }, i) => {
    expect(x).toBeCloseTo(expected[i]!.x, 1)
    expect(y).toBeCloseTo(expected[i]!.y, 1)
  })
  const values = numbers(/<path d="([^"]*)"[^>]* stroke="#8a9ab0"/.exec(svg)![1]!)
  const points = Array.from({ length: values.length / 2 }, (_, i) => ({ x: values[2 * i]!, y: values[2 * i + 1]! }))
  const top = pixel(Math.E, Math.E ** (54 / Math.E))
  expect(Math.min(...points.map(({ y }) => y))).toBeCloseTo(top.y, 0)
  const highest = points.filter(({ y }) => y < top.y + 0.11)
  expect(highest.some(({ x }) => Math.abs(x - top.x) < 2)).toBe(true)
  // Nowhere is a network above it.
  for (const { x, y } of found) {
    const near = points.reduce((a, b) => (Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a))
    expect(y).toBeGreaterThan(near.y - 2)
  }
  for (const text of ['k = e', 'k^(54 / k)', '10¹⁰', 'r=53', 'most paths: r = 2 &lt;38&gt;'])
    expect(svg).toContain(text)
})

it('draws effective paths where there are any, and labels a network once', () => {
  const svg = budgetSvg(picture(54, { from: 10, to: 34 }))
  const { networks } = picture(54, { from: 10, to: 34 })
  const without = networks.filter(({ effectivePaths: count }) => count === 0n)
  // Networks of one to four blocks have no path of ten layers.
  expect(without.map(({ blocks }) => blocks)).toEqual([4, 3, 2, 1])
  expect(drawn(svg, colours.effective)).toHaveLength(networks.length - without.length)
  for (const { r } of networks) expect(svg.split(`>r=${r}<`)).toHaveLength(2)
  expect(svg).toContain('effective paths, of 10 to 34 layers')
})

it('can be drawn of one network, and of 199 with counts of 1500 digits', () => {
  expect(circles(budgetSvg(picture(2)))).toHaveLength(1)
  const large = picture(10_000)
  const svg = budgetSvg(large)
  expect(circles(svg)).toHaveLength(large.networks.length)
  expect(svg).not.toMatch(/NaN|Infinity/)
})

it('shows path lengths with the range shaded, the same every time', () => {
  const lengths = pathLengths(2, 27)
  const draw = () =>
    lengthsSvg({
      title: 'rdm56: 3^27 paths',
      lengths,
      layersPerFunction: 2,
      within: { first: 5, last: 17, text: '10 to 34 layers: 41.08 %' },
    })
  const svg = draw()
  expect(draw()).toBe(svg)
  for (const text of ['rdm56: 3^27 paths', 'each 2 layers', 'of 10 to 34 layers: 41.08 % of all (shaded)', '10¹⁴'])
    expect(svg).toContain(text)
  const shading = numbers(/ points="([^"]*)"/.exec(drawn(svg, colours.paths)[0]!)![1]!)
  const x = (length: number) => 80 + (680 * length) / 27
  expect(Math.min(...shading.filter((_, i) => i % 2 === 0))).toBeCloseTo(x(4.5), 0)
  expect(Math.max(...shading.filter((_, i) => i % 2 === 0))).toBeCloseTo(x(17.5), 0)
  const plain = lengthsSvg({ title: 'none', lengths, layersPerFunction: 2 })
  expect(drawn(plain, colours.paths)).toHaveLength(0)
})

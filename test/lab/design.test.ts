// Designs and the address: what is written is read as the same network, and what is shown of it are the network's own numbers.
import { describe, expect, it } from 'vitest'
import { architectureFrom } from '../../graphs/describe.js'
import { residualNetwork } from '../../graphs/residual.js'
import { zoo } from '../../graphs/zoo.js'
import { multiplyAdds, parameterCount } from '../../src/core/model/cost.js'
import {
  architectureOf,
  type Design,
  designFrom,
  firstDesign,
  nameOf,
  queryOf,
  withBlock,
  withRelu,
} from '../../src/lab/design/design.js'
import { factsOf } from '../../src/lab/design/facts.js'
import { formatRange, rangeFrom } from '../../src/lab/design/range.js'

/** Designs far from each other: each field at least twice. */
const designs: readonly Design[] = [
  { ...firstDesign, blocks: [1, 1, 1], functions: ['11', '01', '10'] },
  { ...firstDesign, blocks: [2, 1], widths: [8, 24], imageSize: 28, classes: 7 },
  { ...firstDesign, functions: ['11', '11', '11', '01', '01'], classes: 100 },
  { ...firstDesign, functions: ['11', '01', '11', '01', '11'], classes: 100, pixels: 'cifar10' },
  { ...withBlock(firstDesign, 'bottleneck'), activation: 'post', shortcut: 'padding', stochasticDepth: 0.25 },
  { ...firstDesign, blocks: [3], widths: [16], pixels: 'cifar100', stochasticDepth: 1 },
]

describe('the address of a design', () => {
  it('is read as the design that it was written for', () => {
    for (const design of designs) expect(designFrom(queryOf(design))).toEqual(design)
  })

  it('of a network of the zoo is its name, also with other classes', () => {
    for (const { architecture } of zoo) {
      const design = designFrom(`arch=${architecture.name}`)
      expect(queryOf(design)).toBe(`arch=${architecture.name}`)
      expect(architectureOf(design)).toEqual(architecture)
      expect(queryOf({ ...design, classes: 100, pixels: 'cifar100', imageSize: 64 })).toBe(
        `arch=${architecture.name}&classes=100&image-size=64`,
      )
    }
  })

  it('takes every option of rdm-export, in the words that it has there', () => {
    const { architecture } = architectureFrom({ depth: 20, r: 6, reluDrop: 4 })
    const design = designFrom('depth=20&r=6&relu-drop=4')
    expect(architectureOf(design)).toEqual(architecture)
    expect(queryOf(design)).toBe('block=basic&depth=20&r=6&relu-drop=4')
  })

  it('that says no network is refused in a line', () => {
    const said = (query: string) => {
      try {
        designFrom(query)
      } catch (error) {
        return String(error)
      }
      return 'nothing'
    }
    expect(said('depth=57')).toMatch(/depth 57 is not possible .* nearest are 56 and 62; or .* with blocks/)
    expect(said('arch=rdm57')).toMatch(/no network 'rdm57'; nearest are .*rdm56/)
    expect(said('depth=8&functions=12')).toMatch(/functions=12 in the address: Expected masks/)
    expect(said('depth=8&classes=1')).toMatch(/classes=1 in the address: Expected a whole number from 2 to 256/)
    expect(said('depth=8&image-size=30')).toMatch(/images of 30 cannot be halved 2 times/)
  })

  it('carries the effective range where it is not the usual one', () => {
    expect(rangeFrom('3:9')).toEqual({ from: 3, to: 9 })
    expect(formatRange({ from: 3, to: 9 })).toBe('3:9')
    expect(formatRange(rangeFrom(null))).toBeUndefined()
    expect(() => rangeFrom('9:3')).toThrow('range=9:3 is no range of layers')
  })
})

describe('a change of a design', () => {
  it('flips one ReLU, and twice none', () => {
    const flipped = withRelu(firstDesign, 1, 0)
    expect(flipped.functions).toEqual(['11', '11'])
    expect(withRelu(flipped, 1, 0)).toEqual(firstDesign)
    expect(nameOf(flipped)).toBeUndefined()
  })

  it("from basic to bottleneck makes the paper's other network", () => {
    expect(nameOf(withBlock(firstDesign, 'bottleneck'))).toBe('rdm83')
    expect(withBlock(withBlock(firstDesign, 'bottleneck'), 'basic')).toEqual(firstDesign)
  })
})

describe('the numbers of a design', () => {
  it('are those of its network', () => {
    for (const design of designs) {
      const architecture = architectureOf(design)
      const network = residualNetwork(architecture)
      const facts = factsOf(architecture, { from: 0, to: 6 })
      expect(facts.parameters).toBe(parameterCount(network))
      expect(facts.multiplyAdds).toBe(multiplyAdds(network))
    }
  })

  it('are counts of paths, as going through each of them counts', () => {
    const architecture = architectureOf(designs[0]!)
    // Each of 3 blocks has a shortcut, of no layers, and three functions of two.
    const edges = [0, 2, 2, 2]
    const paths = edges.flatMap((a) => edges.flatMap((b) => edges.map((c) => a + b + c)))
    const facts = factsOf(architecture, { from: 3, to: 5 })
    expect(facts.multiplicity).toBe(String(paths.length))
    expect(facts.meanLayers).toBeCloseTo(paths.reduce((a, b) => a + b) / paths.length, 12)
    for (const { layers, share, paths: count } of facts.lengths) {
      const ofLength = paths.filter((length) => length === layers).length
      expect(count).toBe(String(ofLength))
      expect(share).toBeCloseTo(ofLength / paths.length, 12)
    }
    const effective = paths.filter((length) => length >= 3 && length <= 5).length
    expect(facts.effective.paths).toBe(String(effective))
    expect(facts.effective.share).toBeCloseTo(effective / paths.length, 12)
  })

  it('beyond ten digits are rounded, with a power', () => {
    expect(factsOf(architectureOf(firstDesign), { from: 10, to: 34 }).multiplicity).toBe('7.63 × 10¹²')
  })
})

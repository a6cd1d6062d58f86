// The mask of dropout: the same bits in float64 and in every form that ONNX Runtime runs, and bits that are as good as thrown.
import { describe, expect, it } from 'vitest'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant, input } from '../../../src/core/graph/value.js'
import { dropoutMask } from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { ortCuda } from '../../../src/driver/targets/ort-cuda/index.js'
import { modelOf, openModel } from '../../support/runtime.js'

type Seeds = readonly [number, number, number, number]

/** Four words as the driver draws them: a stream for each step. */
function seedsOf(step: number): Seeds {
  const random = randomStream(11, 'step', step)
  const word = () => random.below(509)
  return [word(), word(), word(), word()]
}

/** What is kept, 1 or 0 a place. */
function kept(shape: readonly number[], seeds: Seeds, { ratio = 0.5, layer = 0 } = {}): Uint8Array {
  const x = constant('float32', new Float64Array(shape.reduce((a, b) => a * b, 1)), shape)
  const [mask] = evaluateValues([dropoutMask(x, constant('float32', seeds), ratio, layer)], new Map())
  return Uint8Array.from(mask!.data, (value) => Number(value !== 0))
}

describe('in ONNX Runtime the bits are those of float64', () => {
  // Sizes on both sides of 509, below which words lie; a batch that is a symbol and one that is a number.
  const shapes = [[7], [1200], [5, 700], [700, 3], [3, 4, 5, 6], [2, 520, 3], [2, 3, 2, 2, 4]]
  const cases = shapes.flatMap((shape, i) =>
    [true, false].map((isSymbolic) => {
      const ratio = [0.1, 0.5, 0.75][i % 3]!
      return { title: `[${shape}]${isSymbolic ? ', batch as a symbol' : ''}, ratio ${ratio}`, shape, isSymbolic, ratio }
    }),
  )
  it.each(cases)('$title', async ({ shape, isSymbolic, ratio }) => {
    const x = input('x', 'float32', isSymbolic ? ['batch', ...shape.slice(1)] : shape)
    const seeds = input('seeds', 'float32', [4])
    const source = graph('masks', [x, seeds], {
      first: dropoutMask(x, seeds, ratio, 0),
      second: dropoutMask(x, seeds, ratio, 17),
    })
    const size = shape.reduce((a, b) => a * b, 1)
    const forms: readonly (readonly [Graph, 'functions' | 'inline', 'standard' | 'basic'])[] = [
      [source, 'functions', 'standard'],
      [source, 'inline', 'standard'],
      [source, 'inline', 'basic'],
      [ortCuda().lower(source), 'inline', 'standard'],
    ]
    for (const [written, form, level] of forms) {
      const model = await openModel(modelOf(written, form, level))
      for (const words of [seedsOf(1), [0, 0, 0, 0], [508, 508, 508, 508]]) {
        const feeds = new Map([
          ['x', numbers('float32', shape, new Float64Array(size))],
          ['seeds', numbers('float32', [4], words)],
        ])
        const expected = evaluate(source, feeds)
        const actual = await model.run(feeds)
        for (const name of ['first', 'second'])
          expect(actual.get(name)!.data, name).toEqual(Float64Array.from(expected.get(name)!.data, Math.fround))
      }
      await model.close()
    }
  })

  it('and stay what they are: a run of an earlier version goes on as it would have', () => {
    expect(kept([4, 16], [3, 141, 59, 265], { ratio: 0.4, layer: 2 }).join('')).toBe(
      '1101111101101000100001110011011111111011011011001110011111100111',
    )
  })
})

/** Σ (observed − expected)²/expected. */
const chiSquare = (observed: readonly number[], expected: readonly number[]): number =>
  observed.reduce((sum, count, i) => sum + (count - expected[i]!) ** 2 / expected[i]!, 0)

/** Where chi-square of so many degrees of freedom does not lie once in a million times (Wilson and Hilferty 1931). */
const bound = (degrees: number): number => {
  const part = 2 / (9 * degrees)
  return degrees * (1 - part + 4.9 * Math.sqrt(part)) ** 3
}

/** Chi-square of the four cases of two bits, if each is 1 with probability p and they know nothing of each other. */
function independence(a: Uint8Array, b: Uint8Array, p: number): number {
  const counts = [0, 0, 0, 0]
  a.forEach((bit, i) => {
    counts[2 * bit + b[i]!]!++
  })
  const rates = [(1 - p) ** 2, (1 - p) * p, p * (1 - p), p * p]
  return chiSquare(
    counts,
    rates.map((rate) => rate * a.length),
  )
}

describe('bits are as good as thrown', () => {
  const STEPS = 16
  const [ROWS, COLUMNS] = [32, 128]
  const masks = (options: { ratio: number; layer?: number }, shape: readonly number[] = [ROWS, COLUMNS]) =>
    Array.from({ length: STEPS }, (_, step) => kept(shape, seedsOf(step), options))
  const joined = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]))

  it.each([0.1, 0.5, 0.9])('of ratio %f: so many are kept, over all, at each place and in each step', (ratio) => {
    const [all, p] = [masks({ ratio }), 1 - ratio]
    const ones = (bits: Iterable<number>) => [...bits].reduce((sum, bit) => sum + bit, 0)
    const total = STEPS * ROWS * COLUMNS
    expect(Math.abs(ones(joined(all)) - total * p) / Math.sqrt(total * p * ratio)).toBeLessThan(4.9)
    /** Of counts out of so many each. */
    const ofCounts = (counts: readonly number[], of: number) =>
      counts.reduce((sum, count) => sum + (count - of * p) ** 2 / (of * p * ratio), 0)
    const bySteps = all.map(ones)
    expect(ofCounts(bySteps, ROWS * COLUMNS)).toBeLessThan(bound(STEPS))
    const byColumns = Array.from({ length: COLUMNS }, (_, c) =>
      ones(all.flatMap((mask) => [...mask].filter((__, i) => i % COLUMNS === c))),
    )
    expect(ofCounts(byColumns, STEPS * ROWS)).toBeLessThan(bound(COLUMNS))
    const byRows = Array.from({ length: ROWS }, (_, r) =>
      ones(all.flatMap((mask) => [...mask.slice(r * COLUMNS, (r + 1) * COLUMNS)])),
    )
    expect(ofCounts(byRows, STEPS * COLUMNS)).toBeLessThan(bound(ROWS))
  })

  it.each([
    [[32, 128], 128],
    [[32, 128], 1],
    [[4, 8, 16, 8], 1],
    [[4, 8, 16, 8], 8],
    [[4, 8, 16, 8], 128],
    [[4, 8, 16, 8], 1024],
    [[2, 1030], 1],
    [[2, 1030], 509],
  ])('of %j, %i apart: they know nothing of each other', (shape, distance) => {
    for (const ratio of [0.5, 0.2]) {
      const all = masks({ ratio }, shape)
      const first = joined(all.map((mask) => mask.slice(0, -distance)))
      const second = joined(all.map((mask) => mask.slice(distance)))
      expect(independence(first, second, 1 - ratio)).toBeLessThan(bound(3))
    }
  })

  it('of two layers', () => {
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 7],
    ]) {
      const [first, second] = [a, b].map((layer) => joined(masks({ ratio: 0.5, layer: layer! })))
      expect(independence(first!, second!, 0.5)).toBeLessThan(bound(3))
    }
  })

  it('of steps one after the other, and of seeds that differ in one word by one', () => {
    const all = masks({ ratio: 0.5 })
    expect(independence(joined(all.slice(1)), joined(all.slice(0, -1)), 0.5)).toBeLessThan(bound(3))
    for (const word of [0, 1, 2, 3]) {
      const moved = all.map((_, step) => {
        const words = [...seedsOf(step)] as [number, number, number, number]
        words[word] = (words[word]! + 1) % 509
        return kept([ROWS, COLUMNS], words)
      })
      expect(independence(joined(all), joined(moved), 0.5), `word ${word}`).toBeLessThan(bound(3))
    }
  })

  it('eight in a row make all 256 patterns alike', () => {
    const bits = joined(masks({ ratio: 0.5 }))
    const counts = new Array<number>(256).fill(0)
    for (let i = 0; i < bits.length; i += 8) counts[bits.slice(i, i + 8).reduce((sum, bit) => 2 * sum + bit, 0)]!++
    const each = bits.length / 8 / 256
    expect(chiSquare(counts, new Array<number>(256).fill(each))).toBeLessThan(bound(255))
  })
})

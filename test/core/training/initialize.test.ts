// First values of parameters: distributions, and numbers that hang on seed and name alone.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { type Numbers, type Tensor, widen } from '../../../src/core/graph/tensor.js'
import { type Initializer, input, parameter, type Value } from '../../../src/core/graph/value.js'
import { add } from '../../../src/core/ops/index.js'
import { initializationGraph, initialize } from '../../../src/core/training/initialize.js'

const sum = (name: string, parameters: readonly Value[]) => {
  const x = input('x', 'float32', [])
  return graph(name, [x], { y: parameters.reduce(add, x) })
}
const make = (name: string, initializer: Initializer) => parameter(name, [50, 60], initializer)
const w = make('w', { kind: 'normal', std: 0.25 })
const u = make('u', { kind: 'uniform', bound: 0.5 })
const c = make('c', { kind: 'constant', value: 0.75 })
const all = sum('all', [w, u, c])

const wide = (values: ReadonlyMap<string, Tensor>) => new Map([...values].map(([name, value]) => [name, widen(value)]))

function moments({ data }: Numbers) {
  const mean = data.reduce((total, value) => total + value, 0) / data.length
  return { mean, std: Math.sqrt(data.reduce((total, value) => total + (value - mean) ** 2, 0) / data.length) }
}

describe.each([
  ['drawn here', (seed: number) => wide(initialize([all], seed))],
  [
    'drawn by the graph',
    (seed: number) => {
      const { graph: drawing, initial } = initializationGraph('all', [all], seed)
      const outputs = evaluate(drawing, new Map())
      return new Map([...initial].map(([name, output]) => [name, outputs.get(output)!]))
    },
  ],
])('%s', (_, draw) => {
  it('normal, uniform and constant have their moments', () => {
    const values = draw(1)
    expect([...values.keys()].sort()).toEqual(['c', 'u', 'w'])
    const normal = moments(values.get('w')!)
    expect(normal.mean).toBeCloseTo(0, 1)
    expect(normal.std / 0.25).toBeCloseTo(1, 1)
    const uniform = moments(values.get('u')!)
    expect(uniform.mean).toBeCloseTo(0, 1)
    expect(uniform.std / (0.5 / Math.sqrt(3))).toBeCloseTo(1, 1)
    expect(Math.max(...values.get('u')!.data.map(Math.abs))).toBeLessThanOrEqual(0.5)
    expect(new Set(values.get('c')!.data)).toEqual(new Set([0.75]))
  })

  it('the same seed draws the same, another one something else', () => {
    expect(draw(3).get('w')!.data).toEqual(draw(3).get('w')!.data)
    expect(draw(4).get('w')!.data).not.toEqual(draw(3).get('w')!.data)
  })
})

describe('initialize', () => {
  it('gives a parameter the same numbers whatever stands beside it', () => {
    const alone = initialize([sum('alone', [w])], 8).get('w')!
    expect(alone.data).toEqual(initialize([sum('other', [c, u, w])], 8).get('w')!.data)
  })

  it('draws parameters of one shape differently', () => {
    const other = make('w2', { kind: 'normal', std: 0.25 })
    const values = initialize([sum('two', [w, other])], 8)
    expect(values.get('w')!.data).not.toEqual(values.get('w2')!.data)
  })

  it('gives each random operator of the graph a seed of its own that a float32 holds', () => {
    const other = make('w2', { kind: 'normal', std: 0.25 })
    const { graph: drawing } = initializationGraph('two', [sum('two', [w, other, u])], 123_456)
    const seeds = drawing.nodes.flatMap(({ attributes }) => (attributes.seed === undefined ? [] : [attributes.seed]))
    expect(new Set(seeds).size).toBe(3)
    for (const seed of seeds) expect(Math.fround(seed as number)).toBe(seed)
  })
})

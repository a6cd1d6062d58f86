// Derivatives in the names and the layout of CasADi, against its own numbers.
import { describe, expect, it } from 'vitest'
import { derivativeGraph, exportDerivative } from '../../../src/core/derive/derivative.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { nameOf } from '../../../src/core/graph/value.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { expectClose, openModel } from '../../support/runtime.js'
import { fileOf, json, pointOf } from './points.js'

describe('in the layout of CasADi', () => {
  const { inputs, results } = json('derivatives/casadi')

  it.each(['vjp', 'jvp', 'hvp'] as const)(
    '%s has its names, their order and its numbers, for several directions',
    async (product) => {
      const network = readNetwork(fileOf('derivatives/casadi'))
      const bytes = exportDerivative(network, { product, layout: 'casadi' })
      const derived = derivativeGraph(network, { product, layout: 'casadi' })
      expect(derived.inputs.map(nameOf)).toEqual(results[product].inputs)
      expect([...derived.outputs.keys()]).toEqual(Object.keys(results[product].outputs))
      const feeds = new Map(
        derived.inputs.map((value) => {
          const { shape, data } = inputs[nameOf(value)]
          // CasADi's vectors are columns.
          return [
            nameOf(value),
            numbers('float32', value.shape.length === shape.length ? shape : (value.shape as number[]), data),
          ]
        }),
      )
      const model = await openModel(bytes)
      const outputs = await model.run(feeds)
      await model.close()
      for (const [name, data] of Object.entries<readonly number[]>(results[product].outputs)) {
        const { shape } = outputs.get(name)!
        expect(shape).toHaveLength(2)
        expectClose(outputs.get(name)!, numbers('float32', shape, data), name, 2e-5)
      }
    },
  )

  it('all numbers of more than two axes are one column, and each column is one direction', () => {
    const shapes = { series: [2, 6, 12] }
    const network = readNetwork(fileOf('networks/causal_attention.script'), { shapes })
    const { along, seedsOf } = pointOf(network, shapes, {}, [])
    const wide = numbers(
      'float32',
      [144, 2],
      seedsOf(new Map([['x', numbers('float32', [144, 2], new Float64Array(288))]])).get('x')!.data,
    )
    const column = (k: number) =>
      numbers(
        'float32',
        [2, 6, 12],
        wide.data.filter((_, i) => i % 2 === k),
      )
    const run = (product: 'vjp' | 'jvp', layout: 'named' | 'casadi', name: string, value: Numbers) =>
      evaluate(derivativeGraph(network, { product, layout }), new Map([...along(0), [name, value]]))
    for (const [product, casadi, seed, result] of [
      ['vjp', ['adj_y', 'adj_series'], 'seed.y', 'grad.series'],
      ['jvp', ['fwd_series', 'fwd_y'], 'tangent.series', 'tangent.y'],
    ] as const) {
      const found = run(product, 'casadi', casadi[0], wide).get(casadi[1])!
      expect(found.shape).toEqual([144, 2])
      for (const k of [0, 1]) {
        const expected = run(product, 'named', seed, column(k)).get(result)!
        const own = { ...expected, data: found.data.filter((_, i) => i % 2 === k) }
        expectClose(own, expected, `${product}, direction ${k}`, 1e-12)
      }
    }
  })

  it('counts on where a file has derivatives already', () => {
    const first = exportDerivative(readNetwork(fileOf('derivatives/casadi')), {
      of: ['y'],
      wrt: ['x'],
      layout: 'casadi',
    })
    const network = readNetwork(first, { shapes: { adj_y: [2, 4] } })
    const again = derivativeGraph(network, { layout: 'casadi', wrt: ['x'] })
    const names = ['x', 'b', 't', 'adj_y', 'adj2_adj_x', 'adj2_x']
    expect([...again.inputs.map(nameOf), ...again.outputs.keys()]).toEqual(names)
    expect(again.inputs.at(-1)!.shape).toEqual([2, '3*nadj2'])
  })

  it('needs all sizes', () => {
    const network = readNetwork(fileOf('networks/mlp.script'))
    expect(() => derivativeGraph(network, { layout: 'casadi' })).toThrow(
      /^'y' is float32\[batch, \d+\]; CasADi needs all its sizes: say those of the inputs, as in --shape image=1,3,224,224$/,
    )
  })
})

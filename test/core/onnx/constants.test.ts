// Constants of a written file: in a graph equal ones are one initializer, and 0 and −0 are not equal; in a function each use has
// its own node.
import { expect, it } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant, input } from '../../../src/core/graph/value.js'
import { decodeModel, tensorFromProto } from '../../../src/core/onnx/tensors.js'
import { add, div, mul, reduceSum } from '../../../src/core/ops/index.js'
import { fileOf, networks } from '../../support/models.js'
import { modelOf, openModel } from '../../support/runtime.js'

const x = input('x', 'float32', [2])
const namesOf = (model: Uint8Array) => decodeModel(model).graph!.initializer!.map(({ name }) => name)

it('merges equal constants and keeps 0 and -0 apart', async () => {
  const zero = () => constant('float32', 0)
  const model = modelOf(graph('g', [x], { up: div(x, zero()), again: div(x, zero()), down: div(x, -0) }), 'inline')
  expect(namesOf(model)).toHaveLength(2)
  const open = await openModel(model)
  const results = await open.run(new Map([['x', numbers('float32', [2], [1, 2])]]))
  await open.close()
  expect([...results.get('up')!.data]).toEqual([Infinity, Infinity])
  expect([...results.get('again')!.data]).toEqual([Infinity, Infinity])
  expect([...results.get('down')!.data]).toEqual([-Infinity, -Infinity])
})

it('names them by type and numbers, or by their shape where those are long', () => {
  const long = constant('float32', [1 / 3, 2 / 3], [2])
  const many = constant('float32', new Float64Array(30), [5, 6])
  const sum = add(add(mul(x, 0.1), long), reduceSum(mul(many, 1), [0, 1], { keepdims: 0 }))
  const names = namesOf(modelOf(graph('g', [x], { sum: add(sum, reduceSum(x, [0])) }), 'inline'))
  expect(names).toEqual([
    'float32/0.1',
    'float32/0.33333334,0.6666667',
    'float32/5x6',
    'float32/1',
    'int64/0,1',
    'int64/0',
  ])
})

it('uses each Constant of a function once', () => {
  const { functions } = decodeModel(fileOf(networks['RDM basic']!()))
  const uses = functions.map(({ node }) => {
    const constants = node!.filter(({ opType }) => opType === 'Constant').map(({ output }) => output![0]!)
    return constants.map((name) => node!.flatMap(({ input }) => input!).filter((used) => used === name).length)
  })
  expect(uses.flat().length).toBeGreaterThan(50)
  expect(new Set(uses.flat())).toEqual(new Set([1]))
  // Of what values it computes with, not of which graph they stand in.
  const norm = functions.find(({ name }) => name!.startsWith('BatchNormTraining'))!
  const held = norm.node!.flatMap(({ attribute }) =>
    attribute!.flatMap(({ t }) => (t ? [...tensorFromProto(t).data] : [])),
  )
  const [epsilon, kept, added] = [1e-5, 0.9, 0.1].map(Math.fround)
  expect(held).toEqual([0n, 2n, 3n, 0n, 2n, 3n, 0, epsilon, 1, kept, added, kept, added])
})

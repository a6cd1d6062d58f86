// Constants of a written graph: equal ones are one node, and 0 and −0 are not equal.
import { expect, it } from 'vitest'
import { graph } from '../../src/graph/graph.js'
import { tensor } from '../../src/graph/tensor.js'
import { constant, input } from '../../src/graph/value.js'
import { decodeModel } from '../../src/onnx/tensors.js'
import { div } from '../../src/ops/index.js'
import { modelOf, openModel } from '../support/runtime.js'

it('merges equal constants and keeps 0 and -0 apart', async () => {
  const x = input('x', 'float32', [2])
  const zero = () => constant('float32', 0)
  const model = modelOf(graph('g', [x], { up: div(x, zero()), again: div(x, zero()), down: div(x, -0) }), 'inline')
  expect(decodeModel(model).graph!.node!.filter(({ opType }) => opType === 'Constant')).toHaveLength(2)
  const open = await openModel(model)
  const results = await open.run(new Map([['x', tensor('float32', [2], [1, 2])]]))
  await open.close()
  expect([...results.get('up')!.data]).toEqual([Infinity, Infinity])
  expect([...results.get('again')!.data]).toEqual([Infinity, Infinity])
  expect([...results.get('down')!.data]).toEqual([-Infinity, -Infinity])
})

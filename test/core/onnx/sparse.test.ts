// Sparse tensors, as initializers and as constants: what they are dense, by hand, and what is no sparse tensor.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { AttributeType, type GraphProto, type SparseTensorProto } from '../../../src/core/onnx/schema.js'
import { encodeModel } from '../../../src/core/onnx/tensors.js'

const [FLOAT, INT64] = [1, 7]
const values = (...floatData: number[]) => ({ name: 'w', dataType: FLOAT, dims: [floatData.length], floatData })
const indices = (dims: number[], ...int64Data: number[]) => ({ dataType: INT64, dims, int64Data })

const bytesOf = (graph: GraphProto) =>
  encodeModel({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 18 }],
    graph: { name: 'g', output: [{ name: 'y' }], ...graph },
  })
const negated = (sparse: SparseTensorProto) =>
  bytesOf({ sparseInitializer: [sparse], node: [{ opType: 'Neg', input: ['w'], output: ['y'] }] })
const ofConstant = (sparse: SparseTensorProto) => {
  const attribute = [{ name: 'sparse_value', type: AttributeType.SPARSE_TENSOR, sparseTensor: sparse }]
  return bytesOf({
    node: [
      { opType: 'Constant', output: ['w'], attribute },
      { opType: 'Neg', input: ['w'], output: ['y'] },
    ],
  })
}
const run = (bytes: Uint8Array) => {
  const { shape, data } = evaluate(readNetwork(bytes), new Map()).get('y')!
  return [shape, [...data].map((value) => value + 0)]
}

describe.each([
  ['an initializer', negated],
  ['a constant', ofConstant],
])('%s', (_, bytesWith) => {
  it.each<[string, SparseTensorProto, unknown]>([
    [
      'linear indices',
      { values: values(2, -3), indices: indices([2], 1, 5), dims: [2, 3] },
      [
        [2, 3],
        [0, -2, 0, 0, 0, 3],
      ],
    ],
    [
      'an index for each axis',
      { values: values(2, -3), indices: indices([2, 2], 0, 1, 1, 2), dims: [2, 3] },
      [
        [2, 3],
        [0, -2, 0, 0, 0, 3],
      ],
    ],
    ['no values', { values: values(), indices: indices([0]), dims: [2] }, [[2], [0, 0]]],
  ])('is dense: %s', (__, sparse, expected) => {
    expect(run(bytesWith(sparse))).toEqual(expected)
  })
})

const notPossible = /the index of its value 1 is not possible; expected indices within \[2,3\] that ascend, each once/
it.each<[string, SparseTensorProto, RegExp]>([
  ['an index beyond the end', { values: values(2, 3), indices: indices([2], 1, 6), dims: [2, 3] }, notPossible],
  ['a negative index', { values: values(2, 3), indices: indices([2], 1, -1), dims: [2, 3] }, notPossible],
  ['an index twice', { values: values(2, 3), indices: indices([2], 1, 1), dims: [2, 3] }, notPossible],
  ['an index that descends', { values: values(2, 3), indices: indices([2], 4, 1), dims: [2, 3] }, notPossible],
  [
    'an index beyond an axis',
    { values: values(2, 3), indices: indices([2, 2], 0, 1, 0, 3), dims: [2, 3] },
    notPossible,
  ],
  [
    'too few indices',
    { values: values(2, 3), indices: indices([1], 0), dims: [2, 3] },
    /indices int64\[1\] for values \[2\] of a tensor \[2,3\]; expected int64\[2\] or int64\[2,2\]/,
  ],
  [
    'more than fits in memory',
    { values: values(2), indices: indices([1], 0), dims: [2 ** 20, 2 ** 20] },
    /float32\[1048576,1048576\] is not read dense; expected at most 1073741824 bytes/,
  ],
  ['no values at all', { indices: indices([1], 0), dims: [2] }, /initializer has no name/],
])('refuses %s', (_, sparse, message) => {
  expect(() => readNetwork(negated(sparse))).toThrow(message)
})

// The bytes of a model: what is in them stays, and numbers are listed one by one.
import { describe, expect, it } from 'vitest'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { unpackedModel } from '../../../src/core/onnx/wire.js'
import { fileOf, networks, onnx } from '../../support/models.js'

const opsetImport = [{ domain: '', version: 18 }]
const packed = (graph: object) => new Uint8Array(onnx.ModelProto.encode({ graph, opsetImport }).finish())
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const types = onnx.AttributeProto.AttributeType

describe('numbers one by one', () => {
  // Written by hand from ONNX's schema: tag (field number · 8 + wire type), value.
  it.each([
    ['dimensions', { initializer: [{ dims: [2, 300] }] }, '3a072a05080208ac02'],
    [
      'ints, negative ones in ten bytes',
      { node: [{ attribute: [{ ints: [3, -1] }] }] },
      `3a110a0f2a0d400340${'ff'.repeat(9)}01`,
    ],
    ['floats', { node: [{ attribute: [{ floats: [1, -2] }] }] }, '3a0e0a0c2a0a3d0000803f3d000000c0'],
    ['the tensor of an attribute', { node: [{ attribute: [{ t: { dims: [1] } }] }] }, '3a080a062a042a020801'],
    [
      'a graph in an attribute',
      { node: [{ attribute: [{ g: { initializer: [{ dims: [1] }] } }] }] },
      '3a0a0a082a0632042a020801',
    ],
  ])('%s', (_, graph, expected) => {
    const head = hex(unpackedModel(packed({})))
    const bytes = unpackedModel(packed(graph))
    // The graph is empty in the former: 3a00, then the opset.
    expect(hex(bytes)).toBe(head.replace('3a00', expected))
  })

  it('leaves packed what ONNX packs, and other messages as they are', () => {
    const graph = {
      name: 'g',
      initializer: [{ dims: [3, 1], floatData: [1, 2, 3], int64Data: [-1, 2], rawData: new Uint8Array([8, 8]) }],
      node: [
        {
          opType: 'Op',
          attribute: [
            { name: 'a', type: types.FLOAT, f: 1.5 },
            { name: 'b', type: types.INT, i: 2 ** 40 },
          ],
        },
      ],
      input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1 }] } } } }],
    }
    const before = hex(packed(graph))
    expect(hex(unpackedModel(packed(graph)))).toBe(before.replace('0a020301', '08030801'))
  })
})

describe('whole files', () => {
  it.each(Object.entries(networks))('%s: hold what they held', (_, network) => {
    const model = decodeModel(fileOf(network()))
    const encoded = (bytes: Uint8Array) => hex(onnx.ModelProto.encode(decodeModel(bytes)).finish())
    expect(encoded(encodeModel(model))).toBe(hex(onnx.ModelProto.encode(model).finish()))
    // A second time changes nothing.
    expect(hex(unpackedModel(encodeModel(model)))).toBe(hex(encodeModel(model)))
  })
})

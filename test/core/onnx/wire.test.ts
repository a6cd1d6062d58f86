// The bytes of a model: what ONNX's own library writes and reads, field by field.
import { describe, expect, it } from 'vitest'
import { messages } from '../../../src/core/onnx/schema.js'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { decodeMessage, encodeMessage } from '../../../src/core/onnx/wire.js'
import { fileOf, networks, onnx } from '../../support/models.js'
import { askOnnxPackage, hasOnnxPackage } from '../../support/onnxPackage.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const types = onnx.AttributeProto.AttributeType

describe.runIf(hasOnnxPackage)('the schema', () => {
  it("is that of ONNX's own package", async () => {
    const theirs = JSON.parse(await askOnnxPackage('schema')) as Record<string, Record<string, [number, string]>>
    // One message of ours stands for two of theirs where these have the same fields.
    const renamed: Readonly<Record<string, string>> = {
      'TensorProto.Segment': 'TensorSegment',
      'TensorShapeProto.Dimension': 'Dimension',
      'TypeProto.Tensor': 'TensorType',
      'TypeProto.SparseTensor': 'TensorType',
      'TypeProto.Sequence': 'SequenceType',
      'TypeProto.Optional': 'SequenceType',
      'TypeProto.Map': 'MapType',
      'TypeProto.Opaque': 'OpaqueType',
    }
    const named = (type: string) => type.replace(/^[\w.]+/, (name) => renamed[name] ?? name)
    for (const [name, fields] of Object.entries(theirs)) {
      const expected = Object.entries(fields).map(([field, [number, type]]) => [field, [number, named(type)]])
      const ours: Readonly<Record<string, unknown>> = messages
      expect([name, ours[named(name)]]).toEqual([name, Object.fromEntries(expected)])
    }
    expect(new Set(Object.keys(messages))).toEqual(new Set(Object.keys(theirs).map(named)))
  })
})

describe('numbers one by one', () => {
  // Written by hand from ONNX's schema: tag (field number · 8 + wire type), value.
  it.each([
    ['dimensions', { initializer: [{ dims: [2, 300] }] }, '2a05080208ac02'],
    [
      'ints, negative ones in ten bytes',
      { node: [{ attribute: [{ ints: [3, -1] }] }] },
      `0a0f2a0d400340${'ff'.repeat(9)}01`,
    ],
    ['floats', { node: [{ attribute: [{ floats: [1, -2] }] }] }, '0a0c2a0a3d0000803f3d000000c0'],
    ['the tensor of an attribute', { node: [{ attribute: [{ t: { dims: [1] } }] }] }, '0a062a042a020801'],
    [
      'a graph in an attribute',
      { node: [{ attribute: [{ g: { initializer: [{ dims: [1] }] } }] }] },
      '0a082a0632042a020801',
    ],
    ['packed numbers', { initializer: [{ int64Data: [-1n, 2] }] }, `2a0d3a0b${'ff'.repeat(9)}0102`],
    [
      'a whole number that float64 would round',
      { node: [{ attribute: [{ i: 2n ** 53n + 1n }] }] },
      '0a0b2a09188180808080808010',
    ],
  ])('%s', (_, graph, expected) => {
    const bytes = encodeMessage('GraphProto', graph)
    expect(hex(bytes)).toBe(expected)
    expect(hex(encodeMessage('GraphProto', decodeMessage(bytes, 'GraphProto')))).toBe(expected)
  })
})

describe('reading', () => {
  const read = (text: string) => decodeMessage(Buffer.from(text.replaceAll(' ', ''), 'hex'), 'GraphProto')
  const numbersOf = (text: string) => read(text).initializer[0]

  it('takes numbers packed, one by one and both', () => {
    // dims 2, 300 packed; then 1.
    expect(numbersOf('2a 07 0a0302ac02 0801')).toMatchObject({ dims: [2, 300, 1] })
    // float_data 1 packed, then −2, then 1 packed.
    expect(Array.from(numbersOf('2a 11 22040000803f 25000000c0 22040000803f')!.floatData!)).toEqual([1, -2, 1])
    // int64_data −1 one by one, then 2 and 300 packed.
    const mixed = numbersOf(`2a 10 38${'ff'.repeat(9)}01 3a0302ac02`)!.int64Data!
    expect(Array.from(mixed, Number)).toEqual([-1, 2, 300])
  })
  it('puts together what a file says of one message in several places', () => {
    // GraphProto.name twice, the last counts; nodes add up.
    expect(read('12 01 61 0a 00 12 01 62 0a 00')).toMatchObject({ name: 'b', node: [{}, {}] })
    // ValueInfoProto.type twice: a tensor of type 1, then its denotation.
    const info = decodeMessage(Buffer.from('12040a02080112033201 61'.replace(' ', ''), 'hex'), 'ValueInfoProto')
    expect(info.type).toMatchObject({ tensorType: { elemType: 1 }, denotation: 'a' })
  })
  it('leaves out what the schema does not know', () => {
    // Field 100: a varint, 8 bytes, a text, a group with a varint in it, 4 bytes.
    expect(read('a00601 a1060102030405060708 a2060161 a306080aa406 a50601020304 1201 62')).toMatchObject({ name: 'b' })
  })
  it.each([
    ['a field of another wire type', '1001', 'name of GraphProto has the wire type 0, which is that of another field'],
    [
      'a message that is cut off',
      '0a05',
      'node of GraphProto ends at byte 7, beyond the end at 2: 5 bytes are missing',
    ],
    [
      'a field that outgrows its message',
      '0a020a05 0000000000',
      'a field of NodeProto ends at byte 9, beyond its end at 4',
    ],
    ['the field 0', '00', 'no field begins at byte 0'],
    ['packed numbers that end within one', '2a 03 0a01ff', 'a list of packed numbers ends within one'],
    ['floats of three bytes', '2a 05 2203000000', 'floatData of TensorProto has 3 bytes, expected a multiple of 4'],
    ['a number of eleven bytes', `2a 0c 08${'ff'.repeat(10)}01`, 'a number at byte 3 has more than 10 bytes'],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(message)
  })
})

describe('whole files', () => {
  it.each(Object.entries(networks))('%s: hold what they held', (_, network) => {
    const file = fileOf(network())
    expect(hex(encodeModel(decodeModel(file)))).toBe(hex(file))
    // The same messages as generated code for an older schema reads.
    const numbers = { longs: Number, defaults: false, arrays: false }
    const plain = onnx.ModelProto.toObject(onnx.ModelProto.decode(file), numbers)
    expect(onnx.ModelProto.toObject(onnx.ModelProto.fromObject(decodeModel(file)), numbers)).toEqual(plain)
  })
  it('has every kind of attribute', () => {
    const node = {
      opType: 'Op',
      attribute: [
        { name: 'a', type: types.FLOAT, f: 1.5 },
        { name: 'b', type: types.INT, i: 2 ** 40 },
      ],
    }
    const graph = { node: [node], name: 'g' }
    expect(hex(encodeMessage('GraphProto', graph))).toBe(hex(onnx.GraphProto.encode(graph).finish()))
  })
})

// Numbers of fewer than 8 bits and small floats in files: two or four to a byte, the first in the lowest bits.
import { describe, expect, it } from 'vitest'
import { knownIn } from '../../../src/core/graph/dims.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { type DType, numbers, tensor, widen } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { exportGraph } from '../../../src/core/model/write.js'
import { decodeModel, encodeModel, tensorFromProto, tensorToProto } from '../../../src/core/onnx/tensors.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { cast, onnxTypes, shapeOf, slice } from '../../../src/core/ops/index.js'
import { trainingStep } from '../../../src/core/training/step.js'
import { meanSquaredError, sgd } from '../../../src/index.js'
import { onnx } from '../../support/models.js'
import { openModel } from '../../support/runtime.js'

const bytesIn: readonly [dtype: DType, values: number[], bytes: number[]][] = [
  ['int4', [1, -1, 7, -8, 3], [0xf1, 0x87, 0x03]],
  ['uint4', [1, 15, 7], [0xf1, 0x07]],
  ['int2', [1, -1, 0, -2, 1], [0b10_00_11_01, 0b01]],
  ['uint2', [1, 3, 0, 2], [0b10_00_11_01]],
  ['float4e2m1', [0.5, -6, 3], [0xf1, 0x05]],
  // 1 is 0b001000, 7.5 is 0b011111, −0.125 is 0b100001: 6 bits each, from the lowest.
  ['float6e2m3', [1, 7.5, -0.125], [0b11_001000, 0b0001_0111, 0b10]],
  ['float8e4m3fn', [1, -448, 2 ** -9], [0x38, 0xfe, 0x01]],
  ['float8e5m2', [1, Number.POSITIVE_INFINITY], [0x3c, 0x7c]],
]

describe.each(bytesIn)('%s', (dtype, values, bytes) => {
  it('is written and read', () => {
    const proto = tensorToProto('t', tensor(dtype, [values.length], values))
    expect([...proto.rawData!]).toEqual(bytes)
    expect([...widen(tensorFromProto(proto)).data]).toEqual(values)
  })
  it('is read from int32_data', () => {
    // Of 6 bits each has a field of its own.
    const int32Data = dtype === 'float6e2m3' ? [0b001000, 0b011111, 0b100001] : bytes
    const proto = { name: 't', dataType: onnxTypes[dtype], dims: [values.length], int32Data }
    expect([...widen(tensorFromProto(proto)).data]).toEqual(values)
    expect(() => tensorFromProto({ ...proto, dims: [values.length + 9] })).toThrow(/values for|expected/)
    expect(() => tensorFromProto({ ...proto, int32Data: [], rawData: Uint8Array.of(...bytes, 0) })).toThrow(
      `${bytes.length + 1} bytes for ${dtype}[${values.length}], expected ${bytes.length}`,
    )
  })
})

const info = (name: string, ...dims: (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType: onnxTypes.float32,
      shape: { dim: dims.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
})
const INT = onnx.AttributeProto.AttributeType.INT
const weights = [1, -2, 3, -4, 5, -6, 7, -8, 0, 1, 2, 3]
const scales = [0.5, 0.25, 2, 1, 0.125, 4]

/** y = x·W, with W [4, 3] in int4 and a scale for each two rows. */
const quantized = () =>
  encodeModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: {
      name: 'g',
      input: [info('x', 'batch', 4)],
      initializer: [
        {
          name: 'w',
          dataType: onnxTypes.int4,
          dims: [4, 3],
          rawData: Uint8Array.of(0xe1, 0xc3, 0xa5, 0x87, 0x10, 0x32),
        },
        { name: 's', dataType: onnxTypes.float32, dims: [2, 3], floatData: scales },
      ],
      node: [
        {
          opType: 'DequantizeLinear',
          input: ['w', 's'],
          output: ['wide'],
          attribute: [
            { name: 'axis', type: INT, i: 0 },
            { name: 'block_size', type: INT, i: 2 },
          ],
        },
        { opType: 'MatMul', input: ['x', 'wide'], output: ['y'] },
      ],
      output: [info('y', 'batch', 3)],
    },
  })

it('a file of weights in int4 is read, differentiated and written at the version that has them', async () => {
  const { inference, weights: held } = readModel(decodeModel(quantized()))
  const x = numbers('float32', [2, 4], [1, 2, -1, 0.5, 0, 1, 1, -2])
  const wide = weights.map((value, i) => value * scales[Math.floor(i / 6) * 3 + (i % 3)]!)
  const expected = [0, 1].flatMap((row) =>
    [0, 1, 2].map((column) => [0, 1, 2, 3].reduce((sum, k) => sum + x.data[4 * row + k]! * wide[3 * k + column]!, 0)),
  )
  expect([...evaluate(inference, new Map([['x', x]])).get('y')!.data]).toEqual(expected)
  const file = exportGraph(inference, held)
  const written = decodeModel(file)
  expect([Number(written.opsetImport[0]!.version), Number(written.irVersion)]).toEqual([21, 10])
  expect(written.graph!.node!.map(({ opType }) => opType)).toEqual(['DequantizeLinear', 'MatMul'])
  const model = await openModel(file)
  expect([...(await model.run(new Map([['x', x]]))).get('y')!.data]).toEqual(expected)
  await model.close()
  expect(() => exportGraph(inference, held, 18)).toThrow(
    'int4 came with version 21 of the ONNX operators, not 18: ask for that version',
  )
  // The scales are floats: they train, the weights do not.
  const { graph } = trainingStep(inference, { loss: meanSquaredError(), optimizer: sgd() })
  expect(graph.parameters.map(({ origin }) => origin.name)).toEqual(expect.arrayContaining(['s']))
})

it('what trains is wider', () => {
  expect(() => readModel(decodeModel(quantized()), { parameters: new Set(['w', 's']) })).toThrow(
    "the weight 'w' is int4, which does not train: keep what trains in float32",
  )
})

it('what says nothing of the types that an older version has is left out there', () => {
  const x = input('x', 'float32', [2])
  const file = (opset: number) =>
    decodeModel(
      exportGraph(graph('g', [x], { y: cast(x, 'float16', { saturate: 0, round_mode: 'down' }) }), undefined, opset),
    )
  const names = (opset: number) => file(opset).graph!.node!.map(({ attribute }) => attribute!.map(({ name }) => name))
  expect(names(18)).toEqual([['to']])
  expect(names(19)).toEqual([['to', 'saturate']])
})

it('whole numbers of a shape wrap around where they are cast to few bits', () => {
  const x = input('x', 'float32', ['batch', 300])
  expect(knownIn(cast(slice(shapeOf(x), [0], [1], [2]), 'uint8'))).toEqual([44])
})

// Dimensions of the inputs of a file: without a name, with one that looks like something else, and integers that float64 rounds.
import onnxProto from 'onnx-proto'
import { describe, expect, it } from 'vitest'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { encodeModel } from '../../../src/core/onnx/tensors.js'

const { onnx } = onnxProto
type Dimension = { readonly dimValue?: number; readonly dimParam?: string }

const info = (name: string, dim: readonly Dimension[]) => ({
  name,
  type: { tensorType: { elemType: onnx.TensorProto.DataType.FLOAT, shape: { dim: [...dim] } } },
})
/** The shape of a + b, and the symbols of a. */
const sumOf = (a: readonly Dimension[], b: readonly Dimension[]) => {
  const network = readNetwork(
    encodeModel({
      irVersion: 8,
      opsetImport: [{ domain: '', version: 18 }],
      graph: {
        name: 'sum',
        input: [info('a', a), info('b', b)],
        node: [{ opType: 'Add', input: ['a', 'b'], output: ['y'] }],
        output: [info('y', [])],
      },
    }),
  )
  return { sum: network.outputs.get('y')!.shape, symbols: network.inputs[0]!.shape }
}

describe('dimensions of inputs', () => {
  it('without a name are the batch where they come first, negative ones too', () => {
    expect(sumOf([{}, { dimValue: 3 }], [{ dimValue: -1 }, { dimValue: 3 }]).sum).toEqual(['batch', 3])
  })

  it.each([{}, { dimParam: '?' }])('without a name are their own elsewhere: %j', (dim) => {
    expect(sumOf([dim, dim], [dim, { dimValue: 1 }]).sum).toEqual(['batch', 'a.1'])
  })

  it.each(['32', '2*s0', 'floor(s0)', '?1', 'a b'])('called %s are one symbol', (dimParam) => {
    const { sum, symbols } = sumOf([{ dimParam }, { dimValue: 2 }], [{ dimValue: 1 }, { dimValue: 2 }])
    expect(sum).toEqual(symbols)
    expect(symbols[0]).toBe(`(${dimParam.replace('?', '_')})`)
  })
})

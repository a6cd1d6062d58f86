// Models written field by field, as no exporter of ours writes them.

import { encodeModel } from '../../dist/src/core/onnx/tensors.js'

export const types = { float: 1, uint8: 2, int64: 7, bool: 9 }

export const value = (name, elemType = types.float, dims) => ({
  name,
  type: {
    tensorType: {
      elemType,
      ...(dims && {
        shape: { dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })) },
      }),
    },
  },
})

export const node = (opType, input, output, attribute = [], domain = '') => ({
  ...{ opType, input, output, domain, attribute },
  name: `${opType} of ${output[0]}`,
})

export const floats = (name, dims, numbers) => ({
  ...{ name, dataType: types.float, dims },
  rawData: new Uint8Array(Float32Array.from(numbers).buffer),
})
export const ints = (name, numbers, dims = [numbers.length]) => ({
  ...{ name, dataType: types.int64, dims },
  rawData: new Uint8Array(BigInt64Array.from(numbers.map(BigInt)).buffer),
})
export const flag = (name, is) => ({ name, dataType: types.bool, dims: [], rawData: Uint8Array.of(is ? 1 : 0) })

export const modelOf = (graph, version = 17) =>
  encodeModel({ irVersion: 8, opsetImport: [{ version }], graph: { name: 'g', ...graph } })

// What a model file says of its inputs and outputs.

import { naming, UserError } from '../errors.js'
import { type DType, dtypes } from '../graph/tensor.js'
import { dtypeOf } from '../ops/elementwise.js'
import type { ValueInfoProto } from './schema.js'
import { decodeModel, toNumber } from './tensors.js'

/** One input or output of a model. A dimension is a number, or the name of a symbolic one. */
export interface TensorInfo {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly (number | string)[]
}

function infoOf({ name, type }: ValueInfoProto): TensorInfo {
  const { elemType, shape } = type?.tensorType ?? {}
  const dims = (shape?.dim ?? []).map(({ dimParam, dimValue }) => dimParam || toNumber(dimValue ?? 0))
  const dtype = dtypeOf(elemType ?? 0)
  if (!dtype) throw new UserError(`"${name}" has element type ${elemType} of ONNX; supported are ${dtypes.join(', ')}`)
  return { name: name ?? '', dtype, shape: dims }
}

/**
 * The inputs without a value in the file, and the outputs.
 * @throws UserError when it is no model, or one of them is not of a type that crosses to a runtime
 */
export function signatureOf(bytes: Uint8Array): {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
} {
  return naming(undefined, () => {
    const { graph } = decodeModel(bytes)
    const given = new Set((graph?.initializer ?? []).map(({ name }) => name))
    return {
      inputs: (graph?.input ?? []).filter(({ name }) => !given.has(name)).map(infoOf),
      outputs: (graph?.output ?? []).map(infoOf),
    }
  })
}

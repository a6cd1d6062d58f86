// Tensors between typed arrays and TensorProto, and a model between its bytes and protobuf's messages.

import onnxProto from 'onnx-proto'
import { messageOf, UserError } from '../errors.js'
import {
  arrays,
  bitsOf,
  bytesOf,
  type DType,
  dtypes,
  elementsOf,
  isSmallFloat,
  type Tensor,
  type Tensors,
  tensor,
  tensorOf,
  widthOf,
  wrapped,
} from '../graph/tensor.js'
import { dtypeOf, onnxTypes } from '../ops/elementwise.js'
import { fileBytes, packed, unpacked } from './packed.js'
import { unpackedModel } from './wire.js'

const { onnx } = onnxProto

export const tensorToProto = (name: string, { dtype, shape, data }: Tensor): onnxProto.onnx.ITensorProto => ({
  name,
  dataType: onnxTypes[dtype],
  dims: [...shape],
  // The format is little-endian, as is every machine that JavaScript runs on today.
  rawData: bitsOf(dtype) < 8 ? packed(dtype, data) : bytesOf(data),
})

/** The model with these inputs fixed: initializers, which a runtime keeps where it computes. */
export function withConstants(model: onnxProto.onnx.IModelProto, values: Tensors): onnxProto.onnx.IModelProto {
  const input = (model.graph?.input ?? []).filter(({ name }) => !Object.hasOwn(values, name ?? ''))
  const initializer = [...(model.graph?.initializer ?? [])]
  for (const [name, value] of Object.entries(values)) initializer.push(tensorToProto(name, value))
  return { ...model, graph: { ...model.graph, input, initializer } }
}

/** A number of a protobuf int64 field, which the library gives as a number or a Long. */
export const toNumber = (value: number | { toNumber(): number }): number =>
  typeof value === 'number' ? value : value.toNumber()

/** The float32 next to a number as the shortest decimal that rounds to it: 1e-5, not 0.000009999999747. */
export function shortestFloat(value: number): number {
  const float = Math.fround(value)
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits))
    if (Math.fround(short) === float) return short
  }
  return float
}

type Integer = number | { toNumber(): number; toString(): string }

/** Numbers of a field of their own, as files without raw data have them. Floats of 16 bits and fewer come as their bits. */
function fromField(dtype: DType, proto: onnxProto.onnx.ITensorProto, count: number): Tensor['data'] {
  switch (dtype) {
    case 'float32':
      return new Float32Array(proto.floatData ?? [])
    case 'float64':
      return new Float64Array(proto.doubleData ?? [])
    case 'int64':
      return BigInt64Array.from((proto.int64Data ?? []) as readonly Integer[], (value) => BigInt(value.toString()))
    case 'uint64':
    case 'uint32': {
      const wide = (proto.uint64Data ?? []) as readonly Integer[]
      return dtype === 'uint32'
        ? Uint32Array.from(wide, Number)
        : BigUint64Array.from(wide, (value) => BigInt(value.toString()))
    }
    case 'float16':
    case 'bfloat16':
      return Uint16Array.from(proto.int32Data ?? [])
    case 'float4e2m1':
    case 'int4':
    case 'uint4':
    case 'int2':
    case 'uint2': {
      const bytes = Uint8Array.from(proto.int32Data ?? [])
      const held = Math.floor((8 * bytes.length) / bitsOf(dtype))
      return unpacked(dtype, bytes, bytes.length === fileBytes(dtype, count) ? count : held)
    }
    case 'bool':
      return Uint8Array.from(proto.int32Data ?? [], (value) => Number(value !== 0))
    default:
      if (isSmallFloat(dtype)) return Uint8Array.from(proto.int32Data ?? [], (code) => wrapped(code, dtype))
      return tensor(dtype, [(proto.int32Data ?? []).length], proto.int32Data ?? []).data
  }
}

/**
 * A TensorProto as a tensor, which shares the memory of raw data where that is aligned.
 * @throws UserError for an element type not known here, external data, or data that does not fit the dimensions
 */
export function tensorFromProto(proto: onnxProto.onnx.ITensorProto, what = `tensor '${proto.name ?? ''}'`): Tensor {
  const dtype = dtypeOf(proto.dataType ?? 0)
  if (!dtype)
    throw new UserError(`${what}: element type ${proto.dataType} is not supported; use one of ${dtypes.join(', ')}`)
  if (proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL || (proto.externalData?.length ?? 0) > 0) {
    throw new UserError(`${what}: its data is in another file; save the model with all data inside`)
  }
  const shape = (proto.dims ?? []).map(toNumber)
  const count = elementsOf(shape)
  if (shape.some((dim) => dim < 0) || !Number.isSafeInteger(count))
    throw new UserError(
      `${what}: dimensions [${shape}] are not possible; expected whole numbers from 0 whose product is below 2^53`,
    )
  const raw = proto.rawData
  if (raw && raw.length > 0) {
    const bytes = fileBytes(dtype, count)
    if (raw.length !== bytes)
      throw new UserError(`${what}: ${raw.length} bytes for ${dtype}[${shape}], expected ${bytes}`)
    if (bitsOf(dtype) < 8) return tensorOf(dtype, shape, unpacked(dtype, raw, count))
    // Not by `slice`, which in Node may give a view.
    const aligned = raw.byteOffset % widthOf(dtype) === 0 ? raw : new Uint8Array(raw)
    return tensorOf(dtype, shape, new arrays[dtype](aligned.buffer, aligned.byteOffset, count))
  }
  const data = fromField(dtype, proto, count)
  if (data.length !== count)
    throw new UserError(`${what}: ${data.length} values for ${dtype}[${shape}], expected ${count}`)
  return tensorOf(dtype, shape, data)
}

const MAX_NESTING = 100

/** The library decodes messages within messages to a depth at which it cannot encode them any more. */
function checkNesting(message: object, depth = 0): void {
  if (depth > MAX_NESTING) throw new Error(`its messages nest more than ${MAX_NESTING} levels deep`)
  for (const field of Object.values(message) as unknown[]) {
    if (typeof field !== 'object' || field === null || ArrayBuffer.isView(field)) continue
    const isMessages = !Array.isArray(field) || typeof field[0] === 'object'
    if (isMessages) checkNesting(field, depth + 1)
  }
}

/**
 * Parses the bytes of a file.
 * @throws UserError when they are not an ONNX model
 */
export function decodeModel(bytes: Uint8Array): onnxProto.onnx.ModelProto {
  try {
    const model = onnx.ModelProto.decode(bytes)
    if (!model.graph || model.opsetImport.length === 0) throw new Error('it has no graph or no opset')
    checkNesting(model)
    return model
  } catch (error) {
    throw new UserError(`this is not an ONNX model (${messageOf(error)}); expected a file such as rdm-export writes`)
  }
}

/** The bytes of a file. */
export const encodeModel = (model: onnxProto.onnx.IModelProto): Uint8Array =>
  unpackedModel(onnx.ModelProto.encode(model).finish())

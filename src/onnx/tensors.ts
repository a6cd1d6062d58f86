// Tensors between the graph's float64 numbers, the typed arrays of runtimes, and the little-endian bytes of TensorProto.

import onnxProto from 'onnx-proto'
import { messageOf, UserError } from '../errors.js'
import { type DType, dtypes, type Tensor, tensor } from '../graph/tensor.js'
import { dtypeOf, onnxTypes } from '../ops/elementwise.js'
import type { HostArrays, HostDType, HostTensor, HostTensors } from '../runtime/tensor.js'
import { unpackedModel } from './wire.js'

const { onnx } = onnxProto

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)
/** 2^63 as a double stands for "to the end" in slices; it is held to what int64 can say. */
const toInt64 = (value: number): bigint => {
  const whole = BigInt(Math.trunc(value))
  return whole > INT64_MAX ? INT64_MAX : whole < INT64_MIN ? INT64_MIN : whole
}

const arrays: { readonly [T in HostDType]: (values: Float64Array) => HostArrays[T] } = {
  float32: (values) => new Float32Array(values),
  float64: (values) => new Float64Array(values),
  int64: (values) => BigInt64Array.from(values, toInt64),
  int32: (values) => new Int32Array(values),
  uint8: (values) => new Uint8Array(values),
  bool: (values) => new Uint8Array(values),
}

/** @throws UserError for a type that has no typed array */
export function requireHost(dtype: DType, what: string): HostDType {
  if (dtype === 'float16') throw new UserError(`${what} is float16, which is not supported here; cast it to float32`)
  return dtype
}

/** The tensor in the typed array that a runtime takes. */
export function toHost({ dtype: given, shape, data }: Tensor, what = 'a tensor'): HostTensor {
  const dtype = requireHost(given, what)
  return { dtype, shape, data: arrays[dtype](data) }
}

export const fromHost = ({ dtype, shape, data }: HostTensor): Tensor =>
  tensor(dtype, shape, Float64Array.from(data as ArrayLike<number | bigint>, Number))

/** The bytes of a typed array; the file format is little-endian, as is every machine that Node runs on today. */
export const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

export function hostToProto(name: string, { dtype, shape, data }: HostTensor): onnxProto.onnx.ITensorProto {
  return { name, dataType: onnxTypes[dtype], dims: [...shape], rawData: bytesOf(data) }
}

export const tensorToProto = (name: string, value: Tensor): onnxProto.onnx.ITensorProto =>
  hostToProto(name, toHost(value, name ? `'${name}'` : 'a constant'))

/** The model with these inputs fixed: initializers, which a runtime keeps where it computes. */
export function withConstants(model: onnxProto.onnx.IModelProto, values: HostTensors): onnxProto.onnx.IModelProto {
  const input = (model.graph?.input ?? []).filter(({ name }) => !Object.hasOwn(values, name ?? ''))
  const initializer = [...(model.graph?.initializer ?? [])]
  for (const [name, value] of Object.entries(values)) initializer.push(hostToProto(name, value))
  return { ...model, graph: { ...model.graph, input, initializer } }
}

const widths: { readonly [T in DType]: number } = {
  float32: 4,
  float64: 8,
  float16: 2,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
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

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function readRaw(dtype: DType, bytes: Uint8Array, count: number): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read: { readonly [T in DType]: (at: number) => number } = {
    float32: (at) => view.getFloat32(at, true),
    float64: (at) => view.getFloat64(at, true),
    float16: (at) => halfToNumber(view.getUint16(at, true)),
    int64: (at) => Number(view.getBigInt64(at, true)),
    int32: (at) => view.getInt32(at, true),
    uint8: (at) => view.getUint8(at),
    bool: (at) => view.getUint8(at),
  }
  const values = new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = read[dtype](i * widths[dtype])
  return values
}

/**
 * A TensorProto as a tensor.
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
  const count = shape.reduce((product, dim) => product * dim, 1)
  if (shape.some((dim) => dim < 0) || !Number.isSafeInteger(count))
    throw new UserError(
      `${what}: dimensions [${shape}] are not possible; expected whole numbers from 0 whose product is below 2^53`,
    )
  const raw = proto.rawData
  if (raw && raw.length > 0) {
    if (raw.length !== count * widths[dtype]) {
      throw new UserError(`${what}: ${raw.length} bytes for ${dtype}[${shape}], expected ${count * widths[dtype]}`)
    }
    return tensor(dtype, shape, readRaw(dtype, raw, count))
  }
  const fields: { readonly [T in DType]: readonly (number | { toNumber(): number })[] } = {
    float32: proto.floatData ?? [],
    float64: proto.doubleData ?? [],
    float16: (proto.int32Data ?? []).map(halfToNumber),
    int64: proto.int64Data ?? [],
    int32: proto.int32Data ?? [],
    uint8: proto.int32Data ?? [],
    bool: proto.int32Data ?? [],
  }
  const values = fields[dtype]
  if (values.length !== count)
    throw new UserError(`${what}: ${values.length} values for ${dtype}[${shape}], expected ${count}`)
  return tensor(dtype, shape, Float64Array.from(values, toNumber))
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

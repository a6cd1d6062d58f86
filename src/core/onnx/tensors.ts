// Tensors between typed arrays and TensorProto, and a model between its bytes and protobuf's messages.

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
  wrapped,
} from '../graph/tensor.js'
import { dtypeOf, onnxTypes } from '../ops/elementwise.js'
import { foreignKind } from './foreign.js'
import { fileBytes, packed, unpacked } from './packed.js'
import { DataLocation, type Decoded, type Integer, type ModelProto, type TensorProto } from './schema.js'
import { aligned, decodeMessage, encodeMessage, WireError } from './wire.js'

export const tensorToProto = (name: string, { dtype, shape, data }: Tensor): TensorProto => ({
  name,
  dataType: onnxTypes[dtype],
  dims: [...shape],
  // The format is little-endian, as is every machine that JavaScript runs on today.
  rawData: bitsOf(dtype) < 8 ? packed(dtype, data) : bytesOf(data),
})

/** The model with these inputs fixed: initializers, which a runtime keeps where it computes. */
export function withConstants(model: ModelProto, values: Tensors): ModelProto {
  const input = (model.graph?.input ?? []).filter(({ name }) => !Object.hasOwn(values, name ?? ''))
  const initializer = [...(model.graph?.initializer ?? [])]
  for (const [name, value] of Object.entries(values)) initializer.push(tensorToProto(name, value))
  return { ...model, graph: { ...model.graph, input, initializer } }
}

/** A whole number of a field as a number, rounded beyond 2^53. */
export const toNumber = (value: Integer): number => Number(value)

/** The float32 next to a number as the shortest decimal that rounds to it: 1e-5, not 0.000009999999747. */
export function shortestFloat(value: number): number {
  const float = Math.fround(value)
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits))
    if (Math.fround(short) === float) return short
  }
  return float
}

/** Numbers that were read into the array that is wanted. */
const shared = <A>(array: new (length: number) => A, values: unknown): A | undefined =>
  values instanceof array ? values : undefined

/** Numbers of a field of their own, as files without raw data have them. Floats of 16 bits and fewer come as their bits. */
function fromField(dtype: DType, proto: TensorProto, count: number): Tensor['data'] {
  switch (dtype) {
    case 'float32':
      return shared(Float32Array, proto.floatData) ?? new Float32Array(proto.floatData ?? [])
    case 'float64':
      return shared(Float64Array, proto.doubleData) ?? new Float64Array(proto.doubleData ?? [])
    case 'int64':
      return shared(BigInt64Array, proto.int64Data) ?? BigInt64Array.from(proto.int64Data ?? [], BigInt)
    case 'uint64':
    case 'uint32': {
      const wide = proto.uint64Data ?? []
      return dtype === 'uint32' ? Uint32Array.from(wide, Number) : BigUint64Array.from(wide, BigInt)
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

/** Where the numbers of a tensor stand in a file beside the model's. */
export interface ExternalPlace {
  /** A path relative to the folder of the model. */
  readonly location: string
  /** In bytes. */
  readonly offset: number
  /** In bytes; undefined: to the end of the file. */
  readonly length: number | undefined
}
/**
 * Reads the bytes at an {@link ExternalPlace}.
 * @throws UserError where they cannot be had
 */
export type ExternalData = (place: ExternalPlace) => Uint8Array

/**
 * Undefined for a tensor whose numbers are in the model.
 * @throws UserError for a place that is not said as ONNX has it
 */
export function externalPlace(proto: TensorProto, what: string): ExternalPlace | undefined {
  const entries = proto.externalData ?? []
  if (proto.dataLocation !== DataLocation.EXTERNAL && entries.length === 0) return undefined
  const said = new Map(entries.map(({ key, value }) => [key, value ?? '']))
  const whole = (key: string): number | undefined => {
    const text = said.get(key)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text))
      throw new UserError(`${what}: the ${key} of its external data is '${text}', no whole number`)
    return Number(text)
  }
  const location = said.get('location')
  if (!location) throw new UserError(`${what}: its data are in another file, and the model does not say which`)
  return { location, offset: whole('offset') ?? 0, length: whole('length') }
}

/**
 * A TensorProto as a tensor, which shares the memory of raw data where that is aligned.
 * @param external reads numbers that are in another file; unless given they are refused
 * @throws UserError for an element type not known here, external data that cannot be had, or data that does not fit the dimensions
 */
export function tensorFromProto(
  proto: TensorProto,
  what = `tensor '${proto.name ?? ''}'`,
  external?: ExternalData,
): Tensor {
  const dtype = dtypeOf(proto.dataType ?? 0)
  if (!dtype)
    throw new UserError(`${what}: element type ${proto.dataType} is not supported; use one of ${dtypes.join(', ')}`)
  const place = externalPlace(proto, what)
  if (place && !external)
    throw new UserError(`${what}: its data is in another file; save the model with all data inside`)
  const shape = (proto.dims ?? []).map(toNumber)
  const count = elementsOf(shape)
  if (shape.some((dim) => dim < 0) || !Number.isSafeInteger(count))
    throw new UserError(
      `${what}: dimensions [${shape}] are not possible; expected whole numbers from 0 whose product is below 2^53`,
    )
  const bytes = fileBytes(dtype, count)
  const raw = place && external ? external({ ...place, length: place.length ?? bytes }) : proto.rawData
  if (raw && (raw.length > 0 || place)) {
    if (raw.length !== bytes)
      throw new UserError(`${what}: ${raw.length} bytes for ${dtype}[${shape}], expected ${bytes}`)
    if (bitsOf(dtype) < 8) return tensorOf(dtype, shape, unpacked(dtype, raw, count))
    return tensorOf(dtype, shape, aligned<Tensor['data']>(arrays[dtype], raw))
  }
  const data = fromField(dtype, proto, count)
  if (data.length !== count)
    throw new UserError(`${what}: ${data.length} values for ${dtype}[${shape}], expected ${count}`)
  return tensorOf(dtype, shape, data)
}

/**
 * Parses the bytes of a file.
 * @throws UserError when they are not an ONNX model: what they are where that is known, else where they stop being one
 */
export function decodeModel(bytes: Uint8Array): Decoded<'ModelProto'> {
  const decode = (part: Uint8Array) => {
    const model = decodeMessage(part, 'ModelProto')
    if (!model.graph || model.opsetImport.length === 0) throw new Error('it has no graph or no opset')
    return model
  }
  try {
    return decode(bytes)
  } catch (error) {
    const kind = foreignKind(bytes)
    if (kind !== undefined) throw new UserError(`this is not an ONNX model but ${kind}`)
    if (error instanceof WireError && isModel(() => decode(bytes.subarray(0, error.from))))
      throw new UserError(
        `from byte ${error.from} of ${bytes.length} on, behind a whole model, the file is not ONNX (${error.message}): it is cut off or damaged, or something was added to it`,
      )
    throw new UserError(`this is not an ONNX model (${messageOf(error)}); expected a file such as rdm-export writes`)
  }
}

function isModel(decode: () => unknown): boolean {
  try {
    decode()
    return true
  } catch {
    return false
  }
}

/** The bytes of a file. */
export const encodeModel = (model: ModelProto): Uint8Array => encodeMessage('ModelProto', model)

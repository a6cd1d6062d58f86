import { UserError } from '../errors.js'

/** Element types that cross the border between the product and a runtime, with the typed array that holds each. */
export interface HostArrays {
  float32: Float32Array
  float64: Float64Array
  int64: BigInt64Array
  int32: Int32Array
  uint8: Uint8Array
  bool: Uint8Array
}

export type HostDType = keyof HostArrays

const dtypes: Record<HostDType, true> = {
  float32: true,
  float64: true,
  int64: true,
  int32: true,
  uint8: true,
  bool: true,
}
const isHostDType = (dtype: string): dtype is HostDType => Object.hasOwn(dtypes, dtype)

/**
 * A runtime's element type.
 * @throws UserError naming the tensor when it is none of ours
 */
export function hostDType(name: string, dtype: string): HostDType {
  if (isHostDType(dtype)) return dtype
  throw new UserError(`"${name}" has element type ${dtype}; supported are ${Object.keys(dtypes).join(', ')}`)
}

/** A tensor in host memory, row-major; `data` has the product of `shape` elements. */
export interface HostTensor<T extends HostDType = HostDType> {
  readonly dtype: T
  readonly shape: readonly number[]
  readonly data: HostArrays[T]
}

/** Tensors by name. */
export type HostTensors = Readonly<Record<string, HostTensor>>

interface HostArrayConstructor<A> {
  new (length: number): A
  new (buffer: ArrayBuffer, byteOffset: number, length: number): A
  readonly BYTES_PER_ELEMENT: number
}

/** The typed array of each element type. */
export const hostArrays: { readonly [T in HostDType]: HostArrayConstructor<HostArrays[T]> } = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
}

/** A record with each value changed. */
export const mapValues = <A, B>(record: Readonly<Record<string, A>>, change: (value: A, key: string) => B) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))

/** How many elements a shape holds. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dimension) => size * dimension, 1)

/** A tensor of zeros. */
export const zeros = (dtype: HostDType, shape: readonly number[]): HostTensor => ({
  dtype,
  shape,
  data: new hostArrays[dtype](sizeOf(shape)),
})

/** A copy whose data covers its ArrayBuffer exactly, so that it can be handed to another thread. */
export function copyTensor(tensor: HostTensor): HostTensor {
  const { buffer, byteOffset, byteLength, length } = tensor.data
  const copy = new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength)).buffer
  return { dtype: tensor.dtype, shape: tensor.shape, data: new hostArrays[tensor.dtype](copy, 0, length) }
}

/** The buffers behind tensors, each once: what to move when the tensors go to another thread. */
export const memoryOf = (tensors: HostTensors): ArrayBuffer[] => [
  ...new Set(Object.values(tensors).map((tensor) => tensor.data.buffer as ArrayBuffer)),
]

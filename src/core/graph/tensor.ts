// Tensors as files and runtimes hold them, in typed arrays, and as the reference evaluation computes with them, in float64.

import { UserError } from '../errors.js'
import { floatCodes } from './floats.js'
import { sizeOf } from './shape.js'

/**
 * The typed array of each element type. Floats of 16 bits and fewer are held by their bits, bool as 0 and 1; numbers of fewer than
 * 8 bits have a byte each, and lie close only in files.
 */
export interface Arrays {
  float32: Float32Array
  float64: Float64Array
  float16: Uint16Array
  bfloat16: Uint16Array
  int64: BigInt64Array
  int32: Int32Array
  int16: Int16Array
  int8: Int8Array
  uint64: BigUint64Array
  uint32: Uint32Array
  uint16: Uint16Array
  uint8: Uint8Array
  bool: Uint8Array
  float8e4m3fn: Uint8Array
  float8e4m3fnuz: Uint8Array
  float8e5m2: Uint8Array
  float8e5m2fnuz: Uint8Array
  float8e8m0: Uint8Array
  float6e2m3: Uint8Array
  float6e3m2: Uint8Array
  float4e2m1: Uint8Array
  int4: Int8Array
  uint4: Uint8Array
  int2: Int8Array
  uint2: Uint8Array
}
/** The types of elements that a tensor can have. */
export type DType = keyof Arrays

export interface ArrayConstructor<A> {
  new (length: number): A
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): A
  readonly BYTES_PER_ELEMENT: number
}
export const arrays: { readonly [T in DType]: ArrayConstructor<Arrays[T]> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  float8e4m3fn: Uint8Array,
  float8e4m3fnuz: Uint8Array,
  float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array,
  float8e8m0: Uint8Array,
  float6e2m3: Uint8Array,
  float6e3m2: Uint8Array,
  float4e2m1: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  int2: Int8Array,
  uint2: Uint8Array,
}
export const dtypes = Object.keys(arrays) as readonly DType[]
export const isDType = (name: string): name is DType => Object.hasOwn(arrays, name)
const bits = new Map(dtypes.map((dtype) => [dtype, Number(/\d+/.exec(dtype)?.[0] ?? 8)]))
/** Bits of an element where they lie close. */
export const bitsOf = (dtype: DType): number => bits.get(dtype)!
/** What operators compute in: floats of 16 bits and more. */
export const isFloat = (dtype: DType): boolean => dtype.endsWith('float16') || /^float(32|64)$/.test(dtype)
type SmallFloat = Extract<DType, `float${4 | 6 | 8}e${string}`>
/** Floats of 8 bits and fewer: numbers are kept and sent in them, and are cast before anything is computed. */
export const isSmallFloat = (dtype: DType): dtype is SmallFloat => dtype.startsWith('float') && !isFloat(dtype)
/** Types of files alone: small floats, and whole numbers of fewer than 8 bits. */
export type SmallDType = SmallFloat | Extract<DType, `${'' | 'u'}int${2 | 4}`>
export const isSmall = (dtype: DType): dtype is SmallDType => isSmallFloat(dtype) || bitsOf(dtype) < 8
/** Whole numbers, of either sign or none; not bool. */
export const isInteger = (dtype: DType): boolean => dtype.includes('int')
/** Bytes of an element in its array. */
export const widthOf = (dtype: DType): number => arrays[dtype].BYTES_PER_ELEMENT

interface TensorIn<T extends DType> {
  readonly dtype: T
  readonly shape: readonly number[]
  readonly data: Arrays[T]
}
/** A row-major tensor; `data` has the product of `shape` elements. */
export type Tensor<T extends DType = DType> = { readonly [K in T]: TensorIn<K> }[T]
/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>

/** A row-major tensor whose numbers are float64, whatever the dtype: how the reference evaluation has it. */
export interface Numbers {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: Float64Array
}

export const elementsOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1)

function checkSize(shape: readonly number[], length: number): void {
  const size = sizeOf(shape)
  if (length !== size) throw new RangeError(`a tensor of shape [${shape}] holds ${size} values, not ${length}`)
}

/**
 * A tensor of the reference, whose numbers are float64 whatever the type they stand for.
 * @param data in row-major order, as many as the shape has; shared where it is a Float64Array
 * @throws RangeError for another count of numbers
 */
export function numbers(dtype: DType, shape: readonly number[], data: ArrayLike<number>): Numbers {
  checkSize(shape, data.length)
  return { dtype, shape, data: data instanceof Float64Array ? data : Float64Array.from(data) }
}

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)
/** 2^63 as a double stands for "to the end" in slices; it is held to what int64 can say. */
const toInt64 = (value: number): bigint => {
  const whole = BigInt(Math.trunc(value))
  return whole > INT64_MAX ? INT64_MAX : whole < INT64_MIN ? INT64_MIN : whole
}

const toUint64 = (value: number): bigint => BigInt.asUintN(64, BigInt(Math.trunc(value)))

/** The least and the largest number of a dtype of whole numbers. */
export function wholeRange(dtype: DType): readonly [number, number] {
  const bits = bitsOf(dtype)
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
}

/** A whole number in the bits of a dtype (of a small float their code): it wraps around. What is no number is 0, as in typed arrays. */
export function wrapped(whole: number, dtype: DType): number {
  const size = 2 ** bitsOf(dtype)
  const rest = Number.isFinite(whole) ? ((whole % size) + size) % size : 0
  return dtype.startsWith('int') && rest >= size / 2 ? rest - size : rest
}

const isCoded = (dtype: DType): dtype is keyof typeof floatCodes => Object.hasOwn(floatCodes, dtype)

/** What a number is in an array that does not make it of the number by itself. */
function elementOf(dtype: DType): ((value: number) => number) | undefined {
  if (isCoded(dtype)) return (value) => floatCodes[dtype].encode(value)
  if (dtype === 'bool') return (value) => Number(value !== 0)
  return bitsOf(dtype) < 8 ? (value) => wrapped(value, dtype) : undefined
}

function narrowed(dtype: DType, values: ArrayLike<number>): Tensor['data'] {
  if (dtype === 'int64') return BigInt64Array.from(values, toInt64)
  if (dtype === 'uint64') return BigUint64Array.from(values, toUint64)
  const data = new arrays[dtype](values.length)
  const element = elementOf(dtype)
  if (element) for (let i = 0; i < data.length; i++) data[i] = element(values[i]!)
  else data.set(values)
  return data
}

/**
 * A tensor that shares a typed array.
 * @throws TypeError when the array is not that of the dtype
 */
export function tensorOf(dtype: DType, shape: readonly number[], data: Tensor['data']): Tensor {
  checkSize(shape, data.length)
  if (!(data instanceof arrays[dtype]))
    throw new TypeError(`${dtype} is held by another array than ${data.constructor.name}`)
  return { dtype, shape, data } as Tensor
}

/**
 * A tensor of these numbers, rounded to its dtype.
 * @param values in row-major order, as many as the shape has
 * @throws RangeError for another count of numbers
 */
export const tensor = (dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor =>
  tensorOf(dtype, shape, narrowed(dtype, values))

export const zeros = (dtype: DType, shape: readonly number[]): Tensor =>
  tensorOf(dtype, shape, new arrays[dtype](elementsOf(shape)))

/** Whether float64 holds a whole number as it is; ±2^63 stands for the ends of int64, "as far as it goes" in slices. */
export const isExact = (value: number): boolean => Number.isSafeInteger(value) || Math.abs(value) === 2 ** 63

/** An int64 as a number: beyond 2^53 only the ends of its range are let through. */
function safeNumber(value: bigint): number {
  const number = Number(value)
  if (Number.isSafeInteger(number) || value >= INT64_MAX || value <= -INT64_MAX) return number
  throw new UserError(`${value} is beyond 2^53: float64 cannot hold it`)
}

/**
 * The same numbers in float64.
 * @throws UserError for a whole number that float64 cannot hold
 */
export function widen(value: Tensor | Numbers): Numbers {
  const { dtype, shape, data } = value
  if (data instanceof Float64Array) return { dtype, shape, data }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return { dtype, shape, data: Float64Array.from(data as BigInt64Array, safeNumber as never) }
  return {
    dtype,
    shape,
    data: isCoded(dtype) ? Float64Array.from(data, floatCodes[dtype].decode) : new Float64Array(data),
  }
}

/** The same numbers, rounded to their dtype, in its array; a tensor as it is. */
export const narrow = (value: Tensor | Numbers): Tensor =>
  value.data instanceof arrays[value.dtype]
    ? (value as Tensor)
    : tensor(value.dtype, value.shape, (value as Numbers).data)

/** The memory of a typed array, byte by byte. */
export const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** Bytes as the characters of a text, for the keys of maps. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  // Piece by piece: a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return text
}

/** Text that two tensors share only if a file holds the same bits for both: as numbers, −0 would be 0. */
export function keyOf(value: Tensor | Numbers): string {
  const { dtype, shape, data } = narrow(value)
  return `${dtype}[${shape}]${textOf(bytesOf(data))}`
}

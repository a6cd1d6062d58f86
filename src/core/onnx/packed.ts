// Numbers of fewer than 8 bits, which lie close in files: the first in the lowest bits of a byte (TensorProto.raw_data).

import { arrays, bitsOf, type DType, type Tensor, wrapped } from '../graph/tensor.js'

/** Bytes of so many elements in a file. */
export const fileBytes = (dtype: DType, count: number): number => Math.ceil((count * bitsOf(dtype)) / 8)

/** The elements of a type of fewer than 8 bits in the bytes of a file. */
export function unpacked(dtype: DType, bytes: Uint8Array, count: number): Tensor['data'] {
  const bits = bitsOf(dtype)
  const elements = Array.from({ length: 2 ** bits }, (_, code) => wrapped(code, dtype))
  const data = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const at = Math.floor((i * bits) / 8)
    const code = (bytes[at]! | ((bytes[at + 1] ?? 0) << 8)) >> ((i * bits) % 8)
    data[i] = elements[code & (elements.length - 1)]!
  }
  return new arrays[dtype](data.buffer)
}

/** The bytes of a file for elements of fewer than 8 bits. */
export function packed(dtype: DType, data: Tensor['data']): Uint8Array {
  const bits = bitsOf(dtype)
  const bytes = new Uint8Array(fileBytes(dtype, data.length))
  for (let i = 0; i < data.length; i++) {
    const at = Math.floor((i * bits) / 8)
    const word = (Number(data[i]) & (2 ** bits - 1)) << ((i * bits) % 8)
    bytes[at]! |= word & 255
    if (word > 255) bytes[at + 1]! |= word >> 8
  }
  return bytes
}

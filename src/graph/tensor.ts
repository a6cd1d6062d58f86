// Tensors as the graph knows them: constants, drawn weights and everything the reference evaluation computes.

import { sizeOf } from './shape.js'

export const dtypes = ['float32', 'float64', 'float16', 'int64', 'int32', 'uint8', 'bool'] as const
export type DType = (typeof dtypes)[number]

export const isFloat = (dtype: DType): boolean => dtype.startsWith('float')

/**
 * A row-major tensor. The numbers are held as float64 whatever the dtype: float64 holds each of them exactly (int64 up
 * to 2^53, bool as 0 and 1), and the reference evaluation wants that precision anyway. `dtype` says what a file or a
 * runtime makes of them.
 */
export interface Tensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: Float64Array
}

export function tensor(dtype: DType, shape: readonly number[], data: ArrayLike<number>): Tensor {
  const size = sizeOf(shape)
  if (data.length !== size)
    throw new RangeError(`a tensor of shape [${shape}] holds ${size} values, not ${data.length}`)
  return { dtype, shape, data: data instanceof Float64Array ? data : Float64Array.from(data) }
}

export const zeros = (dtype: DType, shape: readonly number[]): Tensor =>
  tensor(dtype, shape, new Float64Array(Number(sizeOf(shape))))

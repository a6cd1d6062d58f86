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

/** A tensor in host memory, row-major; `data` has the product of `shape` elements. */
export interface HostTensor<T extends HostDType = HostDType> {
  readonly dtype: T
  readonly shape: readonly number[]
  readonly data: HostArrays[T]
}

/** Tensors by name. */
export type HostTensors = Readonly<Record<string, HostTensor>>

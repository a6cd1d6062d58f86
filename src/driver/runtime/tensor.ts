// Tensors on their way to a runtime and back: names of their types, and memory that moves from thread to thread.
import { UserError } from '../../core/errors.js'
import { arrays, type DType, dtypes, isDType, type Tensor, type Tensors, tensorOf } from '../../core/graph/tensor.js'

/**
 * A runtime's element type.
 * @throws UserError naming the tensor when it is none of ours
 */
export function dtypeOfRuntime(name: string, dtype: string): DType {
  if (isDType(dtype)) return dtype
  throw new UserError(`"${name}" has element type ${dtype}; supported are ${dtypes.join(', ')}`)
}

/** A record with each value changed. */
export const mapValues = <A, B>(record: Readonly<Record<string, A>>, change: (value: A, key: string) => B) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))

/** A copy whose data covers its ArrayBuffer exactly, so that it can be handed to another thread. */
export function copyTensor({ dtype, shape, data }: Tensor): Tensor {
  const { buffer, byteOffset, byteLength, length } = data
  const copy = new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength)).buffer
  return tensorOf(dtype, shape, new arrays[dtype](copy, 0, length))
}

/** The buffers behind tensors, each once: what to move when the tensors go to another thread. */
export const memoryOf = (tensors: Tensors): ArrayBuffer[] => [
  ...new Set(Object.values(tensors).map((tensor) => tensor.data.buffer as ArrayBuffer)),
]

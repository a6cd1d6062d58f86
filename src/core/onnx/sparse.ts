// Sparse tensors, read as dense ones.

import { UserError } from '../errors.js'
import { arrays, elementsOf, type Tensor, tensorOf, widthOf } from '../graph/tensor.js'
import type { SparseTensorProto } from './schema.js'
import { type ExternalData, tensorFromProto, toNumber } from './tensors.js'

/** Most bytes of a dense tensor: a file of a hundred bytes may ask for any number. */
const MOST = 2 ** 30

/**
 * A SparseTensorProto in coordinates: its values, and where they stand. Indices are int64 [values], of the dense tensor in row-major
 * order, or int64 [values, rank], one for each axis; both ascend.
 * @throws UserError for indices that are not so, or a dense tensor of more than 1 GiB
 */
export function denseFromSparse(proto: SparseTensorProto, what: string, external?: ExternalData): Tensor {
  const values = tensorFromProto(proto.values ?? {}, `the values of ${what}`, external)
  const indices = tensorFromProto(proto.indices ?? {}, `the indices of ${what}`, external)
  const shape = (proto.dims ?? []).map(toNumber)
  const count = elementsOf(shape)
  if (shape.some((dim) => !(dim >= 0)) || !(count * widthOf(values.dtype) <= MOST))
    throw new UserError(`${what}: ${values.dtype}[${shape}] is not read dense; expected at most ${MOST} bytes`)
  const { length } = values.data
  const isLinear = indices.shape.length === 1
  const expected = isLinear ? [length] : [length, shape.length]
  if (values.shape.length !== 1 || indices.dtype !== 'int64' || indices.shape.join() !== expected.join())
    throw new UserError(
      `${what}: indices ${indices.dtype}[${indices.shape}] for values [${values.shape}] of a tensor [${shape}]; expected int64[${length}] or int64[${length},${shape.length}]`,
    )
  const dense = new arrays[values.dtype](count)
  let last = -1
  for (let i = 0; i < length; i++) {
    const at = isLinear ? Number(indices.data[i]) : linearIndex(indices.data, i, shape)
    if (!(at > last && at < count))
      throw new UserError(
        `${what}: the index of its value ${i} is not possible; expected indices within [${shape}] that ascend, each once`,
      )
    dense[at] = values.data[i]!
    last = at
  }
  return tensorOf(values.dtype, shape, dense)
}

/** The place in row-major order; NaN for an index outside. */
function linearIndex(indices: Tensor['data'], value: number, shape: readonly number[]): number {
  let at = 0
  for (const [axis, size] of shape.entries()) {
    const index = Number(indices[value * shape.length + axis])
    at = index >= 0 && index < size ? at * size + index : Number.NaN
  }
  return at
}

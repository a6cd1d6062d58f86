// Tile: a tensor side by side with itself.

import { dimsIn } from '../graph/dims.js'
import { ONNX_DOMAIN, operator } from '../graph/operator.js'
import { fixed, ints, normal } from '../graph/sample.js'
import { isKnown, isStatic, sizeOf, unifyDims, unknownShape } from '../graph/shape.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { reduceSum } from './reduction.js'
import { select } from './reference.js'
import { int64, Reshape, reshape, shapeOf, unsqueeze } from './shape.js'
import { concat } from './slice.js'

/** x as often along each axis as the repeats say. The gradient is the sum over the copies. */
export const Tile = operator({
  name: 'Tile',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [2, 2],
  infer([x, repeats]) {
    const rank = x!.shape.length
    if (repeats!.shape.length !== 1 || unifyDims(repeats!.shape[0]!, rank) === undefined)
      throw new GraphError('needs one number of repeats an axis')
    const known = dimsIn(repeats)
    if (known?.some((count) => isKnown(count) && count < 0)) throw new GraphError('repeats must be 0 or more')
    const shape = known ? x!.shape.map((dim, axis) => sizeOf([dim, known[axis]!])) : unknownShape(rank)
    return [{ dtype: x!.dtype, shape }]
  },
  gradient: {
    rule({ grad, inputs: [x, repeats] }) {
      const known = dimsIn(repeats)
      const apart = known?.flatMap((count, axis) => [count, x!.shape[axis]!])
      const copies = x!.shape.map((_, axis) => 2 * axis)
      if (copies.length === 0) return [grad, undefined]
      const split =
        apart && isStatic(apart) ? reshape(grad, apart) : apply1(Reshape, [grad, interleaved(repeats!, shapeOf(x!))])
      return [reduceSum(split, copies, { keepdims: 0 }), undefined]
    },
  },
  evaluate([x, repeats]) {
    const shape = x!.shape.map((dim, axis) => dim * repeats!.data[axis]!)
    return [select(x!, shape, (index) => index.map((i, axis) => i % x!.shape[axis]!))]
  },
  samples: [
    { inputs: [normal(2, 3), ints(2, 1)] },
    { inputs: [normal(2, 1, 3), ints(1, 3, 2)] },
    { inputs: [normal(2, 3), fixed('int64', [2], [2, 3])] },
  ],
})
/** x repeated so many times along each axis. */
export const tile = (x: Value, repeats: readonly number[]): Value => apply1(Tile, [x, int64(repeats)])

/** Two vectors of one length, number by number in turn. */
const interleaved = (a: Value, b: Value): Value => reshape(concat([unsqueeze(a, 1), unsqueeze(b, 1)], 1), [-1])

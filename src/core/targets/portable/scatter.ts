// A ScatterND that reduces, where places come more than once. ONNX Runtime's CPU provider shares the updates among threads with
// nothing between them, so that of two at one place one may be lost (microsoft/onnxruntime#18048, #23396): the words of a text,
// 4,096 of them two words over and over, came out wrong by half. ScatterElements it runs in one thread.

import { isKnown } from '../../graph/shape.js'
import { apply1, constant, constantOf, type Value } from '../../graph/value.js'
import {
  add,
  Expand,
  flatten,
  gather,
  less,
  mul,
  reshape,
  reshapeAs,
  ScatterElements,
  ScatterND,
  shapeOf,
  slice,
  tupleLength,
  where,
} from '../../ops/index.js'
import type { Expansions } from '../target.js'

/** As many scatters as the place that comes most often comes: up to here they are faster than one ScatterElements. */
const MOST_ROUNDS = 4

/** How often each tuple of the list came before it. */
function earlierOf(indices: readonly number[], length: number): readonly number[] {
  const seen = new Map<string, number>()
  return Array.from({ length: indices.length / length }, (_, i) => {
    const tuple = indices.slice(i * length, (i + 1) * length).join()
    const times = seen.get(tuple) ?? 0
    seen.set(tuple, times + 1)
    return times
  })
}

/** Index tuples, [K, length], as places along one axis, [K, 1]. */
function flat(x: Value, tuples: Value, length: number): Value {
  if (length === 1) return tuples
  const size = (axis: number): Value => {
    const dim = x.shape[axis]!
    return isKnown(dim) ? constant('int64', dim) : gather(shapeOf(x), constant('int64', axis))
  }
  const along = (axis: number): Value => {
    const place = slice(tuples, [1], [axis], [axis + 1])
    return where(less(place, constant('int64', 0)), add(place, size(axis)), place)
  }
  return Array.from({ length: length - 1 }, (_, i) => i + 1).reduce(
    (places, axis) => add(mul(places, size(axis)), along(axis)),
    along(0),
  )
}

function byElements(x: Value, indices: Value, updates: Value, reduction: string): Value {
  const length = tupleLength(indices)
  const slices = flatten(updates, indices.shape.length - 1)
  const places = apply1(Expand, [flat(x, reshape(indices, [-1, length]), length), shapeOf(slices)])
  const into = (rows: Value): Value => apply1(ScatterElements, [rows, places, slices], { axis: 0, reduction })
  return x.shape.length === 2 && length === 1 ? into(x) : reshapeAs(into(flatten(x, length)), x)
}

/** Known places: those that come for the first time, then for the second, … */
function inRounds(x: Value, tuples: Value, updates: Value, reduction: string, earlier: readonly number[]): Value {
  const rounds = Array.from({ length: Math.max(...earlier) + 1 }, (_, round) =>
    earlier.flatMap((times, i) => (times === round ? [i] : [])),
  )
  return rounds.reduce((folded, some) => {
    const chosen = constant('int64', some)
    return apply1(ScatterND, [folded, gather(tuples, chosen), gather(updates, chosen)], { reduction })
  }, x)
}

export const scatterND: NonNullable<Expansions['ScatterND']> = ([x, indices, updates], { reduction }) => {
  const known = constantOf(indices)
  const length = tupleLength(indices!)
  const earlier = known && earlierOf([...known], length)
  const rounds = earlier ? Math.max(0, ...earlier) + 1 : Number.POSITIVE_INFINITY
  if (reduction === 'none' || rounds === 1) return [apply1(ScatterND, [x, indices, updates], { reduction })]
  if (earlier && rounds <= MOST_ROUNDS && indices!.shape.length === 2)
    return [inRounds(x!, indices!, updates!, reduction, earlier)]
  return [byElements(x!, indices!, updates!, reduction)]
}

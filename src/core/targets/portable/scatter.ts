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

/** ScatterND of 4,096 × 128 takes 0.9 ms, ScatterElements 6.9: so many of the first in place of one of the second. */
const MOST_ROUNDS = 4

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

/** Of known places, [K, length]: the rows of those that come for the first time, of those that come for the second, … */
function roundsOf(indices: Value): readonly (readonly number[])[] | undefined {
  const known = constantOf(indices)
  if (!known || indices.shape.length !== 2) return undefined
  const rounds: number[][] = []
  const seen = new Map<string, number>()
  const length = tupleLength(indices)
  for (let row = 0; row * length < known.length; row++) {
    const tuple = known.slice(row * length, (row + 1) * length).join()
    const times = seen.get(tuple) ?? 0
    seen.set(tuple, times + 1)
    rounds[times] ??= []
    rounds[times].push(row)
  }
  return rounds
}

export const scatterND: NonNullable<Expansions['ScatterND']> = ([x, indices, updates], { reduction }) => {
  const scattered = (into: Value, places: Value, rows: Value): Value =>
    apply1(ScatterND, [into, places, rows], { reduction })
  const rounds = reduction === 'none' ? [] : roundsOf(indices!)
  if (!rounds || rounds.length > MOST_ROUNDS) return [byElements(x!, indices!, updates!, reduction)]
  if (rounds.length <= 1) return [scattered(x!, indices!, updates!)]
  const take = (value: Value, rows: readonly number[]) => gather(value, constant('int64', rows))
  return [rounds.reduce((into, rows) => scattered(into, take(indices!, rows), take(updates!, rows)), x!)]
}

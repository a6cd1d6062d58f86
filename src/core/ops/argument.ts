// Operators that find places: of the largest, of the smallest, of the k largest.

import { dimsIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, older, operator, required } from '../graph/operator.js'
import { distinct, fixed, ints } from '../graph/sample.js'
import { type Dim, isKnown, sizeOf, unknownDim } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply, apply1, constant, GraphError, type Value } from '../graph/value.js'
import { scatterAdd } from './indexing.js'
import { withoutAxes } from './reduction.js'
import { lines } from './reference.js'
import { fillAs, requireAxes } from './shape.js'

/** Whether a number comes before another. */
type Before = (a: number, b: number) => boolean
/** NaN is larger than all, as numpy has it. */
const larger: Before = (a, b) => a > b || (Number.isNaN(a) && !Number.isNaN(b))
const smaller: Before = (a, b) => a < b || (Number.isNaN(a) && !Number.isNaN(b))

/** The place along an axis of the number that comes before the others: the first of equals, or the last. */
export function argPlaces(x: Numbers, axis: number, before: Before = larger, last = false): number[] {
  const { starts, step, length } = lines(x, axis)
  return starts.map((start) => {
    const at = (place: number) => x.data[start + place * step]!
    let best = 0
    for (let k = 1; k < length; k++) if (before(at(k), at(best)) || (last && !before(at(best), at(k)))) best = k
    return best
  })
}

const argAttributes = { axis: int(0), keepdims: int(1), select_last_index: int(0) }
function argument(name: string, before: Before): Operator<typeof argAttributes> {
  return operator({
    name,
    domain: ONNX_DOMAIN,
    since: 13,
    attributes: argAttributes,
    arity: [1, 1],
    infer([x], { axis, keepdims }) {
      return [{ dtype: 'int64', shape: withoutAxes(x!.shape, requireAxes([axis], x!.shape.length), keepdims) }]
    },
    gradient: 'zero',
    evaluate([x], { axis, keepdims, select_last_index }) {
      const axes = requireAxes([axis], x!.shape.length)
      const shape = withoutAxes(x!.shape, axes, keepdims) as readonly number[]
      return [numbers('int64', shape, argPlaces(x!, axes[0]!, before, select_last_index === 1))]
    },
    samples: [
      { inputs: [distinct(3, 4)], attributes: { axis: 1 } },
      { inputs: [distinct(3, 2, 4)], attributes: { axis: -2, keepdims: 0 } },
      { inputs: [fixed('float32', [2, 3], [1, 3, 3, 2, 2, 2])], attributes: { axis: 1, select_last_index: 1 } },
    ],
  })
}

/** The place of the largest element along an axis: the first of equals, or the last; int64. */
export const ArgMax = argument('ArgMax', larger)
/**
 * The place of the largest element along an axis, int64; of equals the first, or the last with `select_last_index: 1`. The
 * axis stays with length 1 unless `keepdims` is 0.
 */
export const argMax = (
  x: Value,
  axis: number,
  options: { readonly keepdims?: number; readonly select_last_index?: number } = {},
): Value => apply1(ArgMax, [x], { axis, ...options })
/** The place of the smallest element along an axis. */
export const ArgMin = argument('ArgMin', smaller)

const topAttributes = { axis: int(-1), largest: int(1), sorted: int(1) }
/** The k largest numbers along an axis (or smallest), from the first on, and their places; of equals the first. */
export const TopK: Operator<typeof topAttributes> = operator({
  name: 'TopK',
  domain: ONNX_DOMAIN,
  since: 11,
  older: [
    older({
      until: 9,
      attributes: { axis: int(-1), k: required('int') },
      read: ([x], { axis, k }) => apply(TopK, [x, constant('int64', [k])], { axis }),
    }),
  ],
  attributes: topAttributes,
  arity: [2, 2],
  infer([x, k], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const length = x!.shape[along!]!
    const count: Dim = dimsIn(k)?.[0] ?? unknownDim()
    if (isKnown(count) && isKnown(length) && (count > length || count < 0))
      throw new GraphError(`k = ${count} is out of range for an axis of ${length}`)
    const shape = x!.shape.map((dim, i) => (i === along ? count : dim))
    return [
      { dtype: x!.dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
  gradient: {
    rule: ({ grad, inputs: [x], outputs: [, places], attributes: { axis } }) => [
      scatterAdd(fillAs(0, x!), places!, grad, requireAxes([axis], x!.shape.length)[0]!),
    ],
  },
  evaluate([x, k], { axis, largest }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const { starts, step, length } = lines(x!, along!)
    const count = k!.data[0]!
    if (count > length) throw new GraphError(`k = ${count} is out of range for an axis of ${length}`)
    const before = largest ? larger : smaller
    const shape = x!.shape.map((dim, i) => (i === along ? count : dim))
    const places = new Float64Array(Number(sizeOf(shape)))
    const values = new Float64Array(places.length)
    for (const [line, start] of starts.entries()) {
      const at = (place: number) => x!.data[start + place * step]!
      const order = Array.from({ length }, (_, place) => place).sort((a, b) =>
        before(at(a), at(b)) ? -1 : before(at(b), at(a)) ? 1 : a - b,
      )
      const first = Math.floor(line / step) * count * step + (line % step)
      for (let i = 0; i < count; i++) {
        places[first + i * step] = order[i]!
        values[first + i * step] = at(order[i]!)
      }
    }
    return [numbers(x!.dtype, shape, values), numbers('int64', shape, places)]
  },
  samples: [
    { inputs: [distinct(3, 5), ints(2)] },
    { inputs: [distinct(4, 3), ints(3)], attributes: { axis: 0, largest: 0 } },
    { inputs: [distinct(2, 4, 3), fixed('int64', [1], [2])], attributes: { axis: 1 } },
  ],
})

// Operators that choose or turn around what the data say: Compress, Unique, ReverseSequence.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, type Operator, operator, optional } from '../graph/operator.js'
import { fixed, held, normal } from '../graph/sample.js'
import { type Shape, sizeOf, stridesOf, unknownDim } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply1, GraphError } from '../graph/value.js'
import { addSlices, gather, nonZero } from './indexing.js'
import { select } from './reference.js'
import { requireAxes, reshape, reshapeAs } from './shape.js'

/** The slices of x along an axis, or the elements without one, whose condition is true. */
export const Compress = composite({
  name: 'Compress',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: { axis: optional('int') },
  arity: [2, 2],
  check([x, condition], { axis }) {
    if (axis !== undefined) requireAxes([axis], x!.shape.length)
    if (condition!.dtype !== 'bool' || condition!.shape.length !== 1)
      throw new GraphError('the condition must be a vector of bools')
  },
  body([x, condition], { axis }) {
    const places = reshape(nonZero(condition!), [-1])
    return [axis === undefined ? gather(reshape(x!, [-1]), places) : gather(x!, places, axis)]
  },
  samples: [
    { inputs: [normal(2, 3), fixed('bool', [3], [1, 0, 1])], attributes: { axis: 1 } },
    { inputs: [normal(2, 3), fixed('bool', [5], [0, 1, 0, 0, 1])] },
  ],
})

/** Slices of x along an axis, each as one list of numbers. */
function slicesOf(x: Numbers, axis: number): readonly (readonly number[])[] {
  const inner = stridesOf(x.shape)[axis]!
  const length = x.shape[axis]!
  const slices = Array.from({ length }, (): number[] => [])
  x.data.forEach((value, i) => {
    slices[Math.floor(i / inner) % length]!.push(value)
  })
  return slices
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1
}

const uniqueAttributes = { axis: optional('int'), sorted: int(1) }

/**
 * The distinct elements, or slices along an axis, in ascending order or that of their first places; then the first place of
 * each, which of them each element is, and how often each comes.
 */
export const Unique: Operator<typeof uniqueAttributes> = operator({
  name: 'Unique',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: uniqueAttributes,
  arity: [1, 1],
  requiredOutputs: 1,
  infer([x], { axis }) {
    const { dtype, shape } = x!
    const along = axis === undefined ? undefined : requireAxes([axis], shape.length)[0]!
    const count = unknownDim()
    const distinct: Shape = along === undefined ? [count] : shape.map((dim, i) => (i === along ? count : dim))
    const all = along === undefined ? sizeOf(shape) : shape[along]!
    return [
      { dtype, shape: distinct },
      { dtype: 'int64', shape: [count] },
      { dtype: 'int64', shape: [all] },
      { dtype: 'int64', shape: [count] },
    ]
  },
  differentiable: { outputs: [0] },
  // Of equal slices the first has come out; PyTorch's unique has no gradient.
  gradient: {
    rule({ grad, inputs: [x], outputs: [, first], attributes: { axis } }) {
      if (axis === undefined) return [reshapeAs(addSlices(grad, first!, reshape(x!, [-1]), 0), x!)]
      return [addSlices(grad, first!, x!, requireAxes([axis], x!.shape.length)[0]!)]
    },
  },
  evaluate([x], { axis, sorted }) {
    const flat = axis === undefined ? numbers(x!.dtype, [x!.data.length], x!.data) : x!
    const [along] = requireAxes([axis ?? 0], flat.shape.length) as [number]
    const slices = slicesOf(flat, along)
    const first = new Map<string, number>()
    const counts = new Map<string, number>()
    slices.forEach((slice, i) => {
      const key = slice.join()
      if (!first.has(key)) first.set(key, i)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    })
    const places = [...first.values()]
    if (sorted) places.sort((a, b) => compare(slices[a]!, slices[b]!))
    const keys = places.map((place) => slices[place]!.join())
    const which = new Map(keys.map((key, i) => [key, i]))
    const shape = flat.shape.map((dim, i) => (i === along ? places.length : dim))
    const whole = (values: readonly number[]) => numbers('int64', [values.length], values)
    return [
      select(flat, shape, (index) => index.map((i, k) => (k === along ? places[i]! : i))),
      whole(places),
      whole(slices.map((slice) => which.get(slice.join())!)),
      whole(keys.map((key) => counts.get(key)!)),
    ]
  },
  samples: [
    { inputs: [normal(2, 3)] },
    { inputs: [normal(3, 2)], attributes: { axis: 1, sorted: 0 } },
    // Of numbers that are the same no differences can be taken.
    { inputs: [held('float32', [6], [2, 1, 1, 3, 4, 3])] },
    { inputs: [held('float32', [6], [2, 1, 1, 3, 4, 3])], attributes: { sorted: 0 } },
    { inputs: [held('float32', [3, 3], [1, 0, 0, 1, 0, 0, 2, 3, 4])], attributes: { axis: 0 } },
  ],
})

const reverseAttributes = { batch_axis: int(1), time_axis: int(0) }

/** The first steps of each sequence of a batch in reverse order, as many as its length says. Its own adjoint. */
export const ReverseSequence: Operator<typeof reverseAttributes> = operator({
  name: 'ReverseSequence',
  domain: ONNX_DOMAIN,
  since: 10,
  attributes: reverseAttributes,
  arity: [2, 2],
  infer([x, lengths], { batch_axis, time_axis }) {
    if ([...requireAxes([batch_axis, time_axis], x!.shape.length)].some((axis) => axis > 1))
      throw new GraphError('batch and time must be the first two axes')
    if (lengths!.dtype !== 'int64' || lengths!.shape.length !== 1)
      throw new GraphError('needs one int64 length for each of the batch')
    return [x!]
  },
  gradient: {
    rule: ({ grad, inputs: [, lengths], attributes }) => [
      apply1(ReverseSequence, [grad, lengths], attributes),
      undefined,
    ],
  },
  evaluate([x, lengths], { batch_axis, time_axis }) {
    const [batch, time] = requireAxes([batch_axis, time_axis], x!.shape.length) as [number, number]
    return [
      select(x!, x!.shape, (index) => {
        const length = lengths!.data[index[batch]!]!
        return index.map((i, axis) => (axis === time && i < length ? length - 1 - i : i))
      }),
    ]
  },
  samples: [
    { inputs: [normal(4, 3, 2), fixed('int64', [3], [4, 1, 2])] },
    { inputs: [normal(2, 3), held('int64', [2], [3, 2])], attributes: { batch_axis: 0, time_axis: 1 } },
  ],
})
/**
 * The first lengths[n] steps of each sequence in reverse order, the rest as it is: x [time, batch, …], lengths int64
 * [batch].
 */
export const reverseSequence = (x: Parameters<typeof gather>[0], lengths: Parameters<typeof gather>[0]) =>
  apply1(ReverseSequence, [x, lengths])

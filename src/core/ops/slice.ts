// Operators that cut and join: Slice, Concat, Split.

import { dimsIn, knownIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, older, operator, optional, required } from '../graph/operator.js'
import { fixed, held, ints, normal } from '../graph/sample.js'
import { addDims, type Dim, divideDim, isKnown, isUnknown, type Shape, unifyDims, unknownDim } from '../graph/shape.js'
import { isInteger, type Numbers, numbers } from '../graph/tensor.js'
import { apply, apply1, GraphError, type Value } from '../graph/value.js'
import { add, div, mul, sub } from './elementwise.js'
import { gather } from './indexing.js'
import { select } from './reference.js'
import { fillAs, int64, requireAxes, shapeOf } from './shape.js'
import { unslice } from './unslice.js'

/** One axis of a Slice. */
export interface AxisSlice {
  start: number
  step: number
  /** Undefined: as long as the axis is, less `less`. */
  count: number | undefined
  less: number
}

const whole: AxisSlice = { start: 0, step: 1, count: undefined, less: 0 }

/** One axis of a Slice by ONNX's clamping rules; undefined where the length of a symbolic axis says what it is. */
export function sliceAxis(dim: Dim, start: number, end: number, step: number): AxisSlice | undefined {
  if (step === 0 || !Number.isInteger(step)) throw new GraphError(`step ${step} must be a whole number other than 0`)
  if (isKnown(dim)) {
    const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value))
    const from = start < 0 ? start + dim : start
    const to = end < 0 ? end + dim : end
    const first = step > 0 ? clamp(from, 0, dim) : clamp(from, 0, dim - 1)
    const last = step > 0 ? clamp(to, 0, dim) : clamp(to, -1, dim - 1)
    return { start: first, step, count: Math.max(0, Math.ceil((last - first) / step)), less: 0 }
  }
  const toEnd = end >= BEYOND
  if (step === 1 && start >= 0 && (toEnd || end < 0))
    return { start, step, count: undefined, less: start - (toEnd ? 0 : end) }
  return step === -1 && start === -1 && end <= -WHOLE ? { ...whole, step } : undefined
}

/** "To the end of the axis" for Slice's ends, and its mirror for negative steps. */
export const WHOLE = 2 ** 31 - 1
/** What ends no axis before its end: tf2onnx writes a thousand million for it. */
const BEYOND = 1e9

/** The places at which each axis is sliced, undefined where it is not. */
export function sliceAxes<T>(
  shape: Shape,
  [starts, ends, axes, steps]: readonly (readonly (T | number)[] | undefined)[],
  each: (dim: Dim, start: T | number, end: T | number, step: T | number) => AxisSlice | undefined,
) {
  const along = requireAxes((axes as readonly number[] | undefined) ?? starts!.map((_, i) => i), shape.length)
  return shape.map((dim, axis) => {
    const i = along.indexOf(axis)
    return i < 0 ? whole : each(dim, starts![i]!, ends![i]!, steps?.[i] ?? 1)
  })
}

/** The length of a slice of which not all may be known. An end that is a symbol is taken to lie within the axis. */
function slicedLength(dim: Dim, start: Dim, end: Dim, step: Dim): Dim {
  if (isKnown(start) && isKnown(end) && isKnown(step)) {
    const exact = sliceAxis(dim, start, end, step)
    if (exact) return exact.count ?? addDims(dim, -exact.less)
    // An axis has one element at least.
    return step === 1 && ((start === -1 && end >= BEYOND) || (start === 0 && end === 1)) ? 1 : unknownDim()
  }
  if (start !== 0 || step !== 1 || isKnown(end)) return unknownDim()
  return end === dim || (isKnown(dim) && dim > 1 && !isUnknown(end)) ? end : unknownDim()
}

const open = '?'
/** What is known of starts, ends, axes and steps; undefined for the axes where they are not known. */
function partsOf(operands: readonly (Value | undefined)[]): readonly (readonly Dim[] | undefined)[] {
  const lengths = operands.flatMap((operand) => (operand ? [operand.shape[0] ?? 0] : []))
  const [length] = lengths.filter(isKnown)
  if (
    operands.some((operand) => operand && operand.shape.length !== 1) ||
    lengths.some((n) => isKnown(n) && n !== length)
  )
    throw new GraphError('starts, ends, axes and steps need one number each for the same axes')
  return operands.map((operand, i) => {
    const known = i === 2 ? knownIn(operand) : dimsIn(operand)
    return known ?? (operand && i !== 2 && length !== undefined ? new Array<Dim>(length).fill(open) : undefined)
  })
}

const none = {}
/** x[starts : ends : steps] along axes, by ONNX's rules: ends are exclusive, negative places count from the back. */
export const Slice: Operator<typeof none> = operator({
  name: 'Slice',
  domain: ONNX_DOMAIN,
  since: 13,
  older: [
    older({
      until: 9,
      attributes: { starts: required('ints'), ends: required('ints'), axes: optional('ints') },
      read: ([x], { starts, ends, axes }) => [slice(x!, axes ?? starts.map((_, i) => i), starts, ends)],
    }),
  ],
  attributes: none,
  arity: [3, 5],
  infer([x, ...operands]) {
    if (operands.some((operand) => operand && !isInteger(operand.dtype)))
      throw new GraphError('starts, ends, axes and steps must be whole numbers')
    const parts = partsOf(operands)
    if (!parts[0] || !parts[1] || (operands[2] && !parts[2])) {
      // Any of the axes may be sliced.
      return [{ dtype: x!.dtype, shape: x!.shape.map(unknownDim) }]
    }
    const along = requireAxes((parts[2] as readonly number[] | undefined) ?? parts[0].map((_, i) => i), x!.shape.length)
    const shape = x!.shape.map((dim, axis) => {
      const i = along.indexOf(axis)
      return i < 0 ? dim : slicedLength(dim, parts[0]![i]!, parts[1]![i]!, parts[3]?.[i] ?? 1)
    })
    return [{ dtype: x!.dtype, shape }]
  },
  dims([x, ...operands], _, known) {
    const from = known(x)
    const parts = operands.map((operand) => operand && knownIn(operand))
    if (!from || x!.shape.length !== 1 || operands.some((operand, i) => operand && !parts[i])) return [undefined]
    const [axis] = sliceAxes<number>([from.length], parts, sliceAxis)
    return [Array.from({ length: axis!.count ?? from.length }, (_, i) => from[axis!.start + i * axis!.step]!)]
  },
  gradient: { rule: ({ grad, inputs: [x, ...operands] }) => [unslice(grad, x!, operands)] },
  evaluate([x, ...operands]) {
    const parts = operands.map((operand) => operand && [...operand.data])
    const axes = sliceAxes<number>(x!.shape, parts, sliceAxis)
    const shape = axes.map((axis, i) => axis!.count ?? x!.shape[i]!)
    return [select(x!, shape, (index) => index.map((i, axis) => axes[axis]!.start + i * axes[axis]!.step))]
  },
  samples: [
    { inputs: [normal(4, 5), ints(1, -3), ints(4, WHOLE)] },
    { inputs: [normal(2, 7), ints(1), ints(6), ints(1), ints(2)] },
    { inputs: [normal(3, 7), ints(-1, 5), ints(-WHOLE, 0), ints(0, -1), ints(-1, -2)] },
    { inputs: [normal(4, 5), fixed('int64', [2], [1, -3]), fixed('int64', [2], [9, -1])] },
    {
      inputs: [
        normal(3, 5),
        fixed('int32', [1], [-2]),
        fixed('int32', [1], [-9]),
        held('int32', [1], [1]),
        fixed('int32', [1], [-2]),
      ],
    },
    { inputs: [normal(3, 5), ints(1), ints(3), fixed('int64', [1], [-1])] },
  ],
})

/** Slice along some axes: `slice(x, [2], [1], [WHOLE], [2])` is x[:, :, 1::2]. */
export const slice = (
  x: Value,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = axes.map(() => 1),
): Value => apply1(Slice, [x, int64(starts), int64(ends), int64(axes), int64(steps)])

/** x with the given axes reversed. */
export const flip = (x: Value, ...axes: number[]): Value =>
  slice(
    x,
    axes,
    axes.map(() => -1),
    axes.map(() => -WHOLE),
    axes.map(() => -1),
  )

/** Joins values along an axis; all other dimensions agree. */
export const Concat = operator({
  name: 'Concat',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: required('int') },
  arity: [1, Number.POSITIVE_INFINITY],
  infer(parts, { axis }) {
    const [first] = parts
    const [along] = requireAxes([axis], first!.shape.length)
    for (const part of parts) {
      const fits =
        part.dtype === first!.dtype &&
        part.shape.length === first!.shape.length &&
        part.shape.every((dim, i) => i === along || unifyDims(dim, first!.shape[i]!) !== undefined)
      if (!fits) throw new GraphError(`all inputs must agree in dtype and in every dimension but axis ${along}`)
    }
    const total = parts.map((part) => part.shape[along!]!).reduce(addDims)
    const unified = parts
      .map(({ shape }) => shape)
      .reduce((a, b) => a.map((dim, i) => (i === along ? 0 : unifyDims(dim, b[i]!)!)))
    return [{ dtype: first!.dtype, shape: unified.map((dim, i) => (i === along ? total : dim)) }]
  },
  dims(parts, _, known) {
    const all = parts.map(known)
    return [all.every((part) => part) && parts[0]!.shape.length === 1 ? all.flatMap((part) => part!) : undefined]
  },
  gradient: {
    rule({ grad, inputs, attributes: { axis } }) {
      const [along] = requireAxes([axis], grad.shape.length)
      const lengths = inputs.map((part) => part.shape[along!]!)
      if (!lengths.every(isKnown)) return apply(Split, [grad, lengthsAlong(inputs, along!)], { axis })
      let start = 0
      return lengths.map((length) => {
        start += length
        return slice(grad, [along!], [start - length], [start])
      })
    },
  },
  evaluate(parts, { axis }) {
    const [along] = requireAxes([axis], parts[0]!.shape.length)
    const total = parts.reduce((sum, part) => sum + part.shape[along!]!, 0)
    const shape = parts[0]!.shape.map((dim, i) => (i === along ? total : dim))
    const blocks = parts[0]!.shape.slice(0, along).reduce((count, dim) => count * dim, 1)
    const inner = parts[0]!.shape.slice(along! + 1).reduce((count, dim) => count * dim, 1)
    const data = new Float64Array(blocks * total * inner)
    let start = 0
    for (const part of parts) {
      const width = part.shape[along!]! * inner
      for (let block = 0; block < blocks; block++)
        data.set(part.data.subarray(block * width, (block + 1) * width), block * total * inner + start)
      start += width
    }
    return [numbers(parts[0]!.dtype, shape, data)]
  },
  samples: [
    { inputs: [normal(2, 3), normal(2, 1), normal(2, 2)], attributes: { axis: 1 } },
    { inputs: [normal(2, 3), normal(1, 3)], attributes: { axis: -2 } },
    { inputs: [normal(2, 3)], attributes: { axis: 0 } },
    { inputs: [fixed('int64', [2], [1, 2]), fixed('int64', [1], [3])], attributes: { axis: 0 } },
  ],
})
/** Values one behind the other along an axis; the other axes are as long in all. */
export const concat = (parts: readonly Value[], axis: number): Value => apply1(Concat, parts, { axis })

/** How long each value is along an axis, an int64 vector. */
function lengthsAlong(values: readonly Value[], axis: number): Value {
  return concat(
    values.map((value) => {
      const dim = value.shape[axis]!
      return isKnown(dim) ? int64([dim]) : gather(shapeOf(value), int64([axis]))
    }),
    0,
  )
}

/** The lengths of so many equal parts, of which the last may be shorter. */
function equalLengths(length: number, parts: number): number[] {
  const each = Math.ceil(length / parts)
  const last = length - each * (parts - 1)
  if (last < 0) throw new GraphError(`an axis of ${length} does not make ${parts} parts of ${each}`)
  return [...new Array<number>(parts - 1).fill(each), last]
}

function partLengths(dim: Dim, lengths: Value | undefined, parts: number | undefined): readonly Dim[] {
  if (!lengths === (parts === undefined))
    throw new GraphError('needs the lengths of the parts or num_outputs, and not both')
  if (!lengths) {
    if (parts! < 1) throw new GraphError(`num_outputs=${parts} must be at least 1`)
    return isKnown(dim)
      ? equalLengths(dim, parts!)
      : Array.from({ length: parts! }, () => divideDim(dim, parts!) ?? unknownDim())
  }
  const count = lengths.shape[0]
  const known =
    dimsIn(lengths) ?? (count !== undefined && isKnown(count) ? Array.from({ length: count }, unknownDim) : undefined)
  if (!known) throw new GraphError('the lengths of the parts must be known, or at least how many they are')
  const total = known.reduce(addDims, 0)
  if ((isKnown(total) && isKnown(dim) && total !== dim) || known.some((part) => isKnown(part) && part < 0))
    throw new GraphError(`parts of ${known} do not make up an axis of ${dim}`)
  return known
}

const splitAttributes = { axis: int(0), num_outputs: optional('int') }

/** Consecutive parts of x along an axis: the second input says how long each is, or num_outputs how many there are. */
export const Split: Operator<typeof splitAttributes> = operator({
  name: 'Split',
  domain: ONNX_DOMAIN,
  since: 18,
  before: {
    lacks: ['num_outputs'],
    instead([x], { axis, num_outputs }) {
      if (num_outputs === undefined) return undefined
      const [along] = requireAxes([axis], x!.shape.length)
      const dim = x!.shape[along!]!
      if (isKnown(dim)) return split(x!, equalLengths(dim, num_outputs), axis)
      const length = gather(shapeOf(x!), int64([along!]))
      const each = div(add(length, num_outputs - 1), num_outputs)
      const last = sub(length, mul(each, num_outputs - 1))
      return apply(Split, [x, concat([...new Array<Value>(num_outputs - 1).fill(each), last], 0)], { axis })
    },
  },
  older: [
    older({
      until: 12,
      attributes: { axis: int(0), split: optional('ints') },
      read: ([x], { axis, split: lengths }, outputs) =>
        lengths ? split(x!, lengths, axis) : apply(Split, [x], { axis, num_outputs: outputs }),
    }),
    older({
      until: 17,
      attributes: { axis: int(0) },
      read: ([x, lengths], { axis }, outputs) =>
        lengths ? undefined : apply(Split, [x], { axis, num_outputs: outputs }),
    }),
  ],
  attributes: splitAttributes,
  arity: [1, 2],
  infer([x, lengths], { axis, num_outputs }) {
    const [along] = requireAxes([axis], x!.shape.length)
    return partLengths(x!.shape[along!]!, lengths, num_outputs).map((length) => ({
      dtype: x!.dtype,
      shape: x!.shape.map((dim, i) => (i === along ? length : dim)),
    }))
  },
  dims([x, lengths], { num_outputs }, known) {
    const [from, counts] = [known(x), lengths && knownIn(lengths)]
    const parts = from && (lengths ? counts : equalLengths(from.length, num_outputs!))
    if (!parts || x!.shape.length !== 1) return [undefined]
    let start = 0
    return parts.map((count) => {
      start += count
      return from.slice(start - count, start)
    })
  },
  gradient: {
    rule: ({ grads, outputs, attributes: { axis } }) => [
      concat(
        outputs.map((part, i) => grads[i] ?? fillAs(0, part)),
        axis,
      ),
      undefined,
    ],
  },
  evaluate([x, lengths], { axis, num_outputs }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const length = x!.shape[along!]!
    const counts = lengths ? [...lengths.data] : equalLengths(length, num_outputs!)
    if (counts.reduce((sum, count) => sum + count, 0) !== length)
      throw new GraphError(`parts of ${counts} do not make up an axis of ${length}`)
    let start = 0
    return counts.map((count): Numbers => {
      const first = start
      start += count
      const shape = x!.shape.map((dim, i) => (i === along ? count : dim))
      return select(x!, shape, (index) => index.map((i, k) => (k === along ? i + first : i)))
    })
  },
  samples: [
    { inputs: [normal(6, 2), ints(1, 3, 2)] },
    { inputs: [normal(2, 5), ints(5)], attributes: { axis: -1 } },
    { inputs: [normal(2, 5)], attributes: { axis: 1, num_outputs: 3 } },
    { inputs: [normal(6, 2), fixed('int64', [3], [1, 3, 2])] },
  ],
})
/** x cut along an axis into parts of these lengths. */
export const split = (x: Value, lengths: readonly number[], axis = 0): readonly Value[] =>
  apply(Split, [x, int64(lengths)], { axis })

export { pad } from './pad.js'

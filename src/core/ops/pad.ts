// Pad: a frame around a tensor, of one number or of its own elements.

import { dimsIn, knownIn } from '../graph/dims.js'
import { float, ONNX_DOMAIN, type Operator, older, operator, required, string } from '../graph/operator.js'
import { fixed, ints, normal, scalar } from '../graph/sample.js'
import { addDims, type Dim, isKnown, type Shape, unknownDim } from '../graph/shape.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { add, cast, div, less, max, min, mul, sub, where } from './elementwise.js'
import { placesAlong } from './generate.js'
import { addSlices, gather } from './indexing.js'
import { reduceSum } from './reduction.js'
import { select } from './reference.js'
import { scatterInto } from './scatter.js'
import { fillAs, int64, requireAxes, reshape, shapeOf } from './shape.js'
import { concat } from './slice.js'

const modes = ['constant', 'reflect', 'edge', 'wrap']
type Sides<T> = readonly (readonly [before: T, after: T])[]

/** What each axis gets before and after it. */
function padding<T>(rank: number, pads: readonly T[], axes: readonly number[] | undefined, nothing: T): Sides<T> {
  const along = requireAxes(axes ?? Array.from({ length: rank }, (_, i) => i), rank)
  if (pads.length !== 2 * along.length)
    throw new GraphError(`needs two pads an axis, got ${pads.length} for ${along.length} axes`)
  return Array.from({ length: rank }, (_, axis) => {
    const i = along.indexOf(axis)
    return i < 0 ? [nothing, nothing] : [pads[i]!, pads[i + along.length]!]
  })
}

/** Pads for all axes in their order, as an int64 vector. */
function padsOfAll(rank: number, pads: Value, axes: Value): Value {
  const [known, along] = [knownIn(pads), knownIn(axes)]
  if (known && along) {
    const frame = padding(rank, known, along, 0)
    return int64([...frame.map(([before]) => before), ...frame.map(([, after]) => after)])
  }
  if (along) {
    const front = requireAxes(along, rank)
    const places = Array.from({ length: rank }, (_, axis) => front.indexOf(axis))
    const nothing = 2 * along.length
    const from = [...places, ...places.map((place) => (place < 0 ? place : place + along.length))]
    return gather(concat([pads, int64([0])], 0), int64(from.map((place) => (place < 0 ? nothing : place))))
  }
  const wide = cast(axes, 'int64')
  const front = where(less(wide, 0), add(wide, rank), wide)
  return scatterInto(int64(new Array<number>(2 * rank).fill(0)), concat([front, add(front, rank)], 0), pads, 0)
}

/**
 * The place within an axis of n that another has its element from. Reflections leave the border out and go on as often as it
 * takes, as numpy has it.
 */
function sourcePlace(place: number, n: number, mode: string): number {
  if (mode === 'edge') return Math.max(0, Math.min(n - 1, place))
  const period = mode === 'wrap' ? n : Math.max(1, 2 * (n - 1))
  const within = ((place % period) + period) % period
  return mode === 'wrap' ? within : Math.min(within, period - within)
}

/** As `sourcePlace`, in the graph, for all places of a padded axis. Negative pads crop before the rest is framed. */
function sourcePlaces(
  grad: Value,
  x: Value,
  axis: number,
  [before, after]: readonly [Value, Value],
  mode: string,
): Value {
  const crop = (amount: Value) => max(sub(0, amount), 0)
  const n = sub(lengthAlong(x, axis), add(crop(before), crop(after)))
  const place = sub(placesAlong(grad, axis), max(before, 0))
  if (mode === 'edge') return add(max(min(place, sub(n, 1)), 0), crop(before))
  const period = mode === 'wrap' ? n : max(mul(sub(n, 1), 2), 1)
  const rest = (a: Value) => sub(a, mul(div(a, period), period))
  const within = rest(add(rest(place), period))
  return add(mode === 'wrap' ? within : min(within, sub(period, within)), crop(before))
}

const lengthAlong = (x: Value, axis: number): Value => {
  const dim = x.shape[axis]!
  return isKnown(dim) ? constant('int64', dim) : gather(shapeOf(x), constant('int64', axis))
}

/** The adjoint of a frame of x's own elements: each goes back to where it came from. */
function unframe(grad: Value, x: Value, pads: Value, axes: Value | undefined, mode: string): Value {
  const rank = x.shape.length
  const all = axes ? padsOfAll(rank, pads, axes) : pads
  const known = knownIn(all)
  const amount = (i: number) => (known ? constant('int64', known[i]!) : gather(all, constant('int64', i)))
  let result = grad
  for (let axis = rank - 1; axis >= 0; axis--) {
    if (known?.[axis] === 0 && known[axis + rank] === 0) continue
    const dim = x.shape[axis]!
    const sides = [amount(axis), amount(axis + rank)] as const
    const [before, after] = [known?.[axis], known?.[axis + rank]]
    const constantPlaces =
      isKnown(dim) && before !== undefined && after !== undefined
        ? int64(Array.from({ length: dim + before + after }, (_, i) => placeIn(i, dim, [before, after], mode)!))
        : undefined
    result = addSlices(result, constantPlaces ?? sourcePlaces(result, x, axis, sides, mode), x, axis)
  }
  return result
}

/** Where along an axis of `dim` a place of the padded axis has its element from; undefined for the number around. */
function placeIn(
  at: number,
  dim: number,
  [before, after]: readonly [number, number],
  mode: string,
): number | undefined {
  if (mode === 'constant') {
    const place = at - before
    return place >= 0 && place < dim ? place : undefined
  }
  const [cropped, rest] = [Math.max(0, -before), Math.max(0, -after)]
  return sourcePlace(at - Math.max(0, before), dim - cropped - rest, mode) + cropped
}

const attributes = { mode: string('constant') }

/**
 * A frame around x; negative pads crop. Of one number (constant), of x's border elements (edge), of x mirrored at its borders
 * (reflect) or going on from its other end (wrap). Each element of the frame gives its gradient to where it is from.
 */
export const Pad: Operator<typeof attributes> = operator({
  name: 'Pad',
  domain: ONNX_DOMAIN,
  since: 18,
  before: {
    mostInputs: 3,
    instead([x, pads, value, axes], { mode }) {
      if (!axes) return undefined
      return [apply1(Pad, [x, padsOfAll(x!.shape.length, pads!, axes), value], { mode })]
    },
  },
  older: [
    older({
      until: 10,
      attributes: { mode: string('constant'), pads: required('ints'), value: float(0) },
      read: ([x], { mode, pads, value }) => [
        apply1(Pad, [x, int64(pads), ...(value === 0 ? [] : [constant(x!.dtype, value)])], { mode }),
      ],
    }),
  ],
  attributes,
  arity: [2, 4],
  infer([x, pads, value, axes], { mode }) {
    if (!modes.includes(mode)) throw new GraphError(`mode '${mode}' is not supported; use one of ${modes.join(', ')}`)
    if (value && value.dtype !== x!.dtype) throw new GraphError('needs a number of the dtype of x around it')
    const rank = x!.shape.length
    const along = axes && knownIn(axes)
    const length = pads!.shape[0]
    if (pads!.shape.length !== 1) throw new GraphError('pads must be a vector')
    const amounts = dimsIn(pads) ?? (isKnown(length!) ? new Array<Dim>(length).fill('?') : undefined)
    if (!amounts || (axes && !along)) return [{ dtype: x!.dtype, shape: x!.shape.map(unknownDim) }]
    const frame = padding<Dim>(rank, amounts, along, 0)
    const shape: Shape = x!.shape.map((dim, axis) => {
      const [before, after] = frame[axis]!
      return isKnown(before) && isKnown(after) ? addDims(dim, before + after) : unknownDim()
    })
    const lost = shape.findIndex((dim) => isKnown(dim) && dim < 0)
    if (lost >= 0) throw new GraphError(`negative pads crop more of axis ${lost} than its ${x!.shape[lost]}`)
    return [{ dtype: x!.dtype, shape }]
  },
  gradient: {
    rule({ grad, inputs: [x, pads, value, axes], attributes: { mode } }) {
      if (mode !== 'constant') return [unframe(grad, x!, pads!, axes, mode), undefined, value && fillAs(0, value)]
      const known = knownIn(pads)
      const dx = padBy(grad, known ? int64(known.map((amount) => -amount)) : sub(0, pads!), axes)
      const total = (part: Value) => reduceSum(part, undefined, { keepdims: 0 })
      // What does not come from x comes from the number around it.
      return [dx, undefined, value && reshapeLike(sub(total(grad), total(dx)), value)]
    },
  },
  evaluate([x, pads, value, axes], { mode }) {
    const frame = padding(x!.shape.length, [...pads!.data], axes && [...axes.data], 0)
    const shape = x!.shape.map((dim, axis) => dim + frame[axis]![0] + frame[axis]![1])
    const source = (index: readonly number[]) => {
      const from = index.map((i, axis) => placeIn(i, x!.shape[axis]!, frame[axis]!, mode))
      return from.every((place) => place !== undefined) ? from : undefined
    }
    return [select(x!, shape, source, value?.data[0] ?? 0)]
  },
  samples: [
    { inputs: [normal(2, 3), ints(1, 0, 0, 2)] },
    { inputs: [normal(2, 4), ints(-1, 2), scalar(0.5), ints(1)] },
    { inputs: [normal(2, 4), ints(1, -1, 0, 2), normal()] },
    { inputs: [normal(2, 4), fixed('int64', [2], [1, 2]), normal(), ints(-1)] },
    { inputs: [normal(3, 4), ints(1, 2, 2, 3)], attributes: { mode: 'reflect' } },
    { inputs: [normal(2, 4), ints(1, 3, 0, 5)], attributes: { mode: 'edge' } },
    { inputs: [normal(2, 4), ints(0, 2, 1, 5)], attributes: { mode: 'wrap' } },
    { inputs: [normal(3, 4), fixed('int64', [4], [1, 2, 2, 3])], attributes: { mode: 'reflect' } },
    {
      inputs: [normal(2, 4), fixed('int64', [2], [2, 3]), undefined, fixed('int64', [1], [-1])],
      attributes: { mode: 'edge' },
    },
  ],
})

const reshapeLike = (sum: Value, value: Value): Value => (value.shape.length === 0 ? sum : reshape(sum, [1]))

/**
 * Zeros around x: so many before and after along each of the axes. Written with a pad for every axis: the operand `axes` is
 * new in opset 18, and ONNX Runtime for WebGPU refuses it where it moves channels last.
 */
export function pad(x: Value, axes: readonly number[], before: readonly number[], after: readonly number[]): Value {
  const everywhere = (amounts: readonly number[]) => x.shape.map((_, axis) => amounts[axes.indexOf(axis)] ?? 0)
  return padBy(x, int64([...everywhere(before), ...everywhere(after)]))
}

/** As `pad`, by pads that the run may say. */
export const padBy = (x: Value, pads: Value, axes?: Value): Value =>
  apply1(Pad, axes ? [x, pads, undefined, axes] : [x, pads])

// Operators that fold axes away: sums, means, extrema, ArgMax, and the softmaxes built on them.

import { knownIn, requireKnown } from '../graph/dims.js'
import { type Attributes, int, ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { awayFromZero, distinct, ints, normal, scalarInt } from '../graph/sample.js'
import { isKnown, type Shape, sizeOf, unknownShape } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { cast, div, equal, exp, mul, sign, sub } from './elementwise.js'
import { gather } from './indexing.js'
import { fold, map, reshaped } from './reference.js'
import { expandAs, lengthOf, requireAxes, reshapeTo, shapeOf, size, unsqueeze } from './shape.js'

const attributes = { keepdims: int(1), noop_with_empty_axes: int(0) }

/** The reduced axes: those of the constant operand, or all when none are given. */
function axesOf(rank: number, given: readonly number[] | undefined, { noop_with_empty_axes }: Attributes): number[] {
  if (given && given.length > 0) return requireAxes(given, rank)
  return noop_with_empty_axes === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

const withoutAxes = (shape: Shape, axes: readonly number[], keepdims: number): Shape =>
  shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepdims ? [1] : []) : [dim]))

/** The shape where the axes are not known: how many they are is. */
function openShape(x: Shape, axes: Value, { keepdims }: Attributes): Shape {
  return keepdims ? unknownShape(x.length) : unknownShape(x.length - lengthOf(axes))
}

/** The number of elements that go into one: a number, or a scalar of the graph where a folded axis is symbolic. */
function countOf(x: Value, axes: readonly number[]): Value | number {
  const folded = sizeOf(axes.map((axis) => x.shape[axis]!))
  if (isKnown(folded)) return folded
  const kept = x.shape.filter((_, axis) => !axes.includes(axis))
  if (isKnown(sizeOf(kept))) return div(cast(size(x), x.dtype), sizeOf(kept) as number)
  return cast(reduceProd(gather(shapeOf(x), constant('int64', axes)), undefined, { keepdims: 0 }), x.dtype)
}

interface Reduction {
  name: string
  evaluate(x: Numbers, axes: readonly number[]): Numbers
  /** From the gradient, already with x's rank, and x and y with x's rank. */
  gradient(grad: Value, x: Value, y: Value, axes: readonly number[]): Value
  sample?: typeof normal
  /** The version that made the axes an input. */
  since?: number
}

function reduction(rules: Reduction): Operator<typeof attributes> {
  const { name, evaluate, gradient, sample = normal, since = 18 } = rules
  const record: Operator<typeof attributes> = operator({
    name,
    domain: ONNX_DOMAIN,
    since,
    before: {
      inputsAsAttributes: { axes: 1 },
      mostInputs: 1,
      lacks: ['noop_with_empty_axes'],
      // To fold nothing, it folds an axis of one.
      instead([x, axes], { noop_with_empty_axes }) {
        if (!noop_with_empty_axes || (knownIn(axes)?.length ?? 0) > 0) return undefined
        return [apply1(record, [unsqueeze(x!, -1), constant('int64', [-1])], { keepdims: 0 })]
      },
    },
    attributes,
    arity: [1, 2],
    infer([x, axes], attributes) {
      if (x!.dtype === 'bool') throw new GraphError('needs numbers to fold, got bool; cast it first')
      const known = axes && knownIn(axes)
      if (axes && !known) return [{ dtype: x!.dtype, shape: openShape(x!.shape, axes, attributes) }]
      const folded = axesOf(x!.shape.length, known, attributes)
      return [{ dtype: x!.dtype, shape: withoutAxes(x!.shape, folded, attributes.keepdims) }]
    },
    gradient: {
      rule({ grad, inputs: [x, axes], outputs: [y], attributes }) {
        const known = knownIn(axes)
        if (axes && !known) throw new GraphError('the gradient needs axes that are known before anything runs')
        const folded = axesOf(x!.shape.length, known, attributes)
        const kept = withoutAxes(x!.shape, folded, 1)
        return [gradient(reshapeTo(grad, kept, x!), x!, reshapeTo(y!, kept, x!), folded)]
      },
    },
    evaluate([x, axes], attributes) {
      const folded = axesOf(x!.shape.length, axes && [...axes.data], attributes)
      const shape = withoutAxes(x!.shape, folded, attributes.keepdims) as readonly number[]
      return [reshaped(evaluate(x!, folded), shape)]
    },
    samples: [
      { inputs: [sample(2, 3, 4), ints(1)] },
      { inputs: [sample(2, 3, 4), ints(0, -1)], attributes: { keepdims: 0 } },
      { inputs: [sample(2, 3)], attributes: { keepdims: 0 } },
      { inputs: [sample(2, 3)], attributes: { noop_with_empty_axes: 1 } },
    ],
  })
  return record
}

const foldedSize = (x: Numbers, axes: readonly number[]) => Number(sizeOf(axes.map((axis) => x.shape[axis]!)))
const sum = (x: Numbers, axes: readonly number[]) => fold(x, axes, 0, (total, value) => total + value)

type Options = { keepdims?: number }
const call =
  (op: Operator<typeof attributes>) =>
  (x: Value, axes?: readonly number[], { keepdims = 1 }: Options = {}): Value =>
    apply1(op, axes ? [x, constant('int64', axes)] : [x], { keepdims })

/** Σx */
export const ReduceSum = reduction({
  name: 'ReduceSum',
  since: 13,
  evaluate: sum,
  gradient: (grad, x) => expandAs(grad, x),
})
export const reduceSum = call(ReduceSum)

/** Σx / n */
export const ReduceMean = reduction({
  name: 'ReduceMean',
  evaluate: (x, axes) => map(sum(x, axes), (total) => total / foldedSize(x, axes)),
  gradient: (grad, x, _, axes) => expandAs(div(grad, countOf(x, axes)), x),
})
export const reduceMean = call(ReduceMean)

/** Πx; gradient dy · y/x, for numbers that are not zero. */
export const ReduceProd = reduction({
  name: 'ReduceProd',
  evaluate: (x, axes) => fold(x, axes, 1, (product, value) => product * value),
  gradient: (grad, x, y) => div(mul(grad, y), x),
  sample: awayFromZero,
})
export const reduceProd = call(ReduceProd)

/** Σ|x| */
export const ReduceL1 = reduction({
  name: 'ReduceL1',
  evaluate: (x, axes) => fold(x, axes, 0, (total, value) => total + Math.abs(value)),
  gradient: (grad, x) => mul(grad, sign(x)),
  sample: awayFromZero,
})
export const reduceL1 = call(ReduceL1)

/** Σx²; gradient 2x·dy */
export const ReduceSumSquare = reduction({
  name: 'ReduceSumSquare',
  evaluate: (x, axes) => fold(x, axes, 0, (total, value) => total + value * value),
  gradient: (grad, x) => mul(mul(x, 2), grad),
})
export const reduceSumSquare = call(ReduceSumSquare)

/** At ties the gradient is shared evenly. */
const extremum = (name: string, start: number, pick: (a: number, b: number) => number) =>
  reduction({
    name,
    evaluate: (x, axes) => fold(x, axes, start, pick),
    gradient(grad, x, y, axes) {
      const winners = cast(equal(x, y), x.dtype)
      // Without axes nothing is folded here; in reduceSum everything would be.
      return mul(winners, axes.length > 0 ? div(grad, reduceSum(winners, axes)) : grad)
    },
    sample: distinct,
  })
export const ReduceMax = extremum('ReduceMax', Number.NEGATIVE_INFINITY, Math.max)
export const reduceMax = call(ReduceMax)
export const ReduceMin = extremum('ReduceMin', Number.POSITIVE_INFINITY, Math.min)
export const reduceMin = call(ReduceMin)

/** The place of the largest element along an axis (the first of equals), int64. */
export const ArgMax = operator({
  name: 'ArgMax',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(0), keepdims: int(1) },
  arity: [1, 1],
  infer([x], { axis, keepdims }) {
    return [{ dtype: 'int64', shape: withoutAxes(x!.shape, requireAxes([axis], x!.shape.length), keepdims) }]
  },
  gradient: 'zero',
  evaluate([x], { axis, keepdims }) {
    const axes = requireAxes([axis], x!.shape.length)
    const best = fold(x!, axes, Number.NEGATIVE_INFINITY, Math.max)
    const [along] = axes
    const length = x!.shape[along!]!
    const inner = Number(sizeOf(x!.shape.slice(along! + 1)))
    const places = best.data.map((value, i) => {
      const start = Math.floor(i / inner) * length * inner + (i % inner)
      let k = 0
      while (x!.data[start + k * inner] !== value) k++
      return k
    })
    return [numbers('int64', withoutAxes(x!.shape, axes, keepdims) as readonly number[], places)]
  },
  samples: [
    { inputs: [distinct(3, 4)], attributes: { axis: 1 } },
    { inputs: [distinct(3, 2, 4)], attributes: { axis: -2, keepdims: 0 } },
  ],
})
export const argMax = (x: Value, axis: number, { keepdims = 1 }: Options = {}): Value =>
  apply1(ArgMax, [x], { axis, keepdims })

/** x − log Σ e^x along an axis, from the shifted x so that nothing overflows. */
function logSoftmaxOf(x: Numbers, axis: number): Numbers {
  const axes = requireAxes([axis], x.shape.length)
  const inner = Number(sizeOf(x.shape.slice(axes[0]! + 1)))
  const length = x.shape[axes[0]!]!
  const group = (i: number) => Math.floor(i / (length * inner)) * inner + (i % inner)
  const top = fold(x, axes, Number.NEGATIVE_INFINITY, Math.max)
  const shifted = numbers(
    x.dtype,
    x.shape,
    x.data.map((value, i) => value - top.data[group(i)]!),
  )
  const total = sum(map(shifted, Math.exp), axes)
  return numbers(
    x.dtype,
    x.shape,
    shifted.data.map((value, i) => value - Math.log(total.data[group(i)]!)),
  )
}

const softmaxAttributes = { axis: int(-1) }
function softmaxLike(
  name: string,
  gradient: (grad: Value, y: Value, axis: number) => Value,
  finish: (value: number) => number,
): Operator<typeof softmaxAttributes> {
  return operator({
    name,
    domain: ONNX_DOMAIN,
    since: 13,
    attributes: softmaxAttributes,
    arity: [1, 1],
    infer([x], { axis }) {
      requireAxes([axis], x!.shape.length)
      return [x!]
    },
    gradient: { rule: ({ grad, outputs: [y], attributes: { axis } }) => [gradient(grad, y!, axis)] },
    evaluate: ([x], { axis }) => [map(logSoftmaxOf(x!, axis), finish)],
    samples: [{ inputs: [normal(3, 4)] }, { inputs: [normal(2, 3, 2)], attributes: { axis: 1 } }],
  })
}

/** e^x / Σe^x; dx = y(dy − Σ dy·y) */
export const Softmax = softmaxLike(
  'Softmax',
  (grad, y, axis) => mul(y, sub(grad, reduceSum(mul(grad, y), [axis]))),
  Math.exp,
)
export const softmax = (x: Value, axis = -1): Value => apply1(Softmax, [x], { axis })

/** log softmax; dx = dy − e^y Σdy */
export const LogSoftmax = softmaxLike(
  'LogSoftmax',
  (grad, y, axis) => sub(grad, mul(exp(y), reduceSum(grad, [axis]))),
  (value) => value,
)
export const logSoftmax = (x: Value, axis = -1): Value => apply1(LogSoftmax, [x], { axis })

/** Places of an output element's summands along the axis: those up to it, or from it on; without it where exclusive. */
function summands(at: number, length: number, exclusive: number, reverse: number): readonly [from: number, to: number] {
  return reverse ? [at + exclusive, length] : [0, at + 1 - exclusive]
}

const cumSumAttributes = { exclusive: int(0), reverse: int(0) }

/** Sums of all elements up to each along an axis; its gradient runs the other way. */
export const CumSum: Operator<typeof cumSumAttributes> = operator({
  name: 'CumSum',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: cumSumAttributes,
  arity: [2, 2],
  infer([x, axis]) {
    requireAxes(requireKnown(axis!, 'the axis'), x!.shape.length)
    return [x!]
  },
  gradient: {
    rule: ({ grad, inputs: [, axis], attributes: { exclusive, reverse } }) => [
      apply1(CumSum, [grad, axis!], { exclusive, reverse: 1 - reverse }),
    ],
  },
  evaluate([x, axis], { exclusive, reverse }) {
    const [along] = requireAxes([...axis!.data], x!.shape.length) as [number]
    const length = x!.shape[along]!
    const inner = Number(sizeOf(x!.shape.slice(along + 1)))
    return [
      numbers(
        x!.dtype,
        x!.shape,
        x!.data.map((_, i) => {
          const at = Math.floor(i / inner) % length
          const [from, to] = summands(at, length, exclusive, reverse)
          let total = 0
          for (let k = from; k < to; k++) total += x!.data[i + (k - at) * inner]!
          return total
        }),
      ),
    ]
  },
  samples: [
    { inputs: [normal(3, 4), scalarInt(1)] },
    { inputs: [normal(2, 3, 2), scalarInt(-2)], attributes: { exclusive: 1 } },
    { inputs: [normal(5), scalarInt(0)], attributes: { reverse: 1 } },
  ],
})
export const cumSum = (x: Value, axis: number): Value => apply1(CumSum, [x, constant('int64', axis)])

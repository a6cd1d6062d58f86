// Operators that fold axes away: sums, means, norms, extrema.

import { knownIn } from '../graph/dims.js'
import { type Attributes, int, ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { awayFromZero, distinct, fixed, ints, normal, positive } from '../graph/sample.js'
import { isKnown, type Shape, sizeOf, unknownShape } from '../graph/shape.js'
import { type DType, isFloat, type Numbers, wholeRange } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { cast, div, equal, exp, mul, sign, sub, where } from './elementwise.js'
import { roundedTo } from './pointwise.js'
import { broadcastMap, fold, map, reshaped } from './reference.js'
import { expandAs, lengthOf, Reshape, requireAxes, reshapeTo, shapeOf, size, unsqueeze } from './shape.js'

const attributes = { keepdims: int(1), noop_with_empty_axes: int(0) }
export type ReductionOperator = Operator<typeof attributes>

/** The reduced axes: those of the constant operand, or all when none are given. */
function axesOf(rank: number, given: readonly number[] | undefined, { noop_with_empty_axes }: Attributes): number[] {
  if (given && given.length > 0) return requireAxes(given, rank)
  return noop_with_empty_axes === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

export const withoutAxes = (shape: Shape, axes: readonly number[], keepdims: number): Shape =>
  shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepdims ? [1] : []) : [dim]))

/** The axes, where they are known: there may be none, whatever they are. */
const knownAxes = (axes: Value | undefined): readonly number[] | undefined =>
  knownIn(axes) ?? (axes?.shape[0] === 0 ? [] : undefined)

/** The shape where the axes are not known: how many they are is. */
function openShape(x: Shape, axes: Value, { keepdims }: Attributes): Shape {
  return keepdims ? unknownShape(x.length) : unknownShape(x.length - lengthOf(axes))
}

/** What the gradient of a reduction is made from; values have the rank of x. */
export interface Folded {
  readonly grad: Value
  readonly x: Value
  readonly y: Value
  /** Undefined where only the run knows them. */
  readonly axes: readonly number[] | undefined
  /** Sums over the same axes. */
  sum(value: Value): Value
}

export interface Reduction {
  name: string
  evaluate(x: Numbers, axes: readonly number[]): Numbers
  gradient(folded: Folded): Value
  sample?: typeof normal
  /** The version that made the axes an input. */
  since?: number
  /** Whether it folds bool as well. */
  takesBool?: boolean
}

export function reduction(rules: Reduction): ReductionOperator {
  const { name, evaluate, gradient, sample = normal, since = 18, takesBool = false } = rules
  const record: ReductionOperator = operator({
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
      if (x!.dtype === 'bool' && !takesBool) throw new GraphError('needs numbers to reduce, got bool; cast it first')
      const known = knownAxes(axes)
      if (axes && !known) return [{ dtype: x!.dtype, shape: openShape(x!.shape, axes, attributes) }]
      const folded = axesOf(x!.shape.length, known, attributes)
      return [{ dtype: x!.dtype, shape: withoutAxes(x!.shape, folded, attributes.keepdims) }]
    },
    gradient: {
      rule({ grad, inputs: [x, axes], outputs: [y], attributes }) {
        const { noop_with_empty_axes, keepdims } = attributes
        const known = knownAxes(axes)
        if (axes && !known) {
          const sum = (value: Value) => apply1(ReduceSum, [value, axes], { noop_with_empty_axes })
          const full = (value: Value) => (keepdims ? value : apply1(Reshape, [value, shapeOf(sum(x!))]))
          return [gradient({ grad: full(grad), x: x!, y: full(y!), axes: undefined, sum })]
        }
        const folded = axesOf(x!.shape.length, known, attributes)
        const kept = withoutAxes(x!.shape, folded, 1)
        // Without axes nothing is folded here; in reduceSum everything would be.
        const sum = (value: Value) => (folded.length > 0 ? reduceSum(value, folded) : value)
        return [gradient({ grad: reshapeTo(grad, kept, x!), x: x!, y: reshapeTo(y!, kept, x!), axes: folded, sum })]
      },
    },
    evaluate([x, axes], attributes) {
      const folded = axesOf(x!.shape.length, axes && [...axes.data], attributes)
      const shape = withoutAxes(x!.shape, folded, attributes.keepdims) as readonly number[]
      const result = evaluate(x!, folded)
      return [reshaped(isFloat(x!.dtype) ? result : map(result, (value) => roundedTo(x!.dtype, value)), shape)]
    },
    samples: [
      { inputs: [sample(2, 3, 4), ints(1)] },
      { inputs: [sample(2, 3, 4), ints(0, -1)], attributes: { keepdims: 0 } },
      { inputs: [sample(2, 3)], attributes: { keepdims: 0 } },
      { inputs: [sample(2, 3)], attributes: { noop_with_empty_axes: 1 } },
      { inputs: [sample(2, 3, 2), fixed('int64', [2], [0, -1])] },
      { inputs: [sample(2, 3, 2), fixed('int64', [1], [1])], attributes: { keepdims: 0 } },
    ],
  })
  return record
}

const foldedSize = (x: Numbers, axes: readonly number[]) => Number(sizeOf(axes.map((axis) => x.shape[axis]!)))
export const sum = (x: Numbers, axes: readonly number[]) => fold(x, axes, 0, (total, value) => total + value)
const over =
  (f: (value: number) => number) =>
  (x: Numbers, axes: readonly number[]): Numbers =>
    fold(x, axes, 0, (total, value) => total + f(value))

/** The number of elements that go into one: a number, or a scalar of the graph where that is not known. */
function countOf({ x, y, axes }: Folded): Value | number {
  const folded = axes && sizeOf(axes.map((axis) => x.shape[axis]!))
  if (folded !== undefined && isKnown(folded)) return folded
  const kept = axes && sizeOf(x.shape.filter((_, axis) => !axes.includes(axis)))
  const total = cast(size(x), x.dtype)
  return div(total, kept !== undefined && isKnown(kept) ? kept : cast(size(y), x.dtype))
}

type Options = { keepdims?: number }
export const reduceBy =
  (op: ReductionOperator) =>
  (x: Value, axes?: readonly number[], { keepdims = 1 }: Options = {}): Value =>
    apply1(op, axes ? [x, constant('int64', axes)] : [x], { keepdims })

/** Σx */
export const ReduceSum: ReductionOperator = reduction({
  name: 'ReduceSum',
  since: 13,
  evaluate: sum,
  gradient: ({ grad, x }) => expandAs(grad, x),
})
/** Σx over axes, of all unless given. They stay with length 1 unless `keepdims` is 0. */
export const reduceSum = reduceBy(ReduceSum)

/** Σx / n */
export const ReduceMean: ReductionOperator = reduction({
  name: 'ReduceMean',
  evaluate: (x, axes) => map(sum(x, axes), (total) => total / foldedSize(x, axes)),
  gradient: (folded) => expandAs(div(folded.grad, countOf(folded)), folded.x),
})
/** The mean over axes, of all unless given. They stay with length 1 unless `keepdims` is 0. */
export const reduceMean = reduceBy(ReduceMean)

/** Σ|x| */
export const ReduceL1: ReductionOperator = reduction({
  name: 'ReduceL1',
  evaluate: over(Math.abs),
  gradient: ({ grad, x }) => mul(grad, sign(x)),
  sample: awayFromZero,
})
/** Σ|x| over axes, of all unless given. They stay with length 1 unless `keepdims` is 0. */
export const reduceL1 = reduceBy(ReduceL1)

/** √Σx²; gradient x/y·dy, and 0 where y = 0, as in PyTorch */
export const ReduceL2: ReductionOperator = reduction({
  name: 'ReduceL2',
  evaluate: (x, axes) => map(over((value) => value * value)(x, axes), Math.sqrt),
  gradient: ({ grad, x, y }) => mul(x, where(equal(y, 0), 0, div(grad, y))),
  sample: awayFromZero,
})

/** Σx²; gradient 2x·dy */
export const ReduceSumSquare: ReductionOperator = reduction({
  name: 'ReduceSumSquare',
  evaluate: over((value) => value * value),
  gradient: ({ grad, x }) => mul(mul(x, 2), grad),
})
/** Σx² over axes, of all unless given. They stay with length 1 unless `keepdims` is 0. */
export const reduceSumSquare = reduceBy(ReduceSumSquare)

/** ln Σx */
export const ReduceLogSum: ReductionOperator = reduction({
  name: 'ReduceLogSum',
  evaluate: (x, axes) => map(sum(x, axes), Math.log),
  gradient: ({ grad, x, sum }) => expandAs(div(grad, sum(x)), x),
  sample: positive,
})

/** ln Σe^x, from the largest x on so that nothing overflows; gradient e^(x−y)·dy */
export const ReduceLogSumExp: ReductionOperator = reduction({
  name: 'ReduceLogSumExp',
  evaluate(x, axes) {
    const top = map(fold(x, axes, Number.NEGATIVE_INFINITY, Math.max), (value) => (Number.isFinite(value) ? value : 0))
    const shifted = broadcastMap(x.dtype, [x, top], (...[value, most]) => Math.exp(value! - most!))
    return broadcastMap(x.dtype, [sum(shifted, axes), top], (...[total, most]) => Math.log(total!) + most!)
  },
  gradient: ({ grad, x, y }) => mul(grad, exp(sub(x, y))),
})

/** The smallest and the largest number of a dtype. */
function ends(dtype: DType): readonly [number, number] {
  if (isFloat(dtype)) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (dtype === 'bool') return [0, 1]
  return wholeRange(dtype)
}

/** At ties the gradient is shared evenly. */
const extremum = (name: string, start: (dtype: DType) => number, pick: (a: number, b: number) => number) =>
  reduction({
    name,
    takesBool: true,
    evaluate: (x, axes) => fold(x, axes, start(x.dtype), pick),
    gradient({ grad, x, y, sum }) {
      const winners = cast(equal(x, y), x.dtype)
      return mul(winners, div(grad, sum(winners)))
    },
    sample: distinct,
  })
/** The largest over axes; ties share the gradient evenly. */
export const ReduceMax: ReductionOperator = extremum('ReduceMax', (dtype) => ends(dtype)[0], Math.max)
/** The largest over axes, of all unless given; ties share the gradient evenly. */
export const reduceMax = reduceBy(ReduceMax)
/** The smallest over axes; ties share the gradient evenly. */
export const ReduceMin: ReductionOperator = extremum('ReduceMin', (dtype) => ends(dtype)[1], Math.min)
/** The smallest over axes, of all unless given; ties share the gradient evenly. */
export const reduceMin = reduceBy(ReduceMin)

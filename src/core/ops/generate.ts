// Operators that make tensors from little: a number everywhere, a progression, the identity, a triangle's mask.

import { composite } from '../graph/composite.js'
import { dimsIn, knownIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, operator, optional } from '../graph/operator.js'
import { fixed, ints, normal, scalarInt } from '../graph/sample.js'
import { type Dim, isKnown, unknownDim } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, constant, constantTensor, GraphError, type Value } from '../graph/value.js'
import { cast, dtypeOf, equal, greaterOrEqual, lessOrEqual, mul, sub, where } from './elementwise.js'
import { gather } from './indexing.js'
import { reduceSum } from './reduction.js'
import { Expand, shapeOf, size, unsqueeze } from './shape.js'

/** One number everywhere: that of `value`, a tensor of one element, or a float32 zero. */
export const ConstantOfShape = composite({
  name: 'ConstantOfShape',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes: { value: optional('tensor') },
  arity: [1, 1],
  check(_, { value }) {
    if (value && value.data.length !== 1) throw new GraphError('its value must be one number')
  },
  body([shape], { value }) {
    const { dtype, data } = value ?? numbers('float32', [1], [0])
    const one = { dtype, shape: [], data: data.slice() } as NonNullable<typeof value>
    return [apply1(Expand, [constantTensor(one), shape!])]
  },
  gradient: 'zero',
  samples: [
    { inputs: [ints(2, 3)] },
    { inputs: [fixed('int64', [2], [3, 2])], attributes: { value: numbers('float32', [1], [1.5]) } },
    { inputs: [ints(4)], attributes: { value: numbers('int64', [1], [7]) } },
  ],
})

/** How many numbers a range has: max(0, ⌈(limit − start)/delta⌉). */
const rangeLength = (start: number, limit: number, delta: number) => Math.max(0, Math.ceil((limit - start) / delta))

function knownLength(operands: readonly Value[]): Dim {
  const known = operands.map(knownIn)
  if (known.every((numbers) => numbers)) {
    const [start, limit, delta] = known.map((numbers) => numbers![0]!) as [number, number, number]
    if (delta === 0) throw new GraphError('delta must not be 0')
    return rangeLength(start, limit, delta)
  }
  const [start, limit, delta] = operands.map((operand) => dimsIn(operand)?.[0])
  return start === 0 && delta === 1 && limit !== undefined ? limit : unknownDim()
}

const none = {}
/** start, start + delta, … to before limit. The gradient takes the length as it is: d start = Σdy, d delta = Σ i·dy. */
export const Range: Operator<typeof none> = operator({
  name: 'Range',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: none,
  arity: [3, 3],
  infer(operands) {
    if (operands.some(({ dtype }) => dtype !== operands[0]!.dtype)) throw new GraphError('needs operands of one dtype')
    return [{ dtype: operands[0]!.dtype, shape: [knownLength(operands)] }]
  },
  gradient: {
    rule({ grad }) {
      const sum = (part: Value) => reduceSum(part, undefined, { keepdims: 0 })
      const places = cast(range(constant('int64', 0), size(grad), constant('int64', 1)), grad.dtype)
      return [sum(grad), undefined, sum(mul(grad, places))]
    },
  },
  evaluate([start, limit, delta]) {
    const [from, step] = [start!.data[0]!, delta!.data[0]!]
    if (step === 0) throw new GraphError('delta must not be 0')
    const length = rangeLength(from, limit!.data[0]!, step)
    return [
      numbers(
        start!.dtype,
        [length],
        Float64Array.from({ length }, (_, i) => from + i * step),
      ),
    ]
  },
  samples: [
    { inputs: [scalarInt(1), scalarInt(9), scalarInt(3)] },
    { inputs: [fixed('int64', [], [10]), fixed('int64', [], [4]), fixed('int64', [], [-2])] },
    { inputs: [fixed('float32', [], [0.5]), fixed('float32', [], [3.1]), fixed('float32', [], [0.75])] },
  ],
})
/** start, start + delta, … to before limit, three scalars of one type. */
export const range = (start: Value, limit: Value, delta: Value): Value => apply1(Range, [start, limit, delta])

/** Places are listed in the file up to so many: a size alone, in a file that others wrote, may be any number. */
const MOST_LISTED = 2 ** 20

const scalarOf = (shape: Value, axis: number): Value => gather(shape, constant('int64', axis))
/** 0, 1, … to before the length of an axis, int64. */
export function placesAlong(x: Value, axis: number): Value {
  const dim = x.shape[axis]!
  if (isKnown(dim) && dim <= MOST_LISTED)
    return constant(
      'int64',
      Array.from({ length: dim }, (_, i) => i),
    )
  return range(constant('int64', 0), scalarOf(shapeOf(x), axis), constant('int64', 1))
}

/** Column − row at each place of the last two axes, int64 [rows, columns]. */
function diagonals(x: Value): Value {
  const rank = x.shape.length
  return sub(placesAlong(x, rank - 1), unsqueeze(placesAlong(x, rank - 2), 1))
}

/** Ones along the k-th diagonal, in the shape of x. */
export const EyeLike = composite({
  name: 'EyeLike',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes: { dtype: optional('int'), k: int(0) },
  arity: [1, 1],
  check([x], { dtype }) {
    if (x!.shape.length !== 2) throw new GraphError('needs a matrix')
    if (dtype !== undefined && !dtypeOf(dtype)) throw new GraphError(`dtype=${dtype} is no element type known here`)
  },
  body: ([x], { dtype, k }) => [cast(equal(diagonals(x!), k), dtype === undefined ? x!.dtype : dtypeOf(dtype)!)],
  gradient: 'zero',
  samples: [
    { inputs: [normal(3, 4)] },
    { inputs: [fixed('int32', [3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9])], attributes: { dtype: 1, k: -1 } },
  ],
})

const triluAttributes = { upper: int(1) }
/** The upper (or lower) triangle of matrices, from the k-th diagonal on; zeros elsewhere. */
export const Trilu: Operator<typeof triluAttributes> = composite({
  name: 'Trilu',
  domain: ONNX_DOMAIN,
  since: 14,
  attributes: triluAttributes,
  arity: [1, 2],
  check([x]) {
    if (x!.shape.length < 2) throw new GraphError('needs at least two dimensions')
  },
  body([x, k], { upper }) {
    const inside = (upper ? greaterOrEqual : lessOrEqual)(diagonals(x!), k ?? 0)
    return [where(inside, x!, 0)]
  },
  gradient: {
    rule: ({ grad, inputs: [, k], attributes: { upper } }) => [apply1(Trilu, k ? [grad, k] : [grad], { upper })],
  },
  samples: [
    { inputs: [normal(3, 4)] },
    { inputs: [normal(2, 4, 3), scalarInt(-1)], attributes: { upper: 0 } },
    { inputs: [normal(3, 3), fixed('int64', [], [1])] },
  ],
})

// Choices between values, and what is differentiated by cases: Where, extrema, Clip, Pow.

import { knownIn } from '../graph/dims.js'
import { ONNX_DOMAIN, type Operator, older, operator, optional } from '../graph/operator.js'
import { awayFromZero, booleans, distinct, fixed, normal, positive, scalar } from '../graph/sample.js'
import { broadcastShapes, isKnown, unifyShapes } from '../graph/shape.js'
import { apply1, constant, constantOf, GraphError, type Value } from '../graph/value.js'
import { add, div, log, mul, sub } from './arithmetic.js'
import { cast } from './casts.js'
import { equal, greater, less } from './comparison.js'
import {
  broadcastOf,
  call,
  inferBroadcast,
  type None,
  none,
  type Operand,
  operands,
  requireTaken,
  roundedTo,
  x0,
  x1,
  y0,
} from './pointwise.js'
import { broadcastMap } from './reference.js'

/** condition ? a : b, broadcasting all three. */
export const Where = operator({
  name: 'Where',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes: none,
  arity: [3, 3],
  elementwise: true,
  infer([condition, a, b]) {
    if (condition!.dtype !== 'bool') throw new GraphError('needs a bool condition; compare or cast first')
    const [type] = inferBroadcast([a!, b!])
    const shape = broadcastShapes(condition!.shape, type!.shape)
    if (!shape)
      throw new GraphError(
        'the condition and the operands do not broadcast: each pair of dimensions must be equal, or one of them 1',
      )
    return [{ dtype: a!.dtype, shape }]
  },
  dims(operands, _, known) {
    const [chosen, ...parts] = operands.map(known)
    if (!chosen?.every(isKnown) || parts.some((part) => part?.length !== chosen.length)) return [undefined]
    return [chosen.map((choice, i) => parts[choice ? 0 : 1]![i]!)]
  },
  gradient: {
    rule({ grad, inputs: [condition] }) {
      const mask = cast(condition!, grad.dtype)
      return [undefined, mul(grad, mask), mul(grad, sub(1, mask))]
    },
  },
  evaluate: ([condition, a, b]) => [broadcastMap(a!.dtype, [condition!, a!, b!], (...[c, x, y]) => (c ? x! : y!))],
  samples: [{ inputs: [booleans(2, 3), normal(2, 3), normal(3)] }, { inputs: [booleans(3), normal(), normal(2, 1)] }],
})
/** a where the condition, a bool, holds, else b; all three are broadcast. */
export const where = (condition: Value, a: Operand, b: Operand): Value => apply1(Where, [condition, ...operands(a, b)])

/**
 * a^b, of the dtype of a. d(a^b) = b·a^(b−1)·da + ln(a)·a^b·db, where by PyTorch's convention da has no share where b = 0,
 * nor db where a = 0.
 */
export const Pow: Operator<None> = operator({
  name: 'Pow',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: none,
  arity: [2, 2],
  elementwise: true,
  infer(operands) {
    for (const operand of operands) requireTaken(operand, 'number')
    return [{ dtype: operands[0]!.dtype, shape: broadcastOf(operands) }]
  },
  gradient: {
    rule(c) {
      const [a, b] = [x0(c), cast(x1(c), c.grad.dtype)].map((x, i) => (x1(c).dtype === c.grad.dtype ? c.inputs[i]! : x))
      const slope = mul(b!, pow(a!, sub(b!, 1)))
      const never = knownIn(b)?.every((value) => value !== 0)
      const log0 = mul(log(a!), y0(c))
      return [mul(c.grad, never ? slope : where(equal(b!, 0), 0, slope)), mul(c.grad, where(equal(a!, 0), 0, log0))]
    },
  },
  evaluate(operands) {
    const { dtype } = operands[0]!
    return [broadcastMap(dtype, operands, (...[a, b]) => roundedTo(dtype, a! ** b!))]
  },
  samples: [
    { inputs: [positive(2, 3), normal(2, 3)] },
    { inputs: [positive(2, 1, 3), normal(4, 1)] },
    { inputs: [positive(), normal(3, 2)] },
    { inputs: [normal(2, 3), fixed('int64', [3], [2, 0, 3])] },
  ],
})
/** a^b, broadcast, in the type of a. */
export const pow = call(Pow)

const { POSITIVE_INFINITY } = Number

/** By PyTorch's convention operands that tie share the gradient evenly. */
function extremum(name: string, pick: (...values: readonly number[]) => number): Operator<None> {
  return operator({
    name,
    domain: ONNX_DOMAIN,
    since: 13,
    attributes: none,
    arity: [1, POSITIVE_INFINITY],
    elementwise: true,
    infer: (operands) => inferBroadcast(operands),
    gradient: {
      rule({ grad, inputs, outputs: [y] }) {
        if (inputs.length === 1) return [grad]
        const winners = inputs.map((x) => cast(equal(x, y!), grad.dtype))
        const share = div(grad, winners.reduce(add))
        return winners.map((winner) => mul(share, winner))
      },
    },
    evaluate: (operands) => [broadcastMap(operands[0]!.dtype, operands, pick)],
    samples: [
      { inputs: [distinct(2, 3), awayFromZero(2, 3)] },
      { inputs: [distinct(2, 1, 3), awayFromZero(4, 1)] },
      { inputs: [distinct(), awayFromZero(3, 2)] },
      { inputs: [normal(2, 3), normal(3), normal(2, 1)] },
      { inputs: [normal(3)] },
    ],
  })
}
/** The largest of the operands. */
export const Max: Operator<None> = extremum('Max', Math.max)
/** The largest of the operands, broadcast. Ties share the gradient evenly. */
export const max = call(Max)
/** The smallest of the operands. */
export const Min: Operator<None> = extremum('Min', Math.min)
/** The smallest of the operands, broadcast. Ties share the gradient evenly. */
export const min = call(Min)

/** In version 6 a bound that is not given is the end of float32. */
const FLOAT_END = 3.4028234663852886e38
/**
 * x held between two scalars, either of which may be left out; the upper one where they cross. The gradient goes to x inside the
 * bounds and to a bound beyond it. At a bound, as in PyTorch 2.15, it is 0 where the bound is a constant, and shared evenly where
 * it is a value.
 */
export const Clip: Operator<None> = operator({
  name: 'Clip',
  domain: ONNX_DOMAIN,
  since: 13,
  older: [
    older({
      until: 10,
      attributes: { min: optional('float'), max: optional('float') },
      read([x], { min: low = -FLOAT_END, max: high = FLOAT_END }) {
        const bound = (value: number) => (Math.abs(value) < 3.4e38 ? constant(x!.dtype, value) : undefined)
        return [apply1(Clip, [x, bound(low), bound(high)])]
      },
    }),
  ],
  attributes: none,
  arity: [1, 3],
  elementwise: true,
  infer([x, ...bounds]) {
    for (const bound of bounds.filter((value) => value)) {
      if (bound.dtype !== x!.dtype) throw new GraphError('needs bounds of the dtype of x; cast them')
      if (
        bound.shape.length > 1 ||
        !unifyShapes(
          bound.shape,
          bound.shape.map(() => 1),
        )
      )
        throw new GraphError('needs bounds that are scalars')
    }
    return [x!]
  },
  gradient: {
    rule({ grad, inputs: [x, low, high] }) {
      /** The gradient of what lies on one side of a bound, and a share of what lies at it. */
      const beyond = (passed: Value, side: Value, bound: Value, isFixed: boolean) =>
        where(side, passed, isFixed ? 0 : where(equal(x!, bound), mul(passed, 0.5), 0))
      const isFixed = (bound: Value) => constantOf(bound) !== undefined
      const above = low ? beyond(grad, greater(x!, low), low, isFixed(low)) : grad
      const crossed = low && high && less(high, low)
      const toLow = low && beyond(grad, less(x!, low), low, isFixed(low))
      const toHigh = high && beyond(grad, greater(x!, high), high, isFixed(high))
      return [
        high ? beyond(above, less(x!, high), high, isFixed(high)) : above,
        crossed ? where(crossed, 0, toLow!) : toLow,
        crossed ? where(crossed, grad, toHigh!) : toHigh,
      ]
    },
  },
  evaluate: ([x, low, high]) => [
    {
      ...x!,
      data: x!.data.map((value) =>
        Math.min(Math.max(value, low?.data[0] ?? -POSITIVE_INFINITY), high?.data[0] ?? POSITIVE_INFINITY),
      ),
    },
  ],
  samples: [
    { inputs: [normal(3, 4), scalar(-0.5), scalar(0.7)] },
    { inputs: [normal(3, 4), fixed('float32', [], [-0.51]), fixed('float32', [], [0.42])] },
    { inputs: [normal(3, 4), undefined, scalar(0.3)] },
    { inputs: [normal(3, 4), scalar(0.1)] },
    { inputs: [fixed('int64', [4], [-5, 0, 3, 9]), fixed('int64', [], [-2]), fixed('int64', [], [4])] },
  ],
})
/** x held between two numbers or scalars of its dtype. */
export function clip(x: Value, low: Operand | undefined, high: Operand | undefined): Value {
  const bound = (value: Operand | undefined) => (value === undefined ? undefined : operands(value, x)[0])
  return apply1(Clip, [x, bound(low), bound(high)])
}

// Arithmetic on each number: the four rules, powers, roots, rounding, and the sums and extrema of several operands.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, type Operator } from '../graph/operator.js'
import { awayFromZero, fixed, normal, positive } from '../graph/sample.js'
import { addDims, divideDim, isKnown, sizeOf } from '../graph/shape.js'
import { apply1, type Value } from '../graph/value.js'
import { cast } from './casts.js'
import { errorFunction } from './errorFunction.js'
import { binary, call, call1, type None, none, unary, x0, x1, y0 } from './pointwise.js'

/** Before version 14 the four rules of arithmetic do not take uint8, so that bytes go through int32 and back. */
function arithmetic(...[name, f, gradient, options]: Parameters<typeof binary<None>>): Operator<None> {
  const record: Operator<None> = binary(name, f, gradient, {
    ...options,
    since: 14,
    before: {
      instead(operands) {
        if (operands[0]!.dtype !== 'uint8') return undefined
        const wide = operands.map((operand) => cast(operand!, 'int32'))
        return [cast(apply1(record, wide), 'uint8')]
      },
    },
  })
  return record
}

/** a + b */
export const Add: Operator<None> = arithmetic(
  'Add',
  (a, b) => a + b,
  ({ grad }) => [grad, grad],
  { dims: addDims },
)
/** a + b, broadcast. */
export const add = call(Add)

/** a − b */
export const Sub: Operator<None> = arithmetic(
  'Sub',
  (a, b) => a - b,
  ({ grad }) => [grad, neg(grad)],
  { dims: (a, b) => (a === b ? 0 : isKnown(b) ? addDims(a, -b) : undefined) },
)
/** a − b, broadcast. */
export const sub = call(Sub)

/** a · b */
export const Mul: Operator<None> = arithmetic(
  'Mul',
  (a, b) => a * b,
  (c) => [mul(c.grad, x1(c)), mul(c.grad, x0(c))],
  { dims: (a, b) => sizeOf([a, b]) },
)
/** a · b, broadcast. */
export const mul = call(Mul)

/** a ÷ b; whole numbers truncate toward zero. d(a/b) = da/b − (a/b)·db/b */
export const Div: Operator<None> = arithmetic(
  'Div',
  (a, b) => a / b,
  (c) => [div(c.grad, x1(c)), neg(div(mul(c.grad, y0(c)), x1(c)))],
  {
    samples: [normal, positive],
    dims: (a, b) => (isKnown(a) && isKnown(b) ? Math.trunc(a / b) : b === 0 ? undefined : divideDim(a, b)),
  },
)
/** a / b, broadcast; whole numbers truncate. */
export const div = call(Div)

const modAttributes = { fmod: int(0) }
/**
 * The remainder: a − ⌊a/b⌋·b, with the sign of b; with fmod a − trunc(a/b)·b, with the sign of a, the only one for floats.
 * Gradient da − trunc(a/b)·db.
 */
export const Mod: Operator<typeof modAttributes> = binary(
  'Mod',
  (a, b, { fmod }) => {
    const rest = a % b
    if (fmod || rest === 0 || rest < 0 === b < 0) return rest
    return Math.abs(b) === Number.POSITIVE_INFINITY ? b : rest + b
  },
  ({ grad, inputs: [a, b], attributes: { fmod } }) => [grad, neg(mul(grad, (fmod ? truncated : floor)(div(a!, b!))))],
  { attributes: modAttributes, samples: [awayFromZero, positive], sampled: { fmod: 1 } },
)
const truncated = (x: Value): Value => mul(sign(x), floor(abs(x)))

const { POSITIVE_INFINITY } = Number

const several = {
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: none,
  arity: [1, POSITIVE_INFINITY],
  elementwise: true,
  samples: [{ inputs: [normal(2, 3), normal(3), normal(2, 1)] }, { inputs: [normal(2, 3)] }],
} as const
/** x0 + x1 + … */
export const Sum = composite({ ...several, name: 'Sum', body: (operands) => [operands.reduce(add)] })
/** (x0 + x1 + …) ÷ how many */
export const Mean = composite({
  ...several,
  name: 'Mean',
  body: (operands) => [operands.length === 1 ? operands[0]! : div(operands.reduce(add), operands.length)],
})

/** −x */
export const Neg: Operator<None> = unary(
  'Neg',
  (x) => -x,
  ({ grad }) => [neg(grad)],
  { takes: 'signed' },
)
/** −x */
export const neg = call1(Neg)
/** |x|; d|x| = sign(x)·dx */
export const Abs: Operator<None> = unary('Abs', Math.abs, (c) => [mul(c.grad, sign(x0(c)))], {
  sample: awayFromZero,
  takes: 'number',
})
/** |x|; gradient 0 at 0. */
export const abs = call1(Abs)
/** −1, 0 or 1; gradient 0. */
export const Sign: Operator<None> = unary('Sign', Math.sign, 'zero', { sample: awayFromZero, takes: 'number' })
/** −1, 0 or 1; gradient 0. */
export const sign = call1(Sign)
/** The whole number at or below x. */
export const Floor: Operator<None> = unary('Floor', Math.floor, 'zero', { sample: awayFromZero })
/** The whole number below; gradient 0. */
export const floor = call1(Floor)
/** The whole number at or above x. */
export const Ceil: Operator<None> = unary('Ceil', Math.ceil, 'zero', { sample: awayFromZero })
/** The whole number above; gradient 0. */
export const ceil = call1(Ceil)
/** The whole number nearest to x; halves go to the even one. */
export function nearestEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}
/** The whole number nearest to x; halves go to the even one. */
export const Round: Operator<None> = unary('Round', nearestEven, 'zero', {
  since: 11,
  samples: [{ inputs: [fixed('float32', [7], [-2.5, -1.5, -0.4, 0.5, 1.5, 2.6, 3])] }],
})
/** The nearest whole number, halves to the even one; gradient 0. */
export const round = call1(Round)
/** e^x; its own derivative. */
export const Exp: Operator<None> = unary('Exp', Math.exp, (c) => [mul(c.grad, y0(c))])
/** e^x */
export const exp = call1(Exp)
/** ln x; d ln x = dx/x */
export const Log: Operator<None> = unary('Log', Math.log, (c) => [div(c.grad, x0(c))], { sample: positive })
/** ln x */
export const log = call1(Log)
/** √x; d√x = dx/(2√x) */
export const Sqrt: Operator<None> = unary('Sqrt', Math.sqrt, (c) => [div(c.grad, mul(y0(c), 2))], { sample: positive })
/** √x */
export const sqrt = call1(Sqrt)
/** 1/x; d(1/x) = −dx/x² */
export const Reciprocal: Operator<None> = unary(
  'Reciprocal',
  (x) => 1 / x,
  (c) => [neg(mul(c.grad, mul(y0(c), y0(c))))],
  { sample: positive },
)
/** 1/x */
export const reciprocal = call1(Reciprocal)

/** The error function; d erf x = 2/√π · e^(−x²)·dx, written as e^(ln(2/√π) − x²)·dx, which takes a pass less. */
export const Erf: Operator<None> = unary(
  'Erf',
  errorFunction,
  (c) => [mul(c.grad, exp(sub(Math.log(2 / Math.sqrt(Math.PI)), mul(x0(c), x0(c)))))],
  { takes: 'number' },
)
/** The error function. */
export const erf = call1(Erf)

/** x as it is. */
export const Identity: Operator<None> = {
  ...unary(
    'Identity',
    (x) => x,
    ({ grad }) => [grad],
    { takes: 'any' },
  ),
  dims: ([x], _, known) => [known(x)],
}
/** x as it is. */
export const identity = call1(Identity)

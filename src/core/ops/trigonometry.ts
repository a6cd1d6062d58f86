// Sine, cosine, tangent, their hyperbolic kin, and the inverses of all.

import type { Operator } from '../graph/operator.js'
import { normal, positive, type SampleInput } from '../graph/sample.js'
import type { Value } from '../graph/value.js'
import { add, div, mul, neg, sqrt, sub } from './arithmetic.js'
import { call1, type None, type Rule, unary, x0, y0 } from './pointwise.js'

/** By the derivative, from x and y. */
const times =
  (derivative: (x: Value, y: Value) => Value): Rule =>
  (c) => [mul(c.grad, derivative(x0(c), y0(c)))]
/** By what the derivative is one over. */
const over =
  (divisor: (x: Value) => Value): Rule =>
  (c) => [div(c.grad, divisor(x0(c)))]
const square = (x: Value): Value => mul(x, x)

const drawnAs =
  (draw: typeof normal, f: (x: number) => number) =>
  (...shape: number[]): SampleInput => {
    const drawn = draw(...shape)
    return {
      ...drawn,
      draw(random) {
        const { data, ...type } = drawn.draw(random)
        return { ...type, data: data.map(f) }
      },
    }
  }
/** Values in (−0.9, 0.9). */
const inside = drawnAs(normal, (x) => Math.tanh(x) * 0.9)
/** Values from 1.5 on. */
const beyondOne = drawnAs(positive, (x) => x + 1)

/** d sin = cos x · dx */
export const Sin: Operator<None> = unary(
  'Sin',
  Math.sin,
  times((x) => cos(x)),
  { since: 7 },
)
/** The sine of x, in radians. */
export const sin = call1(Sin)
/** d cos = −sin x · dx */
export const Cos: Operator<None> = unary(
  'Cos',
  Math.cos,
  times((x) => neg(sin(x))),
  { since: 7 },
)
/** The cosine of x, in radians. */
export const cos = call1(Cos)
/** d tan = (1 + tan²)dx */
export const Tan: Operator<None> = unary(
  'Tan',
  Math.tan,
  times((_, y) => add(square(y), 1)),
  { since: 7, sample: inside },
)
/** d asin = dx/√(1 − x²) */
export const Asin: Operator<None> = unary(
  'Asin',
  Math.asin,
  over((x) => sqrt(sub(1, square(x)))),
  { since: 7, sample: inside },
)
/** d acos = −dx/√(1 − x²) */
export const Acos: Operator<None> = unary(
  'Acos',
  Math.acos,
  over((x) => neg(sqrt(sub(1, square(x))))),
  { since: 7, sample: inside },
)
/** d atan = dx/(1 + x²) */
export const Atan: Operator<None> = unary(
  'Atan',
  Math.atan,
  over((x) => add(square(x), 1)),
  { since: 7 },
)
/** d sinh = cosh x · dx */
export const Sinh: Operator<None> = unary(
  'Sinh',
  Math.sinh,
  times((x) => cosh(x)),
  { since: 9 },
)
/** The hyperbolic sine. */
export const sinh = call1(Sinh)
/** d cosh = sinh x · dx */
export const Cosh: Operator<None> = unary(
  'Cosh',
  Math.cosh,
  times((x) => sinh(x)),
  { since: 9 },
)
/** The hyperbolic cosine. */
export const cosh = call1(Cosh)
/** d tanh = (1 − tanh²)dx */
export const Tanh: Operator<None> = unary(
  'Tanh',
  Math.tanh,
  times((_, y) => sub(1, square(y))),
)
/** The hyperbolic tangent. */
export const tanh = call1(Tanh)
/** d asinh = dx/√(x² + 1) */
export const Asinh: Operator<None> = unary(
  'Asinh',
  Math.asinh,
  over((x) => sqrt(add(square(x), 1))),
  { since: 9 },
)
/** d acosh = dx/√(x² − 1) */
export const Acosh: Operator<None> = unary(
  'Acosh',
  Math.acosh,
  over((x) => sqrt(sub(square(x), 1))),
  { since: 9, sample: beyondOne },
)
/** d atanh = dx/(1 − x²) */
export const Atanh: Operator<None> = unary(
  'Atanh',
  Math.atanh,
  over((x) => sub(1, square(x))),
  { since: 9, sample: inside },
)

// The Gaussian error linear unit: a composite, because ONNX has it as an operator from version 20 of its operators on only.

import { composite } from '../graph/composite.js'
import { ONNX_DOMAIN, string, TRAINING_DOMAIN } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { apply1, GraphError, scope, type Value } from '../graph/value.js'
import { add, erf, exp, mul, neg, sub, tanh } from './elementwise.js'

const geluOf = (x: Value): Value =>
  mul(
    mul(
      x,
      scope('part', () => add(erf(mul(x, Math.SQRT1_2)), 1)),
    ),
    0.5,
  )

/** x · Φ(x), with Φ the distribution function of the standard normal distribution. */
export const Gelu = composite({
  name: 'Gelu',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x'],
    outputs: ['y'],
    text: 'The Gaussian error linear unit (Hendrycks and Gimpel 2016): y = ½ · x · (1 + erf(x/√2)).',
  },
  attributes: {},
  arity: [1, 1],
  elementwise: true,
  body: ([x]) => [geluOf(x!)],
  gradient: { rule: ({ grad, inputs: [x] }) => [apply1(GeluGrad, [grad, x!])] },
  samples: [{ inputs: [normal(2, 3)] }, { inputs: [normal()] }],
})
/** x · Φ(x) with the normal distribution Φ, exact (Hendrycks and Gimpel 2016). */
export const gelu = (x: Value): Value => apply1(Gelu, [x])

/** Its gradient: dx = dy · (Φ(x) + x · φ(x)), with the density φ(x) = e^(−x²/2)/√(2π). */
export const GeluGrad = composite({
  name: 'GeluGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'x'],
    outputs: ['dx'],
    text: 'The gradient of Gelu: dx = dy · (½ · (1 + erf(x/√2)) + x · e^(−x²/2)/√(2π)).',
  },
  attributes: {},
  arity: [2, 2],
  elementwise: true,
  // With u = x/√2: Φ = ½ + ½ · erf u, and x · φ = u · e^(−u²)/√π.
  body([dy, x]) {
    const u = scope('u', () => mul(x!, Math.SQRT1_2))
    const density = scope('density', () => mul(mul(u, exp(neg(mul(u, u)))), 1 / Math.sqrt(Math.PI)))
    const distribution = scope('distribution', () => add(mul(erf(u), 0.5), 0.5))
    return [mul(dy!, add(distribution, density))]
  },
  samples: [{ inputs: [normal(2, 3), normal(2, 3)] }],
})

/** With which Φ(x) is approximated: ½(1 + tanh u), where u = √(2/π)·(x + 0.044715x³). */
const slope = Math.sqrt(2 / Math.PI)
const tanhPart = (x: Value): Value => tanh(mul(add(x, mul(mul(mul(x, x), x), 0.044715)), slope))

/** The Gelu of ONNX itself, from version 20 on: exact, or by the hyperbolic tangent (Hendrycks and Gimpel 2016). */
export const OnnxGelu = composite({
  name: 'Gelu',
  domain: ONNX_DOMAIN,
  since: 20,
  attributes: { approximate: string('none') },
  arity: [1, 1],
  elementwise: true,
  check(_, { approximate }) {
    if (approximate !== 'none' && approximate !== 'tanh')
      throw new GraphError(`approximate '${approximate}' is not known; use 'none' or 'tanh'`)
  },
  body: ([x], { approximate }) => [approximate === 'tanh' ? mul(mul(x!, 0.5), add(tanhPart(x!), 1)) : geluOf(x!)],
  gradient: {
    rule({ grad, inputs: [x], attributes: { approximate } }) {
      if (approximate === 'none') return [apply1(GeluGrad, [grad, x!])]
      // y = ½x(1 + t): dy = ½(1 + t) + ½x(1 − t²)·du
      const t = tanhPart(x!)
      const du = add(mul(mul(x!, x!), 3 * 0.044715 * slope), slope)
      return [mul(mul(grad, 0.5), add(add(t, 1), mul(mul(x!, sub(1, mul(t, t))), du)))]
    },
  },
  samples: [{ inputs: [normal(2, 3)] }, { inputs: [normal(2, 3)], attributes: { approximate: 'tanh' } }],
})

// Activations: ReLU and what came after it.

import { composite } from '../graph/composite.js'
import {
  type AttributeSpecs,
  float,
  ONNX_DOMAIN,
  type Operator,
  operator,
  primitive,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { awayFromZero, fixed, normal } from '../graph/sample.js'
import { broadcastShapes, unifyShapes } from '../graph/shape.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { abs, add, mul, reciprocal, sub } from './arithmetic.js'
import { cast } from './casts.js'
import { where } from './choice.js'
import { greater, less } from './comparison.js'
import {
  type Context,
  call1,
  inferBroadcast,
  type None,
  none,
  type Rule,
  requireTaken,
  roundedTo,
  unary,
  x0,
  x1,
  y0,
} from './pointwise.js'
import { broadcastMap, map } from './reference.js'
import { tanh } from './trigonometry.js'

/** 1/(1 + e^−x); dσ = σ(1 − σ)dx */
export const Sigmoid: Operator<None> = unary(
  'Sigmoid',
  (x) => 1 / (1 + Math.exp(-x)),
  (c) => [mul(c.grad, mul(y0(c), sub(1, y0(c))))],
)
/** 1/(1 + e^−x) */
export const sigmoid = call1(Sigmoid)
/** max(0, x). Its gradient is a primitive, because runtimes differ most in what is fast there. */
export const Relu: Operator<None> = unary(
  'Relu',
  (x) => Math.max(0, x),
  (c) => [reluGrad(c.grad, y0(c))],
  { sample: awayFromZero, takes: 'signed' },
)
/** max(x, 0); gradient 0 at 0. */
export const relu = call1(Relu)

/**
 * dy where the ReLU's output y is positive, else 0 — the mask from the output, so that the input need not be kept.
 * In dy it is linear with the same mask; in y it is flat.
 */
export const ReluGrad = primitive({
  name: 'ReluGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'y'],
    outputs: ['dx'],
    text: 'The gradient of Relu from its output: dx is dy where y > 0, else 0.',
  },
  attributes: none,
  arity: [2, 2],
  elementwise: true,
  differentiable: { inputs: [0] },
  infer: (inputs) => inferBroadcast(inputs),
  gradient: { rule: (c) => [reluGrad(c.grad, c.inputs[1]!), undefined] },
  evaluate: (inputs) => [broadcastMap(inputs[0]!.dtype, inputs, (...[dy, y]) => (y! > 0 ? dy! : 0))],
  samples: [{ inputs: [normal(2, 3), fixed('float32', [2, 3], [0, 1.5, 0, 0.25, 3, 0])] }],
})
/** dy where y > 0, else 0: the gradient of {@link relu} from its output. */
export const reluGrad = (dy: Value, y: Value): Value => apply1(ReluGrad, [dy, y])

const slopeAndShift = { alpha: float(0.2), beta: float(0.5) }
/** max(0, min(1, alpha·x + beta)); slope alpha inside. */
export const HardSigmoid: Operator<typeof slopeAndShift> = operator({
  name: 'HardSigmoid',
  domain: ONNX_DOMAIN,
  since: 6,
  attributes: slopeAndShift,
  arity: [1, 1],
  elementwise: true,
  infer([x]) {
    requireTaken(x!, 'float')
    return [x!]
  },
  gradient: {
    rule({ grad, outputs: [y], attributes: { alpha } }) {
      const inside = mul(cast(greater(y!, 0), grad.dtype), cast(less(y!, 1), grad.dtype))
      return [mul(mul(grad, alpha), inside)]
    },
  },
  evaluate: ([x], { alpha, beta }) => [map(x!, (v) => Math.max(0, Math.min(1, alpha * v + beta)))],
  samples: [
    { inputs: [fixed('float32', [6], [-4, -1, 0.3, 1, 2.2, 5])] },
    { inputs: [awayFromZero(2, 3)], attributes: { alpha: 1.25, beta: 0 } },
  ],
})
/** max(0, min(1, alpha · x + beta)); 0.2 and 0.5 unless given. */
export const hardSigmoid = (x: Value, attributes: { alpha?: number; beta?: number } = {}): Value =>
  apply1(HardSigmoid, [x], attributes)

/** By the derivative. */
const by =
  <S extends AttributeSpecs = None>(derivative: (context: Context<S>) => Value): Rule<S> =>
  (c) => [mul(c.grad, derivative(c))]
/** One number where x > 0, another elsewhere. */
const bySign = (x: Value, above: number, below: number | Value): Value =>
  where(greater(x, 0), constant(x.dtype, above), typeof below === 'number' ? constant(x.dtype, below) : below)

const eluAttributes = { alpha: float(1) }
/** x where positive, alpha·(e^x − 1) elsewhere. */
export const Elu: Operator<typeof eluAttributes> = unary(
  'Elu',
  (x, { alpha }) => (x < 0 ? alpha * Math.expm1(x) : x),
  by((c) => bySign(x0(c), 1, add(y0(c), c.attributes.alpha))),
  {
    since: 6,
    attributes: eluAttributes,
    samples: [{ inputs: [awayFromZero(2, 3)] }, { inputs: [awayFromZero(5)], attributes: { alpha: 0.5 } }],
  },
)

const seluAttributes = { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) }
/** gamma · (x where positive, alpha·(e^x − 1) elsewhere); Klambauer et al. 2017. */
export const Selu: Operator<typeof seluAttributes> = unary(
  'Selu',
  (x, { alpha, gamma }) => gamma * (x > 0 ? x : alpha * Math.expm1(x)),
  by((c) => bySign(x0(c), c.attributes.gamma, add(y0(c), c.attributes.alpha * c.attributes.gamma))),
  {
    since: 6,
    attributes: seluAttributes,
    samples: [{ inputs: [awayFromZero(2, 3)] }, { inputs: [awayFromZero(5)], attributes: { alpha: 0.5, gamma: 2 } }],
  },
)

const celuAttributes = { alpha: float(1) }
/** max(0, x) + min(0, alpha·(e^(x/alpha) − 1)); Barron 2017. */
export const Celu: Operator<typeof celuAttributes> = unary(
  'Celu',
  (x, { alpha }) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha)),
  by((c) => bySign(x0(c), 1, add(mul(y0(c), 1 / c.attributes.alpha), 1))),
  {
    since: 12,
    attributes: celuAttributes,
    samples: [{ inputs: [normal(2, 3)] }, { inputs: [awayFromZero(5)], attributes: { alpha: 2 } }],
  },
)

const leakyAttributes = { alpha: float(0.01) }
/** x where positive, alpha·x elsewhere; slope alpha at 0, as in PyTorch. */
export const LeakyRelu: Operator<typeof leakyAttributes> = unary(
  'LeakyRelu',
  (x, { alpha }) => (x < 0 ? alpha * x : x),
  by((c) => bySign(x0(c), 1, c.attributes.alpha)),
  {
    since: 6,
    attributes: leakyAttributes,
    samples: [{ inputs: [awayFromZero(2, 3)] }, { inputs: [awayFromZero(5)], attributes: { alpha: 0.3 } }],
  },
)

/** x where positive, slope·x elsewhere; the slope broadcasts to x. At 0 as elsewhere, as in PyTorch. */
export const PRelu: Operator<None> = operator({
  name: 'PRelu',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes: none,
  arity: [2, 2],
  elementwise: true,
  infer([x, slope]) {
    requireTaken(x!, 'number')
    if (x!.dtype !== slope!.dtype) throw new GraphError('needs a slope of the dtype of x; cast it')
    const shape = broadcastShapes(x!.shape, slope!.shape)
    if (!shape || !unifyShapes(shape, x!.shape)) throw new GraphError('the slope does not broadcast to the shape of x')
    return [x!]
  },
  gradient: {
    rule(c) {
      const isPositive = greater(x0(c), 0)
      return [where(isPositive, c.grad, mul(c.grad, x1(c))), where(isPositive, 0, mul(c.grad, x0(c)))]
    },
  },
  evaluate: ([x, slope]) => [
    broadcastMap(x!.dtype, [x!, slope!], (...[v, a]) => (v! < 0 ? roundedTo(x!.dtype, a! * v!) : v!)),
  ],
  samples: [
    { inputs: [awayFromZero(2, 3), awayFromZero(3)] },
    { inputs: [awayFromZero(2, 3, 2), awayFromZero(3, 1)] },
    { inputs: [awayFromZero(2, 3), awayFromZero(1)] },
  ],
})

const thresholdAttributes = { alpha: float(1) }
/** x where above alpha, else 0. */
export const ThresholdedRelu: Operator<typeof thresholdAttributes> = unary(
  'ThresholdedRelu',
  (x, { alpha }) => (x > alpha ? x : 0),
  (c) => [where(greater(x0(c), c.attributes.alpha), c.grad, 0)],
  {
    since: 10,
    attributes: thresholdAttributes,
    samples: [{ inputs: [normal(2, 3)] }, { inputs: [normal(5)], attributes: { alpha: 0.2 } }],
  },
)

/** ln(1 + e^x); its derivative is the sigmoid. */
export const Softplus: Operator<None> = unary(
  'Softplus',
  (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  by((c) => sigmoid(x0(c))),
  { since: 1 },
)
/** ln(1 + e^x) */
export const softplus = call1(Softplus)

/** x/(1 + |x|); its derivative is 1/(1 + |x|)². */
export const Softsign: Operator<None> = unary(
  'Softsign',
  (x) => x / (1 + Math.abs(x)),
  by((c) => {
    const shrink = reciprocal(add(abs(x0(c)), 1))
    return mul(shrink, shrink)
  }),
  { since: 1, sample: awayFromZero },
)

const shrinkAttributes = { bias: float(0), lambd: float(0.5) }
/** x + bias below −lambd, x − bias above lambd, 0 between; on whole numbers both are truncated first, as CastLike does. */
export const Shrink: Operator<typeof shrinkAttributes> = operator({
  name: 'Shrink',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes: shrinkAttributes,
  arity: [1, 1],
  elementwise: true,
  infer([x]) {
    requireTaken(x!, 'number')
    return [x!]
  },
  gradient: { rule: (c) => [where(greater(abs(x0(c)), c.attributes.lambd), c.grad, 0)] },
  evaluate([x], attributes) {
    const [bias, lambd] = [attributes.bias, attributes.lambd].map((value) => roundedTo(x!.dtype, value)) as [
      number,
      number,
    ]
    return [
      map(x!, (v) => (v < -lambd ? roundedTo(x!.dtype, v + bias) : v > lambd ? roundedTo(x!.dtype, v - bias) : 0)),
    ]
  },
  samples: [
    { inputs: [fixed('float32', [5], [-2, -0.4, 0.1, 0.7, 1.5])] },
    { inputs: [fixed('float32', [5], [-2, -0.4, 0.1, 0.7, 1.5])], attributes: { lambd: 1, bias: 0.25 } },
  ],
})

/** x · hardsigmoid with slope 1/6; Howard et al. 2019. */
export const HardSwish = composite({
  name: 'HardSwish',
  domain: ONNX_DOMAIN,
  since: 14,
  attributes: none,
  arity: [1, 1],
  elementwise: true,
  body: ([x]) => [mul(x!, hardSigmoid(x!, { alpha: 1 / 6, beta: 0.5 }))],
  samples: [{ inputs: [fixed('float32', [6], [-4, -1, 0.3, 1, 2.2, 5])] }],
})

/** x · σ(alpha·x); Ramachandran et al. 2017. */
export const Swish = composite({
  name: 'Swish',
  domain: ONNX_DOMAIN,
  since: 24,
  attributes: { alpha: float(1) },
  arity: [1, 1],
  elementwise: true,
  body: ([x], { alpha }) => [mul(x!, sigmoid(alpha === 1 ? x! : mul(x!, alpha)))],
  samples: [{ inputs: [normal(2, 3)] }, { inputs: [normal(3)], attributes: { alpha: 1.7 } }],
})

/** swish(gate) · x; Shazeer 2020. */
export const SwiGLU = composite({
  name: 'SwiGLU',
  domain: ONNX_DOMAIN,
  since: 28,
  attributes: { alpha: float(1) },
  arity: [2, 2],
  elementwise: true,
  check([gate, x]) {
    if (!unifyShapes(gate!.shape, x!.shape)) throw new GraphError('needs two inputs of one shape')
  },
  body: ([gate, x], { alpha }) => [mul(apply1(Swish, [gate], { alpha }), x!)],
  samples: [{ inputs: [normal(2, 3), normal(2, 3)] }, { inputs: [normal(3), normal(3)], attributes: { alpha: 1.7 } }],
})

/** x · tanh(softplus(x)); Misra 2019. */
export const Mish = composite({
  name: 'Mish',
  domain: ONNX_DOMAIN,
  since: 18,
  attributes: none,
  arity: [1, 1],
  elementwise: true,
  body: ([x]) => [mul(x!, tanh(softplus(x!)))],
  samples: [{ inputs: [normal(2, 3)] }, { inputs: [normal()] }],
})

// The optimizers that ONNX tries out in ai.onnx.preview.training: Adagrad, Adam and Momentum. One node updates any number of
// tensors: its operands are R (the learning rate), T (how many updates there were), then all tensors X, then their gradients G,
// then what is kept for each. No runtime has kernels for them: what is run is their bodies.

import { composite } from '../graph/composite.js'
import { float, PREVIEW_TRAINING_DOMAIN, required } from '../graph/operator.js'
import { fixed, normal, positive } from '../graph/sample.js'
import { unifyShapes } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { constant, formatType, GraphError, scope, type Value } from '../graph/value.js'
import { add, cast, div, greater, max, mul, pow, sqrt, sub, where } from './elementwise.js'
import { reshape } from './shape.js'

/** How many operands there are before the tensors: R and T. */
export const FIRST_TENSOR = 2

/** The operands of one tensor: X, G and what is kept for it; those of all tensors stand X₁ … Xₙ, G₁ … Gₙ, …  */
const tensorsOf = (inputs: readonly Value[], each: number): readonly (readonly Value[])[] => {
  const count = (inputs.length - FIRST_TENSOR) / each
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: each }, (_, role) => inputs[FIRST_TENSOR + role * count + i]!),
  )
}

/** Places of the operands that are gradients. */
export const gradientPlaces = (inputs: number, each: number): readonly number[] => {
  const count = (inputs - FIRST_TENSOR) / each
  return Array.from({ length: count }, (_, i) => FIRST_TENSOR + count + i)
}

function check(inputs: readonly Value[], each: number, names: string): void {
  const [rate, updates] = inputs as readonly [Value, Value, ...Value[]]
  if (!isFloat(rate.dtype)) throw new GraphError('needs a floating-point learning rate R')
  if (updates.dtype !== 'int64') throw new GraphError('needs an int64 count T of updates')
  for (const [what, value] of [
    ['R', rate],
    ['T', updates],
  ] as const)
    if (value.shape.some((dim) => typeof dim === 'number' && dim !== 1)) throw new GraphError(`needs a scalar ${what}`)
  if ((inputs.length - FIRST_TENSOR) % each !== 0)
    throw new GraphError(`takes R, T and then as many tensors ${names}; got ${inputs.length - FIRST_TENSOR}`)
  for (const operands of tensorsOf(inputs, each)) {
    const [x] = operands as readonly [Value, ...Value[]]
    const other = operands.find((value) => value.dtype !== x.dtype || !unifyShapes(value.shape, x.shape))
    if (!isFloat(x.dtype) || other)
      throw new GraphError(`needs ${names} of one floating-point type, got ${operands.map(formatType).join(', ')}`)
  }
}

/** By tensors to by roles: all new X, then all new values of the first that is kept, … */
const byRole = (results: readonly (readonly Value[])[]): readonly Value[] =>
  results[0]!.flatMap((_, role) => results.map((values) => values[role]!))

/** R or T as a scalar of the type of a tensor; files also have them of shape [1]. */
const as = (value: Value, { dtype }: Value): Value => {
  const scalar = value.shape.length === 0 ? value : reshape(value, [])
  return scalar.dtype === dtype ? scalar : cast(scalar, dtype)
}

/** G + norm_coefficient · X: with the gradient of ½ · norm_coefficient · ‖X‖². */
const regularized = (g: Value, x: Value, coefficient: number): Value =>
  coefficient === 0 ? g : scope('regularized', () => add(g, mul(x, coefficient)))

const learningRate = () => positive()
const count = (updates: number) => fixed('int64', [], [updates])

/**
 * G' = G + norm_coefficient · X, V_new = alpha · V + β · G' with β = beta, or 1 where T = 0, and X_new = X − R · V_new; in mode
 * `nesterov` X_new = X − R · (G' + alpha · V_new) (ONNX's ai.onnx.preview.training.Momentum).
 */
export const Momentum = composite({
  name: 'Momentum',
  domain: PREVIEW_TRAINING_DOMAIN,
  since: 1,
  attributes: {
    alpha: required('float'),
    beta: required('float'),
    mode: required('string'),
    norm_coefficient: required('float'),
  },
  arity: [FIRST_TENSOR + 3, Number.POSITIVE_INFINITY],
  check(inputs, { mode }) {
    check(inputs, 3, 'X, G and V')
    if (mode !== 'standard' && mode !== 'nesterov')
      throw new GraphError(`mode '${mode}' must be one of standard, nesterov`)
  },
  body(inputs, { alpha, beta, mode, norm_coefficient }) {
    const [rate, updates] = inputs as readonly [Value, Value, ...Value[]]
    const results = tensorsOf(inputs, 3).map((operands) => {
      const [x, gradient, v] = operands as readonly [Value, Value, Value]
      const g = regularized(gradient, x, norm_coefficient)
      const current = beta === 1 ? g : mul(g, where(greater(as(updates, x), 0), constant(x.dtype, beta), 1))
      const next = scope('momentum', () => add(mul(v, alpha), current))
      const direction = mode === 'nesterov' ? add(g, mul(next, alpha)) : next
      return [sub(x, mul(direction, as(rate, x))), next]
    })
    return byRole(results)
  },
  samples: [
    {
      inputs: [learningRate(), count(0), normal(2, 3), normal(2, 3), normal(2, 3)],
      attributes: { alpha: 0.9, beta: 0.1, mode: 'standard', norm_coefficient: 0.01 },
    },
    {
      inputs: [learningRate(), count(3), normal(3), normal(1), normal(3), normal(1), normal(3), normal(1)],
      attributes: { alpha: 0.5, beta: 0.75, mode: 'nesterov', norm_coefficient: 0 },
    },
  ],
})

/**
 * With G' = G + norm_coefficient · X and r = R / (1 + T · decay_factor): H_new = H + G'², X_new = X − r · G' / (√H_new + epsilon)
 * (Duchi et al. 2011; ONNX's ai.onnx.preview.training.Adagrad).
 */
export const Adagrad = composite({
  name: 'Adagrad',
  domain: PREVIEW_TRAINING_DOMAIN,
  since: 1,
  attributes: { decay_factor: float(0), epsilon: float(1e-6), norm_coefficient: float(0) },
  arity: [FIRST_TENSOR + 3, Number.POSITIVE_INFINITY],
  check: (inputs) => check(inputs, 3, 'X, G and H'),
  body(inputs, { decay_factor, epsilon, norm_coefficient }) {
    const [rate, updates] = inputs as readonly [Value, Value, ...Value[]]
    const results = tensorsOf(inputs, 3).map((operands) => {
      const [x, gradient, h] = operands as readonly [Value, Value, Value]
      const r = as(rate, x)
      const decayed = decay_factor === 0 ? r : div(r, add(mul(as(updates, x), decay_factor), 1))
      const g = regularized(gradient, x, norm_coefficient)
      const next = scope('squares', () => add(h, mul(g, g)))
      return [sub(x, div(mul(g, decayed), add(sqrt(next), epsilon))), next]
    })
    return byRole(results)
  },
  samples: [
    {
      inputs: [learningRate(), count(2), normal(2, 3), normal(2, 3), positive(2, 3)],
      attributes: { decay_factor: 0.1, epsilon: 1e-5, norm_coefficient: 0.01 },
    },
    { inputs: [learningRate(), count(0), normal(2), normal(1), normal(2), normal(1), positive(2), positive(1)] },
  ],
})

/**
 * With G' = G + norm_coefficient · X: V_new = alpha · V + (1 − alpha) · G', H_new = beta · H + (1 − beta) · G'²,
 * r = R · √(1 − beta^T) / (1 − alpha^T), or R where T = 0, and
 * X_new = (1 − norm_coefficient_post) · (X − r · V_new / (√H_new + epsilon)) (Kingma and Ba 2015; ONNX's
 * ai.onnx.preview.training.Adam). PyTorch's epsilon is this one / √(1 − beta^T).
 */
export const Adam = composite({
  name: 'Adam',
  domain: PREVIEW_TRAINING_DOMAIN,
  since: 1,
  attributes: {
    alpha: float(0.9),
    beta: float(0.999),
    epsilon: float(1e-6),
    norm_coefficient: float(0),
    norm_coefficient_post: float(0),
  },
  arity: [FIRST_TENSOR + 4, Number.POSITIVE_INFINITY],
  check: (inputs) => check(inputs, 4, 'X, G, V and H'),
  body(inputs, { alpha, beta, epsilon, norm_coefficient, norm_coefficient_post }) {
    const [rate, updates] = inputs as readonly [Value, Value, ...Value[]]
    const results = tensorsOf(inputs, 4).map((operands) => {
      const [x, gradient, v, h] = operands as readonly [Value, Value, Value, Value]
      const g = regularized(gradient, x, norm_coefficient)
      const mean = scope('mean', () => add(mul(v, alpha), mul(g, 1 - alpha)))
      const squares = scope('squares', () => add(mul(h, beta), mul(mul(g, g), 1 - beta)))
      const r = scope('rate', () => adjusted(as(rate, x), updates, alpha, beta))
      const next = sub(x, div(mul(mean, r), add(sqrt(squares), epsilon)))
      return [norm_coefficient_post === 0 ? next : mul(next, 1 - norm_coefficient_post), mean, squares]
    })
    return byRole(results)
  },
  samples: [
    {
      inputs: [learningRate(), count(2), normal(2, 3), normal(2, 3), normal(2, 3), positive(2, 3)],
      attributes: { alpha: 0.8, beta: 0.9, epsilon: 1e-3, norm_coefficient: 0.01, norm_coefficient_post: 0.1 },
    },
    {
      inputs: [
        learningRate(),
        count(0),
        ...[normal(2), normal(1), normal(2), normal(1), normal(2), normal(1), positive(2), positive(1)],
      ],
    },
  ],
})

/** R · √(1 − beta^T) / (1 − alpha^T); R where T = 0, of which the quotient is none. */
function adjusted(rate: Value, updates: Value, alpha: number, beta: number): Value {
  const t = as(updates, rate)
  const missing = (factor: number) => sub(1, pow(constant(rate.dtype, factor), max(t, 1)))
  return where(greater(t, 0), mul(rate, div(sqrt(missing(beta)), missing(alpha))), rate)
}

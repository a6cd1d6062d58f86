// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), in PyTorch's form (torch.optim.Adam, AdamW).

import { scope, type Value } from '../graph/value.js'
import { add, div, mul, pow, sqrt, sub } from '../ops/elementwise.js'
import type { Named, Optimizer } from './optimizer.js'

/**
 * What {@link adam} and {@link adamw} are fed unless a step is fed something else: 0.9, 0.999, 1e-8 and a weight decay of 0
 * (AdamW: 0.01).
 */
export interface AdamOptions {
  readonly beta1?: number
  readonly beta2?: number
  readonly epsilon?: number
  readonly weightDecay?: number
}

const MOMENTS =
  "m' = beta1 · m + (1 − beta1) · g, v' = beta2 · v + (1 − beta2) · g², " +
  "w' = w − learning_rate · m'/(1 − beta1^step) / (√(v'/(1 − beta2^step)) + epsilon)"

const hyperparametersOf = (
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay }: AdamOptions,
  decay: number,
): Readonly<Record<string, number>> => ({
  beta1,
  beta2,
  epsilon,
  ...((weightDecay ?? decay) === 0 ? {} : { weight_decay: weightDecay ?? decay }),
})

const state = () => ({ first_moment: 0, second_moment: 0 })

/** The moments of a gradient, and what Adam takes from a weight for a learning rate of 1. */
function adamStep(g: Value, { first_moment, second_moment }: Named, { beta1, beta2, epsilon, step }: Named) {
  const m = scope('first_moment', () => add(mul(first_moment!, beta1!), mul(g, sub(1, beta1!))))
  const v = scope('second_moment', () => add(mul(second_moment!, beta2!), mul(mul(g, g), sub(1, beta2!))))
  // 1 − β^step, of which the average of the first steps is short, because it began with 0.
  const missing = (beta: Value) => sub(1, pow(beta, step!))
  const size = scope('size', () => add(sqrt(div(v, missing(beta2!))), epsilon!))
  return {
    direction: scope('direction', () => div(div(m, missing(beta1!)), size)),
    moments: { first_moment: m, second_moment: v },
  }
}

/**
 * Adam (Kingma and Ba 2015), as in PyTorch, with weight decay added to the gradient: g = gradient + weightDecay · w,
 * m′ = beta1 · m + (1 − beta1) · g, v′ = beta2 · v + (1 − beta2) · g²,
 * w′ = w − rate · m′/(1 − beta1^step) / (√(v′/(1 − beta2^step)) + epsilon). Its usual rate is 0.001.
 */
export const adam = (options: AdamOptions = {}): Optimizer => ({
  name: 'Adam',
  text: `Adam (Kingma and Ba 2015): g = gradient + weight_decay · w, ${MOMENTS}.`,
  hyperparameters: hyperparametersOf(options, 0),
  learningRate: 1e-3,
  state,
  update(w, gradient, state, hyperparameters) {
    const { learning_rate, weight_decay } = hyperparameters
    const g = weight_decay ? scope('g', () => add(gradient, mul(w, weight_decay))) : gradient
    const { direction, moments } = adamStep(g, state, hyperparameters)
    return { w: scope('step', () => sub(w, mul(direction, learning_rate!))), ...moments }
  },
})

/**
 * AdamW (Loshchilov and Hutter 2019), as in PyTorch: {@link adam} with weight decay apart from the gradient, 0.01 unless given:
 * w is multiplied by 1 − rate · weightDecay first.
 */
export const adamw = (options: AdamOptions = {}): Optimizer => ({
  name: 'AdamW',
  text: `AdamW (Loshchilov and Hutter 2019): g = gradient, and w is multiplied by 1 − learning_rate · weight_decay first: ${MOMENTS}.`,
  hyperparameters: hyperparametersOf(options, 0.01),
  learningRate: 1e-3,
  state,
  update(w, gradient, state, hyperparameters) {
    const { learning_rate, weight_decay } = hyperparameters
    const kept = weight_decay ? scope('decayed', () => mul(w, sub(1, mul(learning_rate!, weight_decay)))) : w
    const { direction, moments } = adamStep(gradient, state, hyperparameters)
    return { w: scope('step', () => sub(kept, mul(direction, learning_rate!))), ...moments }
  },
})

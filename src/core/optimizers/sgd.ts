// Stochastic gradient descent, in PyTorch's form (torch.optim.SGD).

import { scope, type Value } from '../graph/value.js'
import { add, mul, type Operand, sub } from '../ops/elementwise.js'
import type { Optimizer } from './optimizer.js'

/** What {@link sgd} is fed unless a step is fed something else. */
export interface SgdOptions {
  /** From 0 to below 1; 0.9 unless given. 0: no velocity is kept. */
  readonly momentum?: number | undefined
  /** What of the weight is added to the gradient; 0 unless given. */
  readonly weightDecay?: number | undefined
  /** Nesterov momentum; false unless given. */
  readonly nesterov?: boolean | undefined
}

export interface SgdTerms {
  readonly rate: Operand
  /** Absent: no momentum. */
  readonly momentum?: Operand | undefined
  /** Absent: no decay. */
  readonly weightDecay?: Operand | undefined
  readonly nesterov: boolean
}

/** g = gradient + weight_decay · w, v′ = momentum · v + g, w′ = w − rate · v′, or with Nesterov w − rate · (g + momentum · v′). */
export function sgdUpdate(
  w: Value,
  gradient: Value,
  v: Value | undefined,
  { rate, momentum, weightDecay, nesterov }: SgdTerms,
): { readonly w: Value; readonly velocity: Value } {
  const g = weightDecay === undefined ? gradient : scope('g', () => add(gradient, mul(w, weightDecay)))
  const velocity = v && momentum !== undefined ? scope('velocity', () => add(mul(v, momentum), g)) : g
  const direction =
    nesterov && momentum !== undefined ? scope('direction', () => add(g, mul(velocity, momentum))) : velocity
  return { w: scope('step', () => sub(w, mul(direction, rate))), velocity }
}

/**
 * Stochastic gradient descent with momentum, as in PyTorch: v′ = momentum · v + g + weightDecay · w, w′ = w − rate · v′;
 * with Nesterov w′ = w − rate · (g + momentum · v′).
 */
export const sgd = ({ momentum = 0.9, weightDecay = 0, nesterov = false }: SgdOptions = {}): Optimizer => ({
  name: nesterov ? 'SgdNesterov' : 'Sgd',
  text:
    "Stochastic gradient descent, in PyTorch's form: g = gradient + weight_decay · w, momentum' = momentum · it + g, " +
    (nesterov ? "w' = w − learning_rate · (g + momentum · momentum')." : "w' = w − learning_rate · momentum'."),
  hyperparameters: {
    ...(momentum === 0 ? {} : { momentum }),
    ...(weightDecay === 0 ? {} : { weight_decay: weightDecay }),
  },
  state: () => (momentum === 0 ? {} : { momentum: 0 }),
  update(w, gradient, state, { learning_rate, momentum, weight_decay }) {
    const terms = { rate: learning_rate!, momentum, weightDecay: weight_decay, nesterov }
    const next = sgdUpdate(w, gradient, state.momentum, terms)
    return { w: next.w, ...(momentum ? { momentum: next.velocity } : {}) }
  },
})

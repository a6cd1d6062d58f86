// Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): the momentum of a matrix, made orthogonal by a
// Newton–Schulz iteration; beside it AdamW for what is no matrix.

import type { Type } from '../graph/operator.js'
import { isStatic } from '../graph/shape.js'
import { GraphError, scope, type Value } from '../graph/value.js'
import { add, div, matmul, max, mul, reduceSumSquare, reshape, sqrt, sub, transpose } from '../ops/index.js'
import { type AdamOptions, adamw } from './adam.js'
import type { Optimizer } from './optimizer.js'

/** What {@link muon} is fed unless a step is fed something else. */
export interface MuonOptions {
  /** From 0 to below 1; 0.95 unless given. */
  readonly momentum?: number
  /** Apart from the gradient, as in AdamW; 0 unless given. */
  readonly weightDecay?: number
  /** Nesterov momentum; true unless given. */
  readonly nesterov?: boolean
  /** Of what is no matrix; its weight decay is that of the matrices. */
  readonly adamw?: Omit<AdamOptions, 'weightDecay'>
  /** The learning rate of what is no matrix is this times the other: 3e-4 beside 0.02 unless given. */
  readonly adamwFactor?: number
}

/** Of the odd polynomial a·x + b·x³ + c·x⁵, which takes every singular value near 1 in five rounds. */
const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const
const ROUNDS = 5

/** A convolution's weights [O, I, kh, kw] are a matrix [O, I·kh·kw]. */
const isMatrix = ({ shape }: Type): boolean => shape.length >= 2

/** G = U Σ Vᵀ to about U Vᵀ, for [rows, columns]. */
function orthogonalized(g: Value): Value {
  const [rows, columns] = g.shape as readonly [number, number]
  const [a, b, c] = COEFFICIENTS
  const tall = rows > columns
  const wide = tall ? transpose(g, [1, 0]) : g
  const norm = sqrt(reduceSumSquare(wide, [0, 1]))
  let x = scope('normalized', () => div(wide, max(norm, 1e-7)))
  for (let round = 1; round <= ROUNDS; round++) {
    x = scope(`round${round}`, () => {
      const square = matmul(x, transpose(x, [1, 0]))
      const higher = add(mul(square, b), mul(matmul(square, square), c))
      return add(mul(x, a), matmul(higher, x))
    })
  }
  return tall ? transpose(x, [1, 0]) : x
}

/**
 * Muon (Jordan et al. 2024): the momentum of a matrix, made orthogonal by five steps of Newton–Schulz, is its update;
 * everything that is no matrix takes AdamW. Convolutions count as matrices [output channels, the rest].
 */
export function muon({
  momentum = 0.95,
  weightDecay = 0,
  nesterov = true,
  adamw: beside = {},
  adamwFactor = 3e-4 / 0.02,
}: MuonOptions = {}): Optimizer {
  const others = adamw({ ...beside, weightDecay })
  return {
    name: nesterov ? 'Muon' : 'MuonPlain',
    text:
      'Muon (Jordan et al. 2024) for matrices: g is made orthogonal by five rounds of Newton–Schulz after ' +
      "momentum' = momentum · it + (1 − momentum) · gradient, and scaled by √max(1, rows/columns); AdamW for the rest.",
    hyperparameters: { ...others.hyperparameters, momentum, adamw_factor: adamwFactor },
    learningRate: 0.02,
    state: (weight) => (isMatrix(weight) ? { momentum: 0 } : others.state(weight)),
    update(w, gradient, state, hyperparameters) {
      const { learning_rate, weight_decay, momentum, adamw_factor } = hyperparameters
      if (!isMatrix(w)) {
        const rate = mul(learning_rate!, adamw_factor!)
        return others.update(w, gradient, state, { ...hyperparameters, learning_rate: rate })
      }
      const { shape } = w
      if (!isStatic(shape)) throw new GraphError('needs weights of a known shape')
      const rows = shape[0]!
      const columns = shape.slice(1).reduce((size, dim) => size * dim, 1)
      const mixed = (old: Value, fresh: Value) => add(mul(old, momentum!), mul(fresh, sub(1, momentum!)))
      const velocity = scope('velocity', () => mixed(state.momentum!, gradient))
      const direction = nesterov ? scope('direction', () => mixed(velocity, gradient)) : velocity
      const turned = reshape(orthogonalized(reshape(direction, [rows, columns])), shape)
      const kept = weight_decay ? scope('decayed', () => mul(w, sub(1, mul(learning_rate!, weight_decay)))) : w
      const size = Math.sqrt(Math.max(1, rows / columns))
      return { w: scope('step', () => sub(kept, mul(mul(turned, learning_rate!), size))), momentum: velocity }
    },
  }
}

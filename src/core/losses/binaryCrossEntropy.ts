// Binary cross-entropy of logits: several yes-or-no questions an example, as torch.nn.BCEWithLogitsLoss means it.

import { scope, type Value } from '../graph/value.js'
import { abs, add, cast, equal, exp, greater, log, max, mul, neg, reduceMean, sub } from '../ops/index.js'
import type { Loss } from './loss.js'

/** What {@link binaryCrossEntropy} compares, and how. */
export interface BinaryCrossEntropyOptions {
  /** The output with the logits, or with the sigmoid of logits where the network shows that it ends in one. */
  readonly output?: string
  /** The target, of the type of the logits, 0 … 1; `targets` unless given. */
  readonly targets?: string
  /** What a yes counts, beside 1 for a no. */
  readonly positiveWeight?: number
}

const mean = (x: Value): Value => reduceMean(x, undefined, { keepdims: 0 })

/** The smallest normal float32. */
const SMALLEST = 2 ** -126
/** What a sigmoid makes p of: log p − log(1 − p). */
const logit = (p: Value): Value => sub(log(max(p, SMALLEST)), log(max(sub(1, p), SMALLEST)))

/**
 * Mean over all elements of −p·t·log σ(z) − (1 − t)·log(1 − σ(z)) for logits z, targets t and `positiveWeight` p, from
 * log(1 + e^−|z|) so that nothing overflows (torch.nn.BCEWithLogitsLoss). Metric `error`: the part of the answers that lie on the
 * wrong side of ½.
 */
export const binaryCrossEntropy =
  ({ output, targets = 'targets', positiveWeight = 1 }: BinaryCrossEntropyOptions = {}): Loss =>
  ({ output: outputOf, activation, target }) => {
    const given = outputOf(output)
    const z = activation(given) === 'sigmoid' ? scope('loss.logit', () => logit(given)) : given
    const t = target(targets, z.dtype, z.shape)
    // −log σ(z) = max(−z, 0) + log(1 + e^−|z|), and −log(1 − σ(z)) is that plus z.
    const yes = scope('loss.softplus', () => add(max(neg(z), 0), log(add(exp(neg(abs(z))), 1))))
    const no = mul(sub(1, t), z)
    const weight = add(mul(t, positiveWeight - 1), 1)
    const each = positiveWeight === 1 ? add(yes, no) : add(mul(yes, weight), no)
    const right = scope('accuracy.right', () => cast(equal(greater(z, 0), greater(t, 0.5)), z.dtype))
    return {
      loss: scope('loss', () => mean(each)),
      metrics: [{ name: 'error', kind: 'mean', value: scope('accuracy.error', () => sub(1, mean(right))) }],
    }
  }

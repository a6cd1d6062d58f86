// What every training step has in common: the forward pass in training form, its loss, and the gradient of each weight.

import { type GradientOptions, gradients } from '../autodiff/gradients.js'
import { ancestors, type Graph } from '../graph/graph.js'
import { rewriteOutputs } from '../graph/rewrite.js'
import { formatType, GraphError, nameOf, type Parameter, rootScope, type Value } from '../graph/value.js'
import type { Loss } from '../losses/loss.js'
import { type Scoring, scoringOf } from '../losses/scoring.js'
import { gradientOf, seed } from '../ops/index.js'
import { type BatchNormMode, type TrainingForm, trainingForm } from './mode.js'
import { recompute } from './recompute.js'

export interface BackwardOptions {
  readonly loss: Loss
  /** Compute normalised activations again in the backward pass instead of keeping them; true unless given. */
  readonly recompute?: boolean | undefined
  /** Names of weights that stay as they are. */
  readonly frozen?: ReadonlySet<string> | undefined
  /** The statistics of the batch unless given. */
  readonly batchNorm?: BatchNormMode | undefined
  /** Is told of each node that no gradient passes, instead of the last of them being thrown. */
  readonly refused?: GradientOptions['refused']
}

export interface Backward extends Scored {
  readonly form: TrainingForm
  /** Of each weight that trains, in their order. */
  readonly gradients: ReadonlyMap<Parameter, Value>
}

export interface Scored {
  readonly scoring: Scoring
  /** The loss, and what the metrics are made from. */
  readonly scores: ReadonlyMap<string, Value>
  /** Inputs that the network itself does not have. */
  readonly targets: readonly Value[]
}

/** A network's outputs with a loss behind them, its nodes named below `prefix`. */
export function scored(network: Graph, loss: Loss, prefix: string): Scored {
  const scoring = scoringOf(network, loss)
  const own = new Map(network.inputs.map((value) => [nameOf(value), value]))
  const leaves = new Map<Value, Value>()
  const targets: Value[] = []
  for (const value of scoring.graph.inputs) {
    const name = nameOf(value)
    const known = network.outputs.get(name) ?? own.get(name)
    if (known && formatType(known) !== formatType(value) && !network.outputs.has(name))
      throw new GraphError(
        `the target '${name}' is ${formatType(value)}, and the network has an input of that name, ${formatType(known)}; give the target another name`,
      )
    if (known) leaves.set(value, known)
    else targets.push(value)
  }
  return { scoring, scores: rewriteOutputs(scoring.graph, () => undefined, { leaves, prefix }), targets }
}

/**
 * Differentiates the loss of a network by its weights.
 * @throws GraphError when the network lacks what the loss needs, nothing trains, or an operator without gradient is on the way
 */
export function backward(inference: Graph, options: BackwardOptions): Backward {
  const { loss, recompute: again = true, frozen, batchNorm, refused } = options
  const form = trainingForm(inference, batchNorm)
  const found = scored(form.graph, loss, 'train')
  const value = found.scores.get(found.scoring.loss)!
  // What the loss does not depend on stays as it is, as it does in PyTorch.
  const used = new Set(ancestors([value]).flatMap(({ inputs }) => inputs))
  const weights = form.graph.parameters.filter(
    (parameter) => parameter.origin.trainable && !frozen?.has(parameter.origin.name) && used.has(parameter),
  )
  if (weights.length === 0) throw new GraphError(`graph ${inference.name}: no weight trains; its loss depends on none`)
  const dloss = rootScope('train/loss/seed', () => seed(value))
  const computed = gradients(value, weights, {
    seed: dloss,
    ...(again ? { recompute } : {}),
    ...(refused ? { refused } : {}),
  })
  const marked = weights.map((weight, i) => rootScope(`update/${weight.origin.name}`, () => gradientOf(computed[i]!)))
  return { form, ...found, gradients: new Map(weights.map((weight, i) => [weight, marked[i]!])) }
}

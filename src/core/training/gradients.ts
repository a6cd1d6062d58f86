// What every training step has in common: the forward pass in training form, its loss, and the gradient of each weight.

import { gradients } from '../autodiff/gradients.js'
import type { Graph } from '../graph/graph.js'
import { GraphError, input, type Parameter, rootScope, type Value } from '../graph/value.js'
import { argMax, cast, equal, reduceSum, softmaxCrossEntropy } from '../ops/index.js'
import { type TrainingForm, trainingForm } from './mode.js'
import { recompute } from './recompute.js'

export interface StepOptions {
  /** Compute normalised activations again in the backward pass instead of keeping them; true unless given. */
  readonly recompute?: boolean
}

export interface Loss {
  /** Input, int64 [batch]. */
  readonly labels: Value
  /** float32 [], mean cross-entropy of the batch. */
  readonly loss: Value
  /** int64 [], right answers in the batch. */
  readonly correct: Value
}

export interface LossGradients extends Loss {
  readonly form: TrainingForm
  /** Of each trainable parameter, in their order. */
  readonly gradients: ReadonlyMap<Parameter, Value>
}

/**
 * The loss of a classifier, its nodes named below `prefix`.
 * @param source a graph with an output `logits` float32 [batch, classes]
 * @throws GraphError when there is none
 */
export function lossOf(source: Graph, prefix: string): Loss {
  const logits = source.outputs.get('logits')
  if (logits?.shape.length !== 2)
    throw new GraphError(`graph ${source.name}: needs an output 'logits' [batch, classes] to train on`)
  const labels = input('labels', 'int64', [logits.shape[0]!])
  const below = <T>(name: string, body: () => T): T => rootScope(`${prefix}/${name}`, body)
  const [loss] = below('loss', () => softmaxCrossEntropy(logits, labels))
  const predicted = below('accuracy.predicted', () => argMax(logits, 1, { keepdims: 0 }))
  const hits = below('accuracy.hits', () => cast(equal(predicted, labels), 'int64'))
  return { labels, loss, correct: below('accuracy.correct', () => reduceSum(hits, [0], { keepdims: 0 })) }
}

/**
 * Differentiates the loss of a classifier by its weights.
 * @throws GraphError when there is no output `logits`, nothing to train, or an operator without gradient on the way
 */
export function lossGradients(inference: Graph, options: StepOptions = {}): LossGradients {
  const form = trainingForm(inference)
  const loss = lossOf(form.graph, 'train')
  const weights = form.graph.parameters.filter(({ origin }) => origin.trainable)
  if (weights.length === 0) throw new GraphError(`graph ${inference.name}: has no trainable parameter`)
  const found = gradients(loss.loss, weights, options.recompute === false ? {} : { recompute })
  return { form, ...loss, gradients: new Map(weights.map((w, i) => [w, found[i]!])) }
}

// Inference graph → training-step graph: forward in training form, loss, backward, optimizer.

import { gradients } from '../autodiff/gradients.js'
import { type Graph, graph } from '../graph/graph.js'
import { apply, GraphError, input, type Parameter, parameter, rootScope, type Value } from '../graph/value.js'
import { argMax, cast, equal, reduceSum, SgdMomentum, softmaxCrossEntropy } from '../ops/index.js'
import { trainingForm } from './mode.js'
import { recompute } from './recompute.js'

/** Stochastic gradient descent as the step does it; the learning rate is an input of each step. */
export interface Optimizer {
  readonly momentum: number
  /** Added to the gradient of every parameter, batch norms and biases included (the paper's recipe). */
  readonly weightDecay: number
  readonly nesterov: boolean
}

export interface StepOptions {
  /** Compute normalised activations again in the backward pass instead of keeping them; true unless given. */
  readonly recompute?: boolean
}

export interface TrainingStep {
  /**
   * Inputs: those of the network, `labels` int64 [batch], `learning_rate` float32 [], and `gates` float32 [G] where the
   * network has gates. Outputs: `loss` float32 [] (mean cross-entropy), `correct` int64 [] (right answers in the batch),
   * and `NAME.next` for every weight, momentum and running statistic NAME.
   */
  readonly graph: Graph
  /** Parameter name → the output that replaces it. */
  readonly updates: ReadonlyMap<string, string>
  /** Survival probability of each gate, in the order of the `gates` input. */
  readonly survival: readonly number[]
}

/**
 * Derives the training step of a classifier.
 * @param inference a graph with an output `logits` float32 [batch, classes]
 * @throws GraphError when there is no such output, nothing to train, or an operator without gradient on the way
 */
export function trainingStep(inference: Graph, optimizer: Optimizer, options: StepOptions = {}): TrainingStep {
  const form = trainingForm(inference)
  const logits = form.graph.outputs.get('logits')
  if (logits?.shape.length !== 2)
    throw new GraphError(`graph ${inference.name}: needs an output 'logits' [batch, classes] to train on`)
  const weights = form.graph.parameters.filter(({ origin }) => origin.trainable)
  if (weights.length === 0) throw new GraphError(`graph ${inference.name}: has no trainable parameter`)

  const labels = input('labels', 'int64', [logits.shape[0]!])
  const rate = input('learning_rate', 'float32', [])
  const [loss, correct] = rootScope('train/loss', () => {
    const [mean] = softmaxCrossEntropy(logits, labels)
    const hits = equal(argMax(logits, 1, { keepdims: 0 }), labels)
    return [mean, reduceSum(cast(hits, 'int64'), [0], { keepdims: 0 })]
  })
  const next = new Map<Parameter, Value>(form.statistics)
  gradients(loss, weights, options.recompute === false ? {} : { recompute }).forEach((gradient, i) => {
    const w = weights[i]!
    for (const [state, value] of updated(w, gradient, rate, optimizer)) next.set(state, value)
  })

  const outputs = new Map<string, Value>([
    ['loss', loss],
    ['correct', correct],
  ])
  for (const [state, value] of next) outputs.set(`${state.origin.name}.next`, value)
  const inputs = [...inference.inputs, labels, rate, ...(form.gates ? [form.gates.input] : [])]
  return {
    graph: graph(`${inference.name}.train`, inputs, outputs),
    updates: new Map([...next.keys()].map(({ origin }) => [origin.name, `${origin.name}.next`])),
    survival: form.gates?.survival ?? [],
  }
}

/** One weight's update, and that of its momentum. */
function updated(w: Parameter, gradient: Value, rate: Value, optimizer: Optimizer): [Parameter, Value][] {
  const { name } = w.origin
  return rootScope(`update/${name}`, () => {
    const velocity = named(`${name}.momentum`, w)
    const [nextWeight, nextVelocity] = apply(SgdMomentum, [w, gradient, velocity, rate], {
      momentum: optimizer.momentum,
      weight_decay: optimizer.weightDecay,
      nesterov: Number(optimizer.nesterov),
    })
    return [
      [w, nextWeight!],
      [velocity, nextVelocity!],
    ]
  })
}

const named = (name: string, like: Parameter): Parameter =>
  rootScope('', () =>
    parameter(
      name,
      like.shape as readonly number[],
      { kind: 'constant', value: 0 },
      { trainable: false, dtype: like.dtype },
    ),
  )

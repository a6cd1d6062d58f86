// Inference graph → training-step graph: forward in training form, loss, backward, optimizer.

import { type Graph, graph } from '../graph/graph.js'
import { apply, input, type Parameter, parameter, rootScope, type Value } from '../graph/value.js'
import { SgdMomentum } from '../ops/index.js'
import { lossGradients, type StepOptions } from './gradients.js'

/** Stochastic gradient descent as the step does it; the learning rate is an input of each step. */
export interface Optimizer {
  readonly momentum: number
  /** Added to the gradient of every parameter, batch norms and biases included (the paper's recipe). */
  readonly weightDecay: number
  readonly nesterov: boolean
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
  const { form, labels, loss, correct, gradients } = lossGradients(inference, options)
  const rate = input('learning_rate', 'float32', [])
  const next = new Map<Parameter, Value>(form.statistics)
  for (const [w, gradient] of gradients) {
    for (const [state, value] of updated(w, gradient, rate, optimizer)) next.set(state, value)
  }

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

// Inference graph → training-step graph: forward in training form, loss, backward, optimizer.

import { ancestors, type Graph, graph } from '../graph/graph.js'
import { nameOf, type Parameter, type Value } from '../graph/value.js'
import { crossEntropy } from '../losses/crossEntropy.js'
import type { Loss } from '../losses/loss.js'
import { scoringOf } from '../losses/scoring.js'
import type { Optimizer } from '../optimizers/optimizer.js'
import { sgd } from '../optimizers/sgd.js'
import { AVERAGE_DECAY, type Average, FAST, withAverage } from './average.js'
import { backward } from './backward.js'
import { type ParameterGroup, settingsByName } from './groups.js'
import type { BatchNormMode } from './mode.js'
import { optimized } from './optimize.js'
import type { StepSignature } from './signature.js'

/** The loss, the optimizer and what else belongs to a step. */
export interface StepOptions {
  /** Softmax cross-entropy of the output `logits` unless given. */
  readonly loss?: Loss | undefined
  /** SGD with momentum unless given. */
  readonly optimizer?: Optimizer | undefined
  /** What some weights have otherwise than the rest. */
  readonly groups?: readonly ParameterGroup[] | undefined
  /** Where the global L2 norm of all gradients is above it, they are scaled down to it; unless given they are not clipped. */
  readonly clipNorm?: number | undefined
  /** The network predicts with an average of the weights that train. */
  readonly average?: Average | undefined
  /** Compute normalised activations again in the backward pass instead of keeping them; true unless given. */
  readonly recompute?: boolean | undefined
  /** What batch norms normalize by: the statistics of the batch unless given. */
  readonly batchNorm?: BatchNormMode | undefined
}

/** A whole training step as a graph, by {@link trainingStep}. */
export interface TrainingStep {
  /**
   * Inputs: those of the network, the targets, the hyperparameters, and what is drawn for each step. Outputs: the loss, what
   * the metrics are made from, and `NAME.next` for every state NAME.
   */
  readonly graph: Graph
  readonly signature: StepSignature
  /** The loss by itself: from the network's outputs and the targets to the loss and the metrics. */
  readonly scoring: Graph
}

const NEXT = '.next'

/**
 * Derives the training step of a network.
 * @throws GraphError when the network lacks what the loss needs, nothing trains, or an operator without gradient is on the way;
 *   UserError for a group that no weight belongs to
 */
export function trainingStep(network: Graph, options: StepOptions = {}): TrainingStep {
  const { loss = crossEntropy(), optimizer = sgd(), groups = [], clipNorm, average, recompute, batchNorm } = options
  const names = network.parameters.filter(({ origin }) => origin.trainable).map(({ origin }) => origin.name)
  const settings = settingsByName(names, groups)
  const frozen = new Set(names.filter((name) => settings.get(name)?.frozen))
  const { form, scoring, scores, targets, gradients } = backward(network, { loss, recompute, frozen, batchNorm })
  const update = optimized(gradients, { optimizer, settings, clipNorm })
  let next: ReadonlyMap<Parameter, Value> = new Map([...form.statistics, ...update.next])
  let results = scores
  const hyperparameters = [...update.hyperparameters]
  const defaults = { ...update.defaults }
  if (average) {
    const { count } = update
    if ((average.every ?? 1) > 1) next = new Map([...next, [count.state, count.next]])
    const own = new Set<Value>(network.parameters)
    const averaged = [...next.keys()].filter((state) => own.has(state))
    const nodes = ancestors([...results.values(), ...next.values(), count.next])
    const found = withAverage({ nodes }, results, next, averaged, count.next, average)
    next = found.next
    results = found.outputs
    hyperparameters.push(found.hyperparameter)
    defaults[AVERAGE_DECAY] = average.decay
  }

  const outputs = new Map(results)
  for (const [state, value] of next) outputs.set(`${state.origin.name}${NEXT}`, value)
  const drawn = [...(form.gates ? [form.gates.input] : []), ...(form.seeds ? [form.seeds] : [])]
  // What has a default comes last, as in the file, where it need not be fed.
  const hasDefault = (value: Value) => defaults[nameOf(value)] !== null
  const fed = hyperparameters.filter((value) => !hasDefault(value))
  const inputs = [...network.inputs, ...targets, ...fed, ...drawn, ...hyperparameters.filter(hasDefault)]
  return {
    graph: graph(`${network.name}.train`, inputs, outputs),
    scoring: scoringOf(network, loss, { openBatch: true }).graph,
    signature: {
      inputs: network.inputs.map((value) => ({ name: nameOf(value), dtype: value.dtype, shape: [...value.shape] })),
      targets: [...scoring.targets],
      hyperparameters: defaults,
      ...(form.gates ? { gates: { name: nameOf(form.gates.input), survival: [...form.gates.survival] } } : {}),
      ...(form.seeds ? { seeds: nameOf(form.seeds) } : {}),
      loss: scoring.loss,
      metrics: [...scoring.metrics],
      statistics: [...form.statistics.keys()].map(({ origin }) => `${origin.name}${average ? FAST : ''}`),
      updates: Object.fromEntries([...next.keys()].map(({ origin: { name } }) => [`${name}${NEXT}`, name])),
    },
  }
}

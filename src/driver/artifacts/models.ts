// The training and evaluation models of ONNX Runtime's training API. The API tells the inputs apart by their names: those
// of parameters, `NAME_grad.accumulation.buffer`, `lazy_reset_grad`; what is left is the user's
// (onnxruntime/training/onnxblock in the Python package, and what orttraining/training_api/module.cc looks for).

import { type Graph, graph } from '../../core/graph/graph.js'
import { constant, input, nameOf, type Parameter, rootScope, type Value } from '../../core/graph/value.js'
import { crossEntropy } from '../../core/losses/crossEntropy.js'
import type { Loss } from '../../core/losses/loss.js'
import type { Scoring } from '../../core/losses/scoring.js'
import { parametersAsInputs } from '../../core/model/write.js'
import type { Target } from '../../core/targets/target.js'
import { type BackwardOptions, backward, scored } from '../../core/training/backward.js'
import { accumulate } from './accumulator.js'

const buffer = (name: string) => `${name}_grad.accumulation.buffer`
const accumulated = (name: string) => `${name}_grad.accumulation.out`

export interface TrainingModel {
  /**
   * Inputs: those of the network, the targets, `gates` where there are any, every parameter, a gradient buffer for each that
   * is trained, and `lazy_reset_grad`. Outputs: the loss, the metrics' values, the network's outputs that the loss reads, and a
   * flag for each buffer that changes.
   */
  readonly graph: Graph
  /** Survival probability of each gate, in the order of the `gates` input. */
  readonly survival: readonly number[]
}

/** What of a step these models have: its loss is cross-entropy unless given. */
export type ModelOptions = Pick<BackwardOptions, 'recompute' | 'batchNorm'> & { readonly loss?: Loss | undefined }

/** The network's outputs that the loss reads. */
const readBy = ({ graph: { inputs } }: Scoring, { outputs }: Graph): ReadonlyMap<string, Value> => {
  const names = new Set(inputs.map(nameOf))
  return new Map([...outputs].filter(([name]) => names.has(name)))
}

/**
 * Forward, loss, backward; gradients are added to their buffers. The running statistics, frozen parameters to the API, are
 * moved in place by the same operator: an official model does it by the outputs of its batch norms, whose memory is
 * that of their inputs.
 * @throws GraphError when the network cannot be trained
 */
export function trainingModel(
  network: Graph,
  target: Target,
  { loss = crossEntropy(), ...options }: ModelOptions = {},
): TrainingModel {
  const { form, scoring, scores, targets, gradients } = backward(network, { loss, ...options })
  const results = new Map([...scores, ...readBy(scoring, form.graph)])
  const user = [...results.keys()]
  for (const [{ origin }, value] of [...gradients, ...form.statistics]) results.set(`${origin.name}.new`, value)
  const inputs = [...network.inputs, ...targets, ...(form.gates ? [form.gates.input] : [])]
  const plain = graph(`${network.name}.train`, inputs, results)
  const lowered = target.lower(parametersAsInputs(plain, network.parameters))

  const outputs = new Map(user.map((name) => [name, lowered.outputs.get(name)!]))
  const change = ({ origin: { name } }: Parameter, held: Value, overwrite: Value) => {
    const flag = rootScope(`accumulate/${name}`, () => accumulate(held, lowered.outputs.get(`${name}.new`)!, overwrite))
    outputs.set(accumulated(name), flag)
  }
  const trained = network.parameters.filter((value) => gradients.has(value))
  const buffers = trained.map((value) => input(buffer(value.origin.name), value.dtype, value.shape))
  const reset = input('lazy_reset_grad', 'bool', [1])
  trained.forEach((value, i) => {
    change(value, buffers[i]!, reset)
  })
  const byName = new Map(lowered.inputs.map((value) => [nameOf(value), value]))
  for (const value of form.statistics.keys()) change(value, byName.get(value.origin.name)!, constant('bool', [1]))
  return {
    graph: graph(plain.name, [...lowered.inputs, ...buffers, reset], outputs),
    survival: form.gates?.survival ?? [],
  }
}

/**
 * Inputs: those of the network, the targets, every parameter. Outputs: as many as the training model has for the user:
 * onnxruntime-web 1.19.2 names the one's results by the other's outputs.
 */
export function evaluationModel(network: Graph, target: Target, loss: Loss = crossEntropy()): Graph {
  const { scoring, scores, targets } = scored(network, loss, 'eval')
  const outputs = new Map([...scores, ...readBy(scoring, network)])
  const plain = graph(`${network.name}.eval`, [...network.inputs, ...targets], outputs)
  return target.lower(parametersAsInputs(plain, network.parameters))
}

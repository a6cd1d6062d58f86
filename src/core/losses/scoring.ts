// A loss as a graph of its own: from the outputs of a network and the targets to the loss and the metrics. The training step has
// a copy of it behind its forward pass; evaluation runs it behind the network that predicts.

import { type Graph, graph } from '../graph/graph.js'
import type { Operator } from '../graph/operator.js'
import { isKnown, isUnknown, type Shape, sizeOf } from '../graph/shape.js'
import { GraphError, input, nameOf, nodeOf, type Value } from '../graph/value.js'
import {
  Flatten,
  Identity,
  ReduceMean,
  Reshape,
  Sigmoid,
  Softmax,
  Squeeze,
  Transpose,
  Unsqueeze,
} from '../ops/index.js'
import type { MetricInfo, TargetInfo } from '../training/signature.js'
import { applyLoss, type FoundActivation, type Loss } from './loss.js'

export interface Scoring {
  /**
   * Inputs: the outputs of the network that are needed, by their names, and the targets. Outputs: the loss, and what the metrics
   * are made from.
   */
  readonly graph: Graph
  /** The output that holds the loss: `loss`, or `step.loss` where the network has an output of that name. */
  readonly loss: string
  readonly targets: readonly TargetInfo[]
  readonly metrics: readonly MetricInfo[]
}

/** Nodes that give the numbers they take, in another shape. */
const moves: ReadonlySet<Operator> = new Set([Flatten, Reshape, Squeeze, Transpose, Unsqueeze])

/** A sigmoid before nodes that only move numbers. */
function isSigmoid(value: Value): boolean {
  const node = nodeOf(value)
  const [x] = node?.inputs ?? []
  if (node?.operator === Sigmoid) return true
  // The mean of one number each is that number.
  const isMean = node?.operator === ReduceMean && sizeOf(x!.shape) === sizeOf(value.shape)
  return node !== undefined && (node.operator === Identity || isMean || moves.has(node.operator)) && isSigmoid(x!)
}

/** What an output ends with, through nodes that change nothing. */
export function activationOf(value: Value): FoundActivation | undefined {
  const node = nodeOf(value)
  if (node?.operator === Identity) return activationOf(node.inputs[0]!)
  if (node?.operator === Softmax) {
    const axis = node.attributes.axis as number
    return { kind: 'softmax', axis: axis < 0 ? axis + value.shape.length : axis }
  }
  return isSigmoid(value) ? { kind: 'sigmoid' } : undefined
}

export interface ScoringOptions {
  /** Takes batches of any size where the network has a size of its own: the last of a set that is evaluated may be smaller. */
  readonly openBatch?: boolean
}

/** @throws GraphError when the network lacks what the loss needs, or two outputs come to one name */
export function scoringOf(
  network: Pick<Graph, 'name' | 'outputs'> & Partial<Graph>,
  loss: Loss,
  { openBatch = false }: ScoringOptions = {},
): Scoring {
  const [own] = network.inputs?.[0]?.shape ?? []
  const opened = (shape: Shape): Shape => {
    const [first, ...sizes] = shape
    if (own === undefined || first === undefined) return shape
    if (openBatch && isKnown(own) && first === own) return ['batch', ...sizes]
    // Exporters compute the batch of an output from shapes; a loss is over examples, so that it is the batch of the inputs.
    return isUnknown(first) ? [own, ...sizes] : shape
  }
  const given = new Map(
    [...network.outputs].map(([name, { dtype, shape }]) => [name, input(name, dtype, opened(shape))] as const),
  )
  const activations = new Map(
    [...network.outputs].flatMap(([name, value]): [Value, FoundActivation][] => {
      const activation = activationOf(value)
      return activation ? [[given.get(name)!, activation]] : []
    }),
  )
  const applied = applyLoss(loss, given, activations)
  // In a file the step and the network share their names.
  const free = (name: string) => (given.has(name) ? `step.${name}` : name)
  const lossName = free('loss')
  const outputs = new Map<string, Value>([[lossName, applied.loss]])
  const metrics = applied.metrics.map(({ value, output, ...info }): MetricInfo => {
    const name = free(output ?? info.name)
    if (outputs.has(name) && outputs.get(name) !== value)
      throw new GraphError(`two outputs of the loss are called '${name}'; give one of the metrics another name`)
    outputs.set(name, value)
    return { ...info, output: name }
  })
  const clash = [...applied.targets.keys()].find((value) => given.has(nameOf(value)))
  if (clash)
    throw new GraphError(`'${nameOf(clash)}' names a target and an output of the network; give the target another name`)
  const targets = [...applied.targets.keys()]
  const whole = graph(`${network.name}.loss`, [...given.values(), ...targets], outputs)
  const used = new Set([...whole.nodes.flatMap(({ inputs }) => inputs), ...outputs.values()])
  return {
    graph: { ...whole, inputs: whole.inputs.filter((value) => used.has(value) || targets.includes(value)) },
    loss: lossName,
    targets: [...applied.targets.values()],
    metrics,
  }
}

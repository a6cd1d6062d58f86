// Several training steps in one run, one after the other in the graph. ONNX Runtime for Node gives and takes all tensors in the
// computer's memory: a step a run would send the parameters over the bus and back each time. A Loop, which carries them on
// NVIDIA's GPUs, runs on the CPU provider here and does just that.

import { type Graph, graph } from '../../../core/graph/graph.js'
import { elementsOf } from '../../../core/graph/tensor.js'
import { constant, input, nameOf, rootScope, type Value } from '../../../core/graph/value.js'
import { concat, gather, reshape } from '../../../core/ops/index.js'
import type { StepSignature } from '../../../core/training/signature.js'
import { type Pack, packState } from '../gpu/packs.js'
import { applied, lowerNetwork } from './index.js'
import { narrowed, onDevice } from './wholeNumbers.js'

/** The buffers that every adapter lets a shader have, but for the one that holds the whole. */
export const MOST_MEMBERS = 7

/** The state of a step in packs: tensors by the names of the packs in place of the members. */
export interface PackedSteps {
  /**
   * Inputs: what is fed, by its names, each with one more axis in front, [steps]; the packs. Outputs: the loss and what the metrics are
   * made from, each [steps], and `NAME.next` of each pack.
   */
  readonly graph: Graph
  readonly packs: readonly Pack[]
}

/** A step whose state is in packs, which can be applied time after time. */
export interface PackedStep extends PackedSteps {
  readonly fed: readonly Value[]
}

/**
 * Lowers a step and packs its state.
 * @param step for one batch size, primitives not yet expanded, its state as inputs
 */
export function packedStep(step: Graph, { updates }: StepSignature): PackedStep {
  const state = new Set(Object.values(updates))
  const packed = packState(lowerNetwork(step), updates, MOST_MEMBERS)
  return { ...packed, fed: step.inputs.filter((value) => !state.has(nameOf(value))) }
}

/** Values of one shape as one tensor with an axis in front. */
const stacked = (values: readonly Value[]): Value => {
  const rows = values.map((value) => reshape(value, [1, ...(value.shape as readonly number[])]))
  return rows.length === 1 ? rows[0]! : concat(rows, 0)
}

/** Puts so many steps one after the other. */
export function unrolled(
  { graph: step, packs, fed }: PackedStep,
  signature: StepSignature,
  steps: number,
): PackedSteps {
  return rootScope('', () => {
    const inputs = fed.map((value) => input(nameOf(value), value.dtype, [steps, ...value.shape]))
    const given = inputs.map((value) => [nameOf(value), onDevice(value)] as const)
    const at = (i: number, value: Value): Value =>
      steps === 1 ? reshape(value, value.shape.slice(1) as readonly number[]) : gather(value, constant('int32', i))
    const first = step.inputs.filter((value) => packs.some(({ name }) => name === nameOf(value)))
    let carried: Readonly<Record<string, Value>> = Object.fromEntries(first.map((value) => [nameOf(value), value]))
    const measured = new Map<string, Value[]>(
      [signature.loss, ...signature.metrics.map(({ output }) => output)].map((name) => [name, []]),
    )
    for (let i = 0; i < steps; i++) {
      const batch = Object.fromEntries(given.map(([name, value]) => [name, at(i, value)]))
      const outputs = applied(step, { ...carried, ...batch })
      carried = Object.fromEntries(packs.map(({ name }) => [name, outputs.get(`${name}.next`)!]))
      for (const [name, values] of measured) values.push(outputs.get(name)!)
    }
    const results = [
      ...[...measured].map(([name, values]): [string, Value] => [name, stacked(values)]),
      ...packs.map(({ name }): [string, Value] => [`${name}.next`, carried[name]!]),
    ]
    return { packs, graph: narrowed(graph(step.name, [...inputs, ...first], new Map(results))) }
  })
}

/**
 * Nodes of all steps of a run. What a session takes to open grows with them (ONNX Runtime 1.29: 2 s for 20,000); what a run saves by
 * more steps shrinks.
 */
const MOST_NODES = 10_000
/** Steps of a run, however small they are: the state crosses the bus twice a run, a small part of a step's time by then. */
const MOST_STEPS = 16
/** Bytes of what a run is fed, as floats on the device. */
const MOST_FED = 2 ** 28

/** How many steps a run takes: as many as make its graph no burden. */
export function stepsOf({ graph, fed }: Pick<PackedStep, 'graph' | 'fed'>): number {
  const bytes = fed.reduce((sum, { shape }) => sum + 4 * elementsOf(shape as readonly number[]), 0)
  return Math.max(1, Math.floor(Math.min(MOST_STEPS, MOST_NODES / graph.nodes.length, MOST_FED / bytes)))
}

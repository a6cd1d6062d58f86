// Several training steps in one run, one after the other in the graph. ONNX Runtime for Node gives and takes all tensors in the
// computer's memory: a step a run would send the parameters over the bus and back each time. A Loop, which carries them on
// NVIDIA's GPUs, runs on the CPU provider here and does just that.

import { type Graph, graph } from '../../../core/graph/graph.js'
import { elementsOf } from '../../../core/graph/tensor.js'
import { constant, input, nameOf, rootScope, type Value } from '../../../core/graph/value.js'
import { concat, gather, reshape, slice } from '../../../core/ops/index.js'
import type { StepSignature } from '../../../core/training/signature.js'
import { type Pack, packState } from '../gpu/packs.js'
import { applied, lowerNetwork } from './index.js'
import { narrowed, onDevice } from './wholeNumbers.js'

/** The buffers that every adapter lets a shader have, but for the one that holds the whole. */
export const MOST_MEMBERS = 7

/** Bytes of a state vector: less than the 128 MiB that every adapter binds. */
const MOST_BYTES = 2 ** 26

/** State in one vector, pack after pack: each tensor that crosses the bus is a wait for the device. */
export interface StateVector {
  readonly name: string
  readonly packs: readonly Pack[]
}

export interface UnrolledSteps {
  /**
   * Inputs: what is fed, by its names, each with one more axis in front, [steps]; the vectors. Outputs: the loss and what the metrics
   * are made from, each [steps], and `NAME.next` of each vector.
   */
  readonly graph: Graph
  readonly vectors: readonly StateVector[]
}

/** A step whose state is in packs, which can be applied time after time. */
export interface PackedStep {
  readonly graph: Graph
  readonly packs: readonly Pack[]
  /** The inputs of the step that are no state, as they are fed. */
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

/** The first tensors of a list one after the other, as many buffers at a time as a shader has. */
function chained(parts: readonly Value[]): Value {
  if (parts.length === 1) return parts[0]!
  const groups = Array.from({ length: Math.ceil(parts.length / MOST_MEMBERS) }, (_, i) =>
    parts.slice(i * MOST_MEMBERS, (i + 1) * MOST_MEMBERS),
  )
  return chained(groups.map((group) => (group.length === 1 ? group[0]! : concat(group, 0))))
}

const sizeOf = (value: Value): number => elementsOf(value.shape as readonly number[])

/** The packs of a step in as few vectors as hold them. */
export function vectorsOf({ graph: step, packs, fed }: PackedStep): readonly StateVector[] {
  const values = new Map(step.inputs.map((value) => [nameOf(value), value]))
  const taken = new Set(fed.map(nameOf))
  const vectors: { name: string; packs: Pack[]; dtype: string; bytes: number }[] = []
  for (const pack of packs) {
    const { dtype } = values.get(pack.name)!
    const bytes = 4 * sizeOf(values.get(pack.name)!)
    const open = vectors.find((vector) => vector.dtype === dtype && vector.bytes + bytes <= MOST_BYTES)
    if (open) {
      open.packs.push(pack)
      open.bytes += bytes
      continue
    }
    let name = 'state'
    for (let i = 2; taken.has(name); i++) name = `state${i}`
    taken.add(name)
    vectors.push({ name, packs: [pack], dtype, bytes })
  }
  return vectors
}

/** Puts so many steps one after the other. */
export function unrolled(packed: PackedStep, signature: StepSignature, steps: number): UnrolledSteps {
  const { graph: step, packs, fed } = packed
  const vectors = vectorsOf(packed)
  const values = new Map(step.inputs.map((value) => [nameOf(value), value]))
  return rootScope('', () => {
    const inputs = fed.map((value) => input(nameOf(value), value.dtype, [steps, ...value.shape]))
    const given = inputs.map((value) => [nameOf(value), onDevice(value)] as const)
    const at = (i: number, value: Value): Value =>
      steps === 1 ? reshape(value, value.shape.slice(1) as readonly number[]) : gather(value, constant('int32', i))
    const held = vectors.map(({ name, packs }) => {
      const own = packs.map((pack) => values.get(pack.name)!)
      return { whole: input(name, own[0]!.dtype, [own.reduce((sum, value) => sum + sizeOf(value), 0)]), own }
    })
    let carried = Object.fromEntries(held.flatMap(({ whole, own }) => partsOf(whole, own)))
    const measured = new Map<string, Value[]>(
      [signature.loss, ...signature.metrics.map(({ output }) => output)].map((name) => [name, []]),
    )
    for (let i = 0; i < steps; i++) {
      const batch = Object.fromEntries(given.map(([name, value]) => [name, at(i, value)]))
      const outputs = applied(step, { ...carried, ...batch })
      carried = Object.fromEntries(packs.map(({ name }) => [name, outputs.get(`${name}.next`)!]))
      for (const [name, all] of measured) all.push(outputs.get(name)!)
    }
    const results = [
      ...[...measured].map(([name, all]): [string, Value] => [name, stacked(all)]),
      ...vectors.map(({ name, packs }): [string, Value] => [
        `${name}.next`,
        chained(packs.map((pack) => reshape(carried[pack.name]!, [-1]))),
      ]),
    ]
    const all = [...inputs, ...held.map(({ whole }) => whole)]
    return { vectors, graph: narrowed(graph(step.name, all, new Map(results))) }
  })
}

/** The tensors of a vector, by their names. */
function partsOf(whole: Value, own: readonly Value[]): readonly (readonly [string, Value])[] {
  let start = 0
  return own.map((value) => {
    const end = start + sizeOf(value)
    const part = own.length === 1 ? whole : slice(whole, [0], [start], [end])
    start = end
    return [nameOf(value), reshape(part, value.shape as readonly number[])]
  })
}

/**
 * Nodes of all steps of a run. What a session takes to open grows with them (3 s were seen); what a run saves by more steps shrinks.
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

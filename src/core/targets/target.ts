// What a target is: how one runtime wants the training step written.

import type { Graph } from '../graph/graph.js'
import {
  type AttributeSpecs,
  type AttributesOf,
  ONNX_DOMAIN,
  type Operator,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { rewrite } from '../graph/rewrite.js'
import { describeCall, GraphError, type Node, type Value } from '../graph/value.js'
import type * as operators from '../ops/index.js'
import type { primitives } from '../ops/index.js'

/** A pass over a whole graph that leaves no training primitive in it, and nothing that the runtime does not know. */
export interface Target {
  readonly name: string
  lower(graph: Graph): Graph
}

/** A primitive in other operators: one Value an output, of the same types. Optional inputs may be undefined. */
export type Expansion<A> = (inputs: readonly Value[], attributes: A) => readonly Value[]

type AttributesOfOperator<O> = O extends Operator<infer S extends AttributeSpecs> ? AttributesOf<S> : never

/** One expansion for each primitive there is: a table that lacks one does not compile. */
export type Expansions = {
  readonly [P in keyof typeof primitives]: Expansion<AttributesOfOperator<(typeof primitives)[P]>>
}

/** Expansions of standard operators that a target does without. */
export type StandardExpansions = {
  readonly [P in keyof typeof operators]?: Expansion<AttributesOfOperator<(typeof operators)[P]>>
}

/** A target that writes each primitive by itself, whatever stands around it: its expansions can be bodies of functions. */
export interface Expander {
  readonly name: string
  readonly expansions: Expansions
  readonly standard?: StandardExpansions
}

export const isPrimitive = (node: Node): boolean => node.operator.domain === TRAINING_DOMAIN

const isAvoided = ({ standard = {} }: Expander, { operator }: Node): boolean =>
  operator.domain === ONNX_DOMAIN && Object.hasOwn(standard, operator.name)

/**
 * The expansion of one node, a primitive or an operator that the target does without, applied to the given inputs.
 * @throws GraphError naming target and operator when the expansion does not take these inputs
 */
export function expandNode(target: Expander, node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] {
  const table: Readonly<Record<string, Expansion<never>>> = { ...target.standard, ...target.expansions }
  const expansion = table[node.operator.name]!
  try {
    return expansion(inputs as readonly Value[], node.attributes as never)
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    const call = describeCall(inputs, node.attributes)
    throw new GraphError(`target ${target.name}, ${node.operator.name}: ${error.message} (${call})`)
  }
}

/** The graph without the standard operators that the target does without; primitives stay. */
export const expandStandard = (graph: Graph, target: Expander): Graph =>
  target.standard === undefined
    ? graph
    : rewrite(graph, (node, inputs) => (isAvoided(target, node) ? expandNode(target, node, inputs) : undefined))

/** The graph with every primitive written out in place, without the operators that the target does without. */
export const expandPrimitives = (graph: Graph, target: Expander): Graph =>
  expandStandard(
    rewrite(graph, (node, inputs) => (isPrimitive(node) ? expandNode(target, node, inputs) : undefined)),
    target,
  )

// What a target is: how one runtime wants the training step written.

import { ancestors, type Graph } from '../graph/graph.js'
import { type AttributeSpecs, type AttributesOf, type Operator, TRAINING_DOMAIN } from '../graph/operator.js'
import { everywhere, type Replace, rewrite, rewriteOutputs } from '../graph/rewrite.js'
import { describeCall, GraphError, type Node, type Value } from '../graph/value.js'
import type * as operators from '../ops/index.js'
import { findOperator, type primitives } from '../ops/index.js'

/** A pass over a whole graph that leaves no training primitive in it, and nothing that the runtime does not know. */
export interface Target {
  readonly name: string
  /** The same inputs and outputs, by names, in the operators of this target. */
  lower(graph: Graph): Graph
}

/** An operator in others: one Value an output, of the same types. Optional inputs may be undefined. */
export type Expansion<A> = (inputs: readonly Value[], attributes: A) => readonly Value[]

type AttributesOfOperator<O> = O extends Operator<infer S extends AttributeSpecs> ? AttributesOf<S> : never
type ExpansionsOf<O> = { readonly [P in keyof O]: Expansion<AttributesOfOperator<O[P]>> }

/**
 * How a target writes operators, by the names of their records: each primitive that is no composite (a table that lacks one
 * does not compile), and whatever else it has something better for, or does without.
 */
export type Expansions = ExpansionsOf<typeof primitives> & Partial<ExpansionsOf<typeof operators>>

/** A target that writes each operator by itself, whatever stands around it: its expansions can be bodies of functions. */
export interface Expander {
  readonly name: string
  readonly expansions: Expansions
}

/** Whether a node is no operator of a runtime: a training primitive, or a composite of somebody's own. */
export const isPrimitive = ({ operator }: Node): boolean => operator.domain === TRAINING_DOMAIN

/** The target's own way to write an operator; a record of the same name that is another one has none. */
function expansionFor({ expansions }: Expander, operator: Operator): Expansion<never> | undefined {
  const { domain, name } = operator
  const table: Readonly<Record<string, Expansion<never>>> = expansions
  return Object.hasOwn(table, name) && findOperator(domain, name) === operator ? table[name] : undefined
}

/**
 * What a target writes in the place of a node, on the given inputs; undefined for what it has no other words for.
 * @throws GraphError naming target and operator when the expansion does not take these inputs
 */
export function expandNode(
  target: Expander,
  { operator, attributes }: Node,
  inputs: readonly (Value | undefined)[],
): readonly Value[] | undefined {
  const body = operator.domain === TRAINING_DOMAIN ? operator.body : undefined
  const expansion = expansionFor(target, operator) ?? (body as Expansion<never> | undefined)
  try {
    return expansion && within(target, expansion(inputs as readonly Value[], attributes as never), inputs)
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    const call = describeCall(inputs, attributes)
    throw new GraphError(`target ${target.name}, ${operator.name}: ${error.message} (${call})`)
  }
}

/** An expansion whose own primitives are written out too. */
function within(target: Expander, outputs: readonly Value[], inputs: readonly (Value | undefined)[]): readonly Value[] {
  return rewriteAfter(inputs, outputs, (node, operands) =>
    isPrimitive(node) ? expandNode(target, node, operands) : undefined,
  )
}

/** Values that depend on others, in which nodes between the two are replaced. */
function rewriteAfter(inputs: readonly (Value | undefined)[], outputs: readonly Value[], replace: Replace): Value[] {
  const nodes = ancestors(outputs, new Set(inputs.filter((value) => value !== undefined)))
  const named = new Map(outputs.map((value, i) => [String(i), value]))
  return [...rewriteOutputs({ nodes, outputs: named }, replace).values()]
}

/** What a target writes in the place of a primitive, as the body of a function: without what it does without as well. */
export const expandBody = (
  target: Expander,
  node: Node,
  inputs: readonly (Value | undefined)[],
): readonly Value[] | undefined => {
  const outputs = expandNode(target, node, inputs)
  return outputs && rewriteAfter(inputs, outputs, (inner, operands) => expandNode(target, inner, operands))
}

/** The graph without the standard operators that the target does without; primitives stay. */
export const expandStandard = (graph: Graph, target: Expander): Graph =>
  rewrite(
    graph,
    everywhere((node, inputs) => (isPrimitive(node) ? undefined : expandNode(target, node, inputs))),
  )

/** The graph with every primitive written out in place, without the operators that the target does without. */
export const expandPrimitives = (graph: Graph, target: Expander): Graph =>
  expandStandard(
    rewrite(
      graph,
      everywhere((node, inputs) => (isPrimitive(node) ? expandNode(target, node, inputs) : undefined)),
    ),
    target,
  )

// A Graph: chosen outputs and whatever leads to them.

import { GraphError, isParameter, type Node, type Parameter, type Value } from './value.js'

/** A network or a step: inputs, parameters, nodes and named outputs. Made by {@link graph}, never changed. */
export interface Graph {
  readonly name: string
  /** In the order given. */
  readonly inputs: readonly Value[]
  /** In the order of first use. */
  readonly parameters: readonly Parameter[]
  /** In topological order: every node comes after what it uses. */
  readonly nodes: readonly Node[]
  readonly outputs: ReadonlyMap<string, Value>
}

/**
 * All nodes that lead to the given values, in topological order.
 * @param from values that are taken as they are: what leads to them is left out
 */
export function ancestors(values: Iterable<Value>, from: ReadonlySet<Value> = new Set()): readonly Node[] {
  const found = new Set<Node>()
  const waiting = [...values]
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (value.origin.kind !== 'node' || from.has(value) || found.has(value.origin.node)) continue
    found.add(value.origin.node)
    for (const operand of value.origin.node.inputs) if (operand) waiting.push(operand)
  }
  return [...found].sort((a, b) => a.sequence - b.sequence)
}

/**
 * Builds a graph from its outputs.
 * @throws GraphError when an output depends on an input that is not listed, something else than an input is listed, or
 * two things share a name
 */
export function graph(
  name: string,
  inputs: readonly Value[],
  outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
): Graph {
  const named = new Map(outputs instanceof Map ? outputs : Object.entries(outputs))
  const nodes = ancestors(named.values())
  const leaves = new Set<Value>()
  const visit = (value: Value | undefined) => {
    // Nodes and constants, nearly all there is, are told apart before they are put into the set.
    if (value && 'name' in value.origin) leaves.add(value)
  }
  for (const node of nodes) node.inputs.forEach(visit)
  for (const value of named.values()) visit(value)
  const parameters: Parameter[] = []
  const names = new Set<string>()
  const claim = (taken: string, what: string) => {
    if (names.has(taken))
      throw new GraphError(
        `graph ${name}: two inputs or parameters are named '${taken}'; rename the second, this ${what}`,
      )
    names.add(taken)
  }
  for (const value of inputs) {
    if (value.origin.kind !== 'input') {
      throw new GraphError(
        `graph ${name}: a ${value.origin.kind} is listed among its inputs; list only what input() makes`,
      )
    }
    claim(value.origin.name, 'input')
  }
  const listed = new Set(inputs)
  for (const value of leaves) {
    if (isParameter(value)) {
      claim(value.origin.name, 'parameter')
      parameters.push(value)
    } else if (value.origin.kind === 'input' && !listed.has(value)) {
      throw new GraphError(
        `graph ${name}: uses the input '${value.origin.name}', which is not among its inputs; list it`,
      )
    }
  }
  for (const [output, { origin }] of named) {
    const passedOn = 'name' in origin && origin.name === output
    if (names.has(output) && !passedOn) {
      throw new GraphError(`graph ${name}: '${output}' names an output and an input or parameter; rename the output`)
    }
  }
  return { name, inputs, parameters, nodes, outputs: named }
}

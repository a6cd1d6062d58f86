// Rewriting: a pass is a function Graph → Graph that says, node by node, what takes a node's place.

import { bodiesOf } from './closure.js'
import { type Graph, graph } from './graph.js'
import type { Body, Type } from './operator.js'
import { isKnown, isUnknown, sameShape } from './shape.js'
import { apply, input, type Node, nameOf, nodeOf, rootScope, type Value } from './value.js'

/**
 * What takes a node's place, given its inputs in the new graph: one Value an output, or undefined to keep the node.
 * A kept node whose inputs have changed is applied anew, so its types follow theirs.
 */
export type Replace = (node: Node, inputs: readonly (Value | undefined)[]) => readonly Value[] | undefined

/** What {@link rewrite} puts in place of leaves, and how it names nodes. */
export interface RewriteOptions {
  /** What takes the place of inputs and parameters. */
  readonly leaves?: ReadonlyMap<Value, Value>
  /** Scope of the nodes that are made: `train` makes `train/stage1.conv` of `stage1.conv`. */
  readonly prefix?: string
  /** Inputs that the new nodes bring, after those of the source. */
  readonly inputs?: readonly Value[]
}

/** The outputs of a graph in which leaves and nodes are replaced. Nodes that nothing before them has changed stay. */
export function rewriteOutputs(
  source: Pick<Graph, 'nodes' | 'outputs'>,
  replace: Replace,
  { leaves = new Map(), prefix }: Pick<RewriteOptions, 'leaves' | 'prefix'> = {},
): ReadonlyMap<string, Value> {
  const image = new Map<Value, Value>(leaves)
  const map = (value: Value): Value => image.get(value) ?? value
  for (const node of source.nodes) {
    const inputs = node.inputs.map((value) => value && map(value))
    const scope = prefix ? (node.scope ? `${prefix}/${node.scope}` : prefix) : node.scope
    rootScope(scope, () => {
      const outputs = replace(node, inputs) ?? rebuild(node, inputs)
      node.outputs.forEach((value, i) => {
        image.set(value, outputs[i]!)
      })
    })
  }
  return new Map([...source.outputs].map(([name, value]) => [name, map(value)]))
}

/** A graph in which leaves and nodes are replaced. Inputs that are replaced by other values than inputs go. */
export function rewrite(source: Graph, replace: Replace, options: RewriteOptions = {}): Graph {
  const { leaves = new Map<Value, Value>(), inputs: added = [] } = options
  const inputs = source.inputs.map((value) => leaves.get(value) ?? value)
  const listed = [...inputs.filter(({ origin }) => origin.kind === 'input'), ...added]
  return graph(source.name, listed, rewriteOutputs(source, replace, options))
}

/** The same operator on other inputs; the node itself where they are its own. */
export function rebuild(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] {
  if (inputs.every((value, i) => value === node.inputs[i])) return node.outputs
  const { graphs } = node.operator
  const all = bodiesOf({ attributes: node.attributes, inputs })
  const own = inputs.slice(0, inputs.length - all.reduce((count, [, { captured }]) => count + captured, 0))
  const bodies = all.map(([name, body, captured]): [string, Body] => {
    const given = graphs?.given(name, own, node.attributes) ?? []
    return [name, bodyOn(body, [...given, ...captured])]
  })
  return apply(node.operator, inputs, { ...node.attributes, ...Object.fromEntries(bodies) })
}

/** A pass that goes into the graphs that nodes hold as well. */
export const everywhere =
  (replace: Replace): Replace =>
  (node, inputs) =>
    replace(node, inputs) ?? withBodies(node, inputs, (body) => rewrite(body, everywhere(replace)))

/** The same operator on other inputs, its graphs rewritten; undefined where it has none, or nothing in them changes. */
function withBodies(
  node: Node,
  inputs: readonly (Value | undefined)[],
  pass: (body: Graph) => Graph,
): readonly Value[] | undefined {
  if (bodiesOf(node).length === 0) return undefined
  const outputs = rebuild(node, inputs)
  const rebuilt = nodeOf(outputs[0])!
  const bodies = bodiesOf(rebuilt).map(([name, body]) => [name, body, pass(body.graph)] as const)
  if (bodies.every(([, body, graph]) => sameOutputs(body.graph, graph))) return outputs
  const changed = bodies.map(([name, body, graph]): [string, Body] => [name, { ...body, graph }])
  return apply(node.operator, rebuilt.inputs, { ...rebuilt.attributes, ...Object.fromEntries(changed) })
}

const sameOutputs = (a: Graph, b: Graph): boolean =>
  [...a.outputs].every(([name, value]) => b.outputs.get(name) === value)

/** The body of a node on other inputs: where its shapes have symbols, they are those of the operands. */
function bodyOn(body: Body, operands: readonly (Type | undefined)[]): Body {
  const leaves = new Map<Value, Value>()
  body.graph.inputs.forEach((value, i) => {
    const operand = operands[i]
    if (!operand || operand.shape.length !== value.shape.length) return
    // What only the data tell may differ from iteration to iteration.
    const shape = value.shape.map((dim, axis) => (isKnown(dim) || isUnknown(dim) ? dim : operand.shape[axis]!))
    if (!sameShape(shape, value.shape)) leaves.set(value, input(nameOf(value), operand.dtype, shape))
  })
  return leaves.size === 0 ? body : { ...body, graph: rewrite(body.graph, () => undefined, { leaves }) }
}

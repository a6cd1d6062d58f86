// The body of a Loop or another operator that holds a graph: built from values like any other, and closed over those of the
// graph around it.

import { ancestors, graph } from './graph.js'
import { type Body, isBody } from './operator.js'
import { apply, input, type Node, rootScope, type Value } from './value.js'

export interface Closure {
  readonly body: Body
  /** The values around the body that it uses: operands of its node, after those that the operator asks for. */
  readonly captured: readonly Value[]
}

/**
 * Makes a body. What does not depend on its inputs is no part of it: computed once, around it, and captured.
 * @param inputs what the operator gives the body, made by `input()`
 * @param around given for a body that may not run at all, a branch: only these values are taken from around it
 */
export function closure(
  name: string,
  inputs: readonly Value[],
  outputs: ReadonlyMap<string, Value>,
  around?: ReadonlySet<Value>,
): Closure {
  const inside = new Map<Value, Value>(inputs.map((value) => [value, value]))
  const captured = new Map<Value, Value>()
  const map = (value: Value): Value => {
    const known = inside.get(value) ?? captured.get(value)
    if (known || value.origin.kind === 'constant') return known ?? value
    const made = input(`captured${captured.size}`, value.dtype, value.shape)
    captured.set(value, made)
    return made
  }
  for (const node of ancestors(outputs.values(), around)) {
    if (!around && !node.inputs.some((value) => value && inside.has(value))) continue
    const operands = node.inputs.map((value) => value && map(value))
    const results = rootScope(node.scope, () => apply(node.operator, operands, node.attributes))
    node.outputs.forEach((value, i) => {
      inside.set(value, results[i]!)
    })
  }
  const results = new Map([...outputs].map(([output, value]) => [output, map(value)]))
  const body = graph(name, [...inputs, ...captured.values()], results)
  return { body: { graph: body, captured: captured.size }, captured: [...captured.keys()] }
}

/** The graphs of a node by the names of their attributes, each with the last operands of the node that it captures. */
export function bodiesOf({
  attributes,
  inputs,
}: Pick<Node, 'attributes' | 'inputs'>): readonly (readonly [string, Body, readonly (Value | undefined)[]])[] {
  const bodies = Object.entries(attributes).filter((entry): entry is [string, Body] => isBody(entry[1]))
  let end = inputs.length - bodies.reduce((count, [, { captured }]) => count + captured, 0)
  return bodies.map(([name, body]) => {
    end += body.captured
    return [name, body, inputs.slice(end - body.captured, end)]
  })
}

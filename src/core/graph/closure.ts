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
 * @param around given where a file says what is inside: all but what leads to these values. Of that draws stay, one an iteration
 * @param branch whether the body may not run at all: all that is inside stays
 */
export function closure(
  name: string,
  inputs: readonly Value[],
  outputs: ReadonlyMap<string, Value>,
  around?: ReadonlySet<Value>,
  branch = false,
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
    const stays = branch || (around && node.operator.random)
    if (!stays && !node.inputs.some((value) => value && inside.has(value))) continue
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

/** Whether a body draws at random: computed again, it gives other numbers. */
export const draws = ({ graph }: Body): boolean =>
  graph.nodes.some((node) => node.operator.random || bodiesOf(node).some(([, body]) => draws(body)))

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

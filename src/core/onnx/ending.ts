// A graph of a file that ends before its end.

import { UserError } from '../errors.js'
import { AttributeType, type GraphProto, type NodeProto } from './protos.js'

/** The graphs that a node holds. */
const bodiesOf = ({ attribute }: NodeProto): readonly GraphProto[] =>
  (attribute ?? []).flatMap(({ type, g, graphs }) =>
    type === AttributeType.GRAPH && g ? [g] : type === AttributeType.GRAPHS ? (graphs ?? []) : [],
  )

/** Names that a node takes, those that its graphs see around them included. */
function* namesIn(node: NodeProto): Generator<string> {
  yield* node.input ?? []
  for (const body of bodiesOf(node)) {
    for (const inner of body.node ?? []) yield* namesIn(inner)
    for (const { name } of body.output ?? []) yield name ?? ''
  }
}

/**
 * The graph up to these values, of which each is an output of the file or made inside: what does not lead to them is left out, inputs
 * too.
 * @param leftOut is told the operators of the nodes that are left out, in their order
 * @throws UserError for a name that no node and no input has
 */
export function endingAt(
  graph: GraphProto,
  names: readonly string[],
  leftOut: (operators: readonly string[]) => void = () => {},
): GraphProto {
  const nodes = graph.node ?? []
  const made = new Set([...nodes.flatMap(({ output }) => output ?? []), ...(graph.input ?? []).map(({ name }) => name)])
  for (const name of names)
    if (name === '' || !made.has(name)) {
      const outputs = (graph.output ?? []).map((info) => `'${info.name}'`).join(', ')
      throw new UserError(
        `the network has no value '${name}' to end at; it has the outputs ${outputs}, and what its nodes make`,
      )
    }
  const needed = new Set(names)
  const kept = nodes.toReversed().filter((node) => {
    if (!(node.output ?? []).some((name) => needed.has(name))) return false
    for (const name of namesIn(node)) needed.add(name)
    return true
  })
  const keeps = new Set(kept)
  leftOut(nodes.flatMap((node) => (keeps.has(node) ? [] : [`${node.domain ? `${node.domain}.` : ''}${node.opType}`])))
  const declared = new Map((graph.output ?? []).map((info) => [info.name, info]))
  return {
    ...graph,
    node: kept.toReversed(),
    input: (graph.input ?? []).filter(({ name }) => needed.has(name ?? '')),
    output: names.map((name) => declared.get(name) ?? { name }),
  }
}

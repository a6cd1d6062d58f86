// Which of the floating-point tensors in a file are weights, where the file does not say it: all but those that tell an operator
// how to do its work, as the scales of a Resize do.

import { ONNX_DOMAIN, type Operator } from '../graph/operator.js'
import { domainOf } from './opsets.js'
import type { GraphProto, NodeProto } from './protos.js'

const graphsIn = ({ attribute }: NodeProto): readonly GraphProto[] => (attribute ?? []).flatMap(({ g }) => g ?? [])

/** The nodes of a graph and of all graphs inside it, each before those that use its outputs. */
const nodesIn = (graph: GraphProto): readonly NodeProto[] =>
  (graph.node ?? []).flatMap((node) => [...graphsIn(node).flatMap(nodesIn), node])

/**
 * Names of the initializers and constants that lead to an operand without a gradient, through nodes that depend on nothing else.
 * @param recordOf the operator that a node calls
 */
export function settingsOf(
  graph: GraphProto,
  recordOf: (node: NodeProto) => Operator | undefined,
): ReadonlySet<string> {
  const nodes = nodesIn(graph)
  const makers = new Map(nodes.flatMap((node) => (node.output ?? []).map((name) => [name, node] as const)))
  const fed = new Set((graph.input ?? []).map(({ name }) => name ?? ''))
  for (const { name } of graph.initializer ?? []) fed.delete(name ?? '')
  const settings = new Set<string>()
  const waiting = nodes.flatMap((node) => {
    const flows = recordOf(node)?.differentiable?.inputs
    return flows ? (node.input ?? []).filter((_, place) => !flows.includes(place)) : []
  })
  // A value that the inputs reach is computed from data, and what it is computed with may be learned.
  const reached = new Set(fed)
  for (const { input, output } of nodes)
    if (input?.some((name) => reached.has(name))) for (const name of output ?? []) reached.add(name)
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (settings.has(name) || reached.has(name)) continue
    settings.add(name)
    waiting.push(...(makers.get(name)?.input ?? []))
  }
  return settings
}

/** Names of the running statistics of a graph's batch norms: what training moves without a gradient. */
export const runningStatistics = (graph: GraphProto): ReadonlySet<string> =>
  new Set(
    nodesIn(graph).flatMap(({ domain, opType, input }) =>
      domainOf(domain) === ONNX_DOMAIN && opType === 'BatchNormalization' ? (input ?? []).slice(3, 5) : [],
    ),
  )

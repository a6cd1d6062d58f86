// Which of the floating-point tensors in a file are weights, where the file does not say it: all but those that tell an operator
// how to do its work, as the scales of a Resize do.

import { ONNX_DOMAIN, type Operator } from '../graph/operator.js'
import { domainOf } from './opsets.js'
import type { GraphProto, NodeProto } from './protos.js'

const graphsIn = ({ attribute }: NodeProto): readonly GraphProto[] => (attribute ?? []).flatMap(({ g }) => g ?? [])

/** The nodes of a graph and of all graphs inside it, each before those that use its outputs. */
const nodesIn = (graph: GraphProto): readonly NodeProto[] =>
  (graph.node ?? []).flatMap((node) => [...graphsIn(node).flatMap(nodesIn), node])

type RecordOf = (node: NodeProto) => Operator | undefined

/**
 * Names of initializers of one number that are part of a formula: what takes them takes each number for itself, and is no bias of a
 * product.
 */
function formulaNumbers(graph: GraphProto, nodes: readonly NodeProto[], recordOf: RecordOf): readonly string[] {
  const products = new Set(nodes.flatMap(({ opType, output }) => (opType === 'MatMul' ? (output ?? []) : [])))
  const learned = new Set<string>()
  for (const node of nodes) {
    const { opType } = node
    const input = node.input ?? []
    const isBias = opType === 'Add' && input.some((name) => products.has(name))
    if (isBias || opType === 'PRelu' || !recordOf(node)?.elementwise) for (const name of input) learned.add(name)
  }
  const isSingle = (dims: readonly (number | bigint)[] | null | undefined) =>
    (dims ?? []).every((size) => Number(size) === 1)
  const initializers = [graph, ...nodes.flatMap(graphsIn)].flatMap(({ initializer }) => initializer ?? [])
  return initializers.flatMap(({ name, dims }) => (name && isSingle(dims) && !learned.has(name) ? [name] : []))
}

/**
 * Names of the initializers and constants that lead to an operand without a gradient, through nodes that depend on nothing else,
 * and of those that are numbers of a formula.
 * @param recordOf the operator that a node calls
 */
export function settingsOf(graph: GraphProto, recordOf: RecordOf): ReadonlySet<string> {
  const nodes = nodesIn(graph)
  const makers = new Map(nodes.flatMap((node) => (node.output ?? []).map((name) => [name, node] as const)))
  const fed = new Set((graph.input ?? []).map(({ name }) => name ?? ''))
  for (const { name } of graph.initializer ?? []) fed.delete(name ?? '')
  const seen = new Set<string>()
  const settings = new Set(formulaNumbers(graph, nodes, recordOf))
  const waiting = nodes.flatMap((node) => {
    const flows = recordOf(node)?.differentiable?.inputs
    return flows ? (node.input ?? []).filter((_, place) => !flows.includes(place)) : []
  })
  // A value that the inputs reach is computed from data, and what it is computed with may be learned.
  const reached = new Set(fed)
  for (const { input, output } of nodes)
    if (input?.some((name) => reached.has(name))) for (const name of output ?? []) reached.add(name)
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name) || reached.has(name)) continue
    seen.add(name)
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

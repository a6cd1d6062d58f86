// A graph as text that a person can read: one line a value, types at the right.

import type { Graph } from './graph.js'
import { type Numbers, type Tensor, widen } from './tensor.js'
import { formatAttributes, formatType, type Node, type Value } from './value.js'

const formatNumber = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))

function formatConstant(value: Tensor | Numbers): string {
  const { dtype, shape } = value
  if (value.data.length > 8) return `${dtype}[${shape.join(', ')}]{…}`
  const { data } = widen(value)
  const numbers = [...data].map(formatNumber).join(', ')
  return shape.length === 0 ? numbers : `[${numbers}]`
}

/** The graphs inside a node, below it. */
const printBodies = ({ attributes }: Node): string[] =>
  Object.values(attributes).flatMap((value) =>
    typeof value === 'object' && 'graph' in value
      ? printGraph(value.graph)
          .trimEnd()
          .split('\n')
          .map((line) => `    ${line}`)
      : [],
  )

/** `%3 = Conv(%2, stem.conv.weight) {strides=[1,1]}  # stem float32[batch, 16, 32, 32]`, node by node. */
export function printGraph(graph: Graph): string {
  const names = new Map<Value, string>()
  graph.nodes.forEach((node, i) => {
    node.outputs.forEach((value, k) => {
      names.set(value, node.outputs.length === 1 ? `%${i}` : `%${i}.${k}`)
    })
  })
  const nameOf = (value: Value | undefined): string => {
    if (!value) return '_'
    const { origin } = value
    if (origin.kind === 'constant') return formatConstant(origin.tensor)
    return origin.kind === 'node' ? names.get(value)! : origin.name
  }
  const declare = (value: Value) => `${nameOf(value)}: ${formatType(value)}`
  const lines = [`graph ${graph.name}(${graph.inputs.map(declare).join(', ')}) {`]
  for (const value of graph.parameters) lines.push(`  parameter ${declare(value)}`)
  for (const node of graph.nodes) {
    const results = node.outputs.map(nameOf).join(', ')
    const attributes = formatAttributes(node.attributes)
    const call = `${node.operator.name}(${node.inputs.map(nameOf).join(', ')})${attributes && ` {${attributes}}`}`
    lines.push(
      `  ${results} = ${call}  # ${node.scope ? `${node.scope} ` : ''}${node.outputs.map(formatType).join(', ')}`,
      ...printBodies(node),
    )
  }
  for (const [name, value] of graph.outputs) lines.push(`  return ${name} = ${nameOf(value)}`)
  return `${lines.join('\n')}\n}\n`
}

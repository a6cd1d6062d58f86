import type { Graph } from '../../core/graph/graph.js'

/** How many nodes of each operator there are, the most first. */
export function countsOf(nodes: Graph['nodes']): [string, number][] {
  const counts = new Map<string, number>()
  for (const { operator } of nodes) counts.set(operator.name, (counts.get(operator.name) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}

/** Operators that give the same bytes another shape: no work on any device. */
const views = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity'])

/** How many nodes there are, and how many of them are work for a device. */
export function workOf(operators: readonly (readonly [string, number])[]) {
  const nodes = operators.reduce((sum, [, count]) => sum + count, 0)
  return { nodes, kernels: operators.reduce((sum, [name, count]) => sum + (views.has(name) ? 0 : count), 0) }
}

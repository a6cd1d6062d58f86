import type { Graph } from '../../core/graph/graph.js'

/** How many nodes of each operator there are, the most first. */
export function countsOf(nodes: Graph['nodes']): [string, number][] {
  const counts = new Map<string, number>()
  for (const { operator } of nodes) counts.set(operator.name, (counts.get(operator.name) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}

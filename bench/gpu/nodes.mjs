// How many nodes a training step has: on a GPU each is a kernel launch or more, and at this size launches are the cost.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeModel } from '../../dist/src/core/onnx/tensors.js'
import { ours } from './processes.mjs'
import { precisions } from './settings.mjs'

/** The nodes of a graph and of those within it: the first `graph` that a Loop repeats, or all of it where there is none. */
function repeated(graph) {
  const loop = graph.node.find(({ opType }) => opType === 'Loop')
  return loop ? loop.attribute.find(({ name }) => name === 'body').g : graph
}

/** Nodes that a step of a model runs, by operator, most frequent first. */
export function countNodes(bytes) {
  const counts = {}
  const count = ({ node }) => {
    for (const { opType, attribute } of node) {
      counts[opType] = (counts[opType] ?? 0) + 1
      for (const { g } of attribute) if (g) count(g)
    }
  }
  count(repeated(decodeModel(bytes).graph))
  return Object.fromEntries(Object.entries(counts).sort(([, a], [, b]) => b - a))
}

/**
 * The nodes of the step that rdm-export writes, by precision: as written, before ONNX Runtime fuses some and adds copies.
 * @returns { total, operators }, or { failed } with the reason
 */
export async function stepNodes(processes, settings, { block, functions, blocks, widths }) {
  const shape = [
    '--block',
    block,
    '--functions',
    functions.join(),
    '--blocks',
    blocks.join(),
    '--widths',
    widths.join(),
  ]
  const counted = {}
  for (const precision of precisions(settings)) {
    const target = settings.target === 'ort-cuda' ? ['--target', 'ort-cuda', '--precision', precision] : ['--inline']
    const file = join(settings.scratch, `nodes-${precision}.onnx`)
    try {
      await processes.run(ours('rdm-export', [...shape, '--part', 'train', ...target, '--out', file]))
      const operators = countNodes(readFileSync(file))
      counted[precision] = { total: Object.values(operators).reduce((a, b) => a + b, 0), operators }
    } catch ({ message }) {
      counted[precision] = { failed: message }
    }
  }
  return counted
}

// Recomputation taken back: the step that keeps its activations, from the one that computes them again.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import type { Graph } from '../../../src/core/graph/graph.js'
import { keepActivations } from '../../../src/core/training/recompute.js'
import { networkNames, networks } from '../../support/models.js'
import { disturbed, tinyBatch } from '../../support/networks.js'
import { expectClose } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

const optimizer = { momentum: 0.9, weightDecay: 1e-4, nesterov: false }

function operatorsOf({ nodes }: Graph): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { operator } of nodes) counts[operator.name] = (counts[operator.name] ?? 0) + 1
  return counts
}

describe.each(networkNames)('%s', (name) => {
  const again = sgdStep(networks[name]!(), optimizer).graph
  const kept = keepActivations(again)

  it('has the operators of a step that never computed anything again', () => {
    const { graph } = sgdStep(networks[name]!(), optimizer, { recompute: false })
    expect(operatorsOf(kept)).toEqual(operatorsOf(graph))
    expect(operatorsOf(kept).BatchNormAgain).toBeUndefined()
    // Behind its batch norms the plain CNN has no ReLU, and computes nothing again.
    expect(Boolean(operatorsOf(again).BatchNormAgain)).toBe(name !== 'a plain CNN')
  })

  it('computes the same', () => {
    const feeds = new Map([...disturbed(again, 5), ...tinyBatch(again, 7, { size: 3 })])
    const actual = evaluate(kept, feeds)
    for (const [output, value] of evaluate(again, feeds)) expectClose(actual.get(output)!, value, output, 1e-10)
  })
})

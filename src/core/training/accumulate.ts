// Gradients of several batches that make one update: a pass over a training step. Each weight's gradient is added up where the
// backward pass ends; state moves only at the step that updates, but for running statistics, which every batch moves.

import { type Graph, graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { constant, GraphError, input, type Node, nameOf, rootScope, type Value } from '../graph/value.js'
import { add, cast, gradientOf, greater, mul, WeightGradient, where } from '../ops/index.js'
import type { StepSignature } from './signature.js'

/** Input, float32 []: 1/batches at the step that updates, else 0. */
const SHARE = 'update_share'

export interface AccumulatedStep {
  readonly graph: Graph
  readonly signature: StepSignature
  /** State that is added, zeros of these types: the sums of the gradients. */
  readonly added: readonly Value[]
}

/** The weight that a gradient is of, by where it stands: as it was made, or by the name of its node in a file. */
const weightOf = ({ scope }: Node): string => /^update\/(.+?)(\/WeightGradient(_\d+)?)?$/.exec(scope)?.[1] ?? scope

/**
 * @param step a training step, its state as inputs
 * @throws GraphError for a step whose gradients are not marked, such as one whose functions are written in place
 */
export function accumulatedStep(step: Graph, signature: StepSignature): AccumulatedStep {
  const share = input(SHARE, 'float32', [])
  const due = rootScope('update/due', () => greater(share, 0))
  const sums = new Map<string, { readonly held: Value; readonly total: Value }>()
  const marks = step.nodes.filter(({ operator }) => operator === WeightGradient)
  if (marks.length === 0)
    throw new GraphError(
      'gradients are not marked in this step, so they cannot be added up; export it without --inline',
    )
  const holders = new Map(
    marks.map((node) => {
      const { dtype, shape } = node.outputs[0]!
      return [node, input(`${weightOf(node)}.accumulated`, dtype, shape)]
    }),
  )
  const rewritten = rewrite(
    step,
    (node, [gradient]) => {
      const held = holders.get(node)
      if (!held) return undefined
      const total = add(held, gradientOf(gradient!))
      sums.set(nameOf(held), { held, total })
      return [mul(total, share.dtype === total.dtype ? share : cast(share, total.dtype))]
    },
    { inputs: [share, ...holders.values()] },
  )
  const states = new Map(step.inputs.map((value) => [nameOf(value), value]))
  const statistics = new Set(signature.statistics)
  const outputs = new Map(rewritten.outputs)
  for (const [output, state] of Object.entries(signature.updates)) {
    if (statistics.has(state)) continue
    const next = outputs.get(output)!
    outputs.set(
      output,
      rootScope(`update/${state}/due`, () => where(due, next, states.get(state)!)),
    )
  }
  const updates: Record<string, string> = { ...signature.updates }
  for (const [name, { held, total }] of sums) {
    const next = rootScope(`update/${name}`, () => where(due, constant(held.dtype, 0), total))
    outputs.set(`${name}.next`, next)
    updates[`${name}.next`] = name
  }
  return {
    graph: graph(step.name, rewritten.inputs, outputs),
    signature: { ...signature, updateShare: SHARE, updates },
    added: [...sums.values()].map(({ held }) => held),
  }
}

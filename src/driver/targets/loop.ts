// Several steps in one run, by a Loop around a step that is lowered already: what is carried stays where it is between them.

import { type Graph, graph } from '../../core/graph/graph.js'
import { rewriteOutputs } from '../../core/graph/rewrite.js'
import { constant, input, nameOf, rootScope, type Value } from '../../core/graph/value.js'
import { gather, loop, shapeOf } from '../../core/ops/index.js'
import type { StepSignature } from '../../core/training/signature.js'

/**
 * @param step one training step, its state as inputs
 * @returns a graph with the step's inputs and outputs: batches, targets, hyperparameters and what is drawn each with one more axis in
 *   front, [steps]; the state as ever; the loss and what the metrics are made from, each [steps]; the state after the last step
 */
export function stepsInLoop(step: Graph, { updates, loss, metrics }: StepSignature): Graph {
  const state = new Set(Object.values(updates))
  const stacked = new Set([loss, ...metrics.map(({ output }) => output)])
  return rootScope('', () => {
    const fed = step.inputs.filter((value) => !state.has(nameOf(value)))
    const sources = fed.map((value) => input(nameOf(value), value.dtype, ['steps', ...value.shape]))
    const kept = step.inputs.filter((value) => state.has(nameOf(value)))
    const count = gather(shapeOf(sources[0]!), constant('int64', 0))
    const initial = Object.fromEntries(kept.map((value) => [nameOf(value), value]))
    const looped = loop(count, initial, (iteration, carried) => {
      const rows = rootScope('batch', () => sources.map((value) => gather(value, iteration)))
      const leaves = new Map<Value, Value>([
        ...fed.map((value, i): [Value, Value] => [value, rows[i]!]),
        ...kept.map((value): [Value, Value] => [value, carried[nameOf(value)]!]),
      ])
      const outputs = rewriteOutputs(step, () => undefined, { leaves })
      const next = Object.entries(updates).map(([output, name]) => [name, outputs.get(output)!])
      return {
        carried: { ...carried, ...Object.fromEntries(next) },
        stacked: Object.fromEntries([...stacked].map((name) => [name, outputs.get(name)!])),
      }
    })
    const results = new Map([
      ...Object.entries(looped.stacked),
      ...Object.entries(updates).map(([output, name]): [string, Value] => [output, looped.carried[name]!]),
    ])
    return graph(step.name, [...sources, ...kept], results)
  })
}

// Losses made of what is there: an output of the network, several losses together, a graph from elsewhere.

import type { Graph } from '../graph/graph.js'
import { rewriteOutputs } from '../graph/rewrite.js'
import { GraphError, nameOf, scope, type Value } from '../graph/value.js'
import { add, mul } from '../ops/index.js'
import type { Loss, Metric } from './loss.js'

/** An output of the network is the loss: the network takes its targets itself. */
export const outputLoss =
  (name: string): Loss =>
  ({ output }) => ({ loss: output(name) })

/** A loss for an output: for this one where the loss names none. */
export const lossFor =
  (name: string, loss: Loss): Loss =>
  (context) =>
    loss({ ...context, output: (named = name) => context.output(named) })

/** Σ weight · loss, its terms named; the metrics of a term are called `TERM.METRIC`. */
export const weightedSum =
  (terms: Readonly<Record<string, { readonly loss: Loss; readonly weight?: number }>>): Loss =>
  (context) => {
    const parts = Object.entries(terms).map(([name, { loss, weight = 1 }]) => ({
      name,
      weight,
      ...scope(name, () => loss(context)),
    }))
    if (parts.length === 0) throw new GraphError('a weighted sum of losses needs at least one')
    const metrics = parts.flatMap(({ name, loss, metrics = [] }): Metric[] => [
      { name: `${name}.loss`, kind: 'mean', value: loss },
      ...metrics.map((metric) => ({
        ...metric,
        name: `${name}.${metric.name}`,
        output: `${name}.${metric.output ?? metric.name}`,
      })),
    ])
    const weighed = parts.map(({ loss, weight }) => (weight === 1 ? loss : mul(loss, weight)))
    return { loss: scope('loss', () => weighed.reduce((a, b) => add(a, b))), metrics }
  }

/**
 * A loss given as a graph, such as one read from an ONNX file. Inputs by the name of an output of the network are that
 * output, the others are targets. Its output `loss` is the loss, its only one else; its other outputs are metrics, means over
 * the batch.
 */
export const graphLoss =
  (source: Graph): Loss =>
  ({ output, target, outputs }) => {
    const leaves = new Map<Value, Value>(
      source.inputs.map((value) => {
        const name = nameOf(value)
        const isOutput = outputs.has(name)
        return [value, isOutput ? output(name) : target(name, value.dtype, value.shape)]
      }),
    )
    const results = rewriteOutputs(source, () => undefined, { leaves })
    const [first] = [...results.keys()]
    const name = results.has('loss') || first === undefined || results.size > 1 ? 'loss' : first
    const loss = results.get(name)
    if (!loss)
      throw new GraphError(`the graph ${source.name} has no output 'loss'; it has ${[...results.keys()].join(', ')}`)
    const metrics = [...results].filter(([other]) => other !== name)
    return { loss, metrics: metrics.map(([other, value]) => ({ name: other, kind: 'mean', value })) }
  }

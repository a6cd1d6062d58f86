// Inference form → training form of a network: batch norms take the batch's own statistics, gates of stochastic depth open
// and close, and gates of single functions, which are there to look at a trained network, stay open.

import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { constant, GraphError, input, isParameter, type Parameter, type Value } from '../graph/value.js'
import { BatchNormalization, batchNormTraining, Gate, gate, gather } from '../ops/index.js'

export interface TrainingForm {
  readonly graph: Graph
  /** Each running statistic, and the value that replaces it after the step. */
  readonly statistics: ReadonlyMap<Parameter, Value>
  /** The input `gates`, float32 [G], and the survival probability of each; none where nothing is gated. */
  readonly gates?: { readonly input: Value; readonly survival: readonly number[] }
}

/**
 * The same network as it runs in training. Nodes are named below `train/`; what does not depend on the mode (the
 * preprocessing, the first convolution) stays the node of the inference graph.
 */
export function trainingForm(inference: Graph): TrainingForm {
  const gated = inference.nodes.filter(({ operator, inputs }) => operator.name === Gate.name && !inputs[1])
  const survival = gated.map(({ attributes }) => attributes.survival as number)
  const gates = input('gates', 'float32', [gated.length])
  const statistics = new Map<Parameter, Value>()
  const graph = rewrite(
    inference,
    (node, inputs) => {
      if (node.operator.name === Gate.name) {
        if (node.inputs[1]) return [inputs[0]!]
        const index = gated.indexOf(node)
        return [gate(inputs[0]!, survival[index]!, gather(gates, constant('int64', index)))]
      }
      if (node.operator.name !== BatchNormalization.name || node.attributes.training_mode === 1) return undefined
      const [x, scale, shift, mean, variance] = inputs as readonly [Value, Value, Value, Value, Value]
      const { epsilon, momentum } = node.attributes as { epsilon: number; momentum: number }
      const [y, nextMean, nextVariance] = batchNormTraining(x, { scale, shift, mean, variance }, { epsilon, momentum })
      for (const [running, next] of [
        [mean, nextMean!],
        [variance, nextVariance!],
      ] as const) {
        if (!isParameter(running)) continue
        if (statistics.has(running)) {
          throw new GraphError(`two batch norms share '${running.origin.name}'; give each its own running statistics`)
        }
        statistics.set(running, next)
      }
      return [y!]
    },
    { prefix: 'train', inputs: gated.length > 0 ? [gates] : [] },
  )
  return { graph, statistics, ...(gated.length > 0 ? { gates: { input: gates, survival } } : {}) }
}

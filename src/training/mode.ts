// Inference form → training form of a network: batch norms take the batch's own statistics, gates open and close.

import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { constant, input, isParameter, type Parameter, type Value } from '../graph/value.js'
import { BatchNormalization, batchNormTraining, Gate, gate, gather } from '../ops/index.js'

export interface TrainingForm {
  readonly graph: Graph
  /** A running statistic and the value that replaces it after the step. */
  readonly statistics: readonly (readonly [Parameter, Value])[]
  /** The input `gates`, float32 [G], and the survival probability of each; none where nothing is gated. */
  readonly gates?: { readonly input: Value; readonly survival: readonly number[] }
}

/**
 * The same network as it runs in training. Nodes are named below `train/`; what does not depend on the mode (the
 * preprocessing, the first convolution) stays the node of the inference graph.
 */
export function trainingForm(inference: Graph): TrainingForm {
  const gated = inference.nodes.filter(({ operator }) => operator.name === Gate.name)
  const survival = gated.map(({ attributes }) => attributes.survival as number)
  const gates = input('gates', 'float32', [gated.length])
  const statistics: (readonly [Parameter, Value])[] = []
  const graph = rewrite(
    inference,
    (node, inputs) => {
      if (node.operator.name === Gate.name) {
        const index = gated.indexOf(node)
        return [gate(inputs[0]!, survival[index]!, gather(gates, constant('int64', index)))]
      }
      if (node.operator.name !== BatchNormalization.name || node.attributes.training_mode === 1) return undefined
      const [x, scale, shift, mean, variance] = inputs as readonly [Value, Value, Value, Value, Value]
      const { epsilon, momentum } = node.attributes as { epsilon: number; momentum: number }
      const [y, nextMean, nextVariance] = batchNormTraining(x, { scale, shift, mean, variance }, { epsilon, momentum })
      if (isParameter(mean)) statistics.push([mean, nextMean!])
      if (isParameter(variance)) statistics.push([variance, nextVariance!])
      return [y!]
    },
    { prefix: 'train', inputs: gated.length > 0 ? [gates] : [] },
  )
  return { graph, statistics, ...(gated.length > 0 ? { gates: { input: gates, survival } } : {}) }
}

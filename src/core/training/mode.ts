// Inference form → training form of a network: batch norms take the batch's own statistics, dropout drops, gates of stochastic
// depth open and close, and gates of single functions, which are there to look at a trained network, stay open.

import { knownIn } from '../graph/dims.js'
import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { constant, GraphError, input, isParameter, type Parameter, scope, type Value } from '../graph/value.js'
import {
  BatchNormalization,
  batchNormTraining,
  cast,
  Dropout,
  dropoutMask,
  Gate,
  gate,
  gather,
  mul,
  SEEDS,
} from '../ops/index.js'

export interface TrainingForm {
  readonly graph: Graph
  /** Each running statistic, and the value that replaces it after the step. */
  readonly statistics: ReadonlyMap<Parameter, Value>
  /** The input `gates`, float32 [G], and the survival probability of each; none where nothing is gated. */
  readonly gates?: { readonly input: Value; readonly survival: readonly number[] }
  /** The input `seeds`, float32 [4], that dropout is drawn from; none where nothing is dropped. */
  readonly seeds?: Value
}

/** What a batch norm normalizes by in training: the statistics of the batch, or those that it has, which then stay. */
export type BatchNormMode = 'batch' | 'running'

/**
 * The same network as it runs in training. Nodes are named below `train/`; what does not depend on the mode (the
 * preprocessing, the first convolution) stays the node of the inference graph.
 */
export function trainingForm(inference: Graph, batchNorm: BatchNormMode = 'batch'): TrainingForm {
  const gated = inference.nodes.filter(({ operator, inputs }) => operator === Gate && !inputs[1])
  const survival = gated.map(({ attributes }) => attributes.survival as number)
  const gates = input('gates', 'float32', [gated.length])
  const dropouts = inference.nodes.filter(({ operator }) => operator === Dropout)
  const seeds = input('seeds', 'float32', [SEEDS])
  const statistics = new Map<Parameter, Value>()
  const drawn = [...(gated.length > 0 ? [gates] : []), ...(dropouts.length > 0 ? [seeds] : [])]
  const graph = rewrite(
    inference,
    (node, inputs) => {
      if (node.operator === Gate) {
        if (node.inputs[1]) return [inputs[0]!]
        const index = gated.indexOf(node)
        return [gate(inputs[0]!, survival[index]!, gather(gates, constant('int64', index)))]
      }
      if (node.operator === Dropout) {
        const ratio = node.inputs[1] ? knownIn(node.inputs[1])?.[0] : 0.5
        if (ratio === undefined) throw new GraphError('Dropout: training needs a ratio that is a constant of the graph')
        const mask = scope('mask', () => dropoutMask(inputs[0]!, seeds, ratio, dropouts.indexOf(node)))
        return [mul(inputs[0]!, mask), cast(mask, 'bool')]
      }
      const isBatchNorm = node.operator === BatchNormalization && node.attributes.training_mode !== 1
      if (!isBatchNorm || batchNorm === 'running') return undefined
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
    { prefix: 'train', inputs: drawn },
  )
  return {
    graph,
    statistics,
    ...(gated.length > 0 ? { gates: { input: gates, survival } } : {}),
    ...(dropouts.length > 0 ? { seeds } : {}),
  }
}

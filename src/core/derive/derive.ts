// From a network that others wrote to a model file that trains it.

import type { Graph } from '../graph/graph.js'
import { isKnown } from '../graph/shape.js'
import { nameOf } from '../graph/value.js'
import type { Recipe } from '../model/recipe.js'
import { type ExportOptions, exportModel } from '../model/write.js'
import { type AdapterOptions, adaptersOf, withAdapters } from './adapters.js'
import { headNames, withHead } from './head.js'
import { type PixelStatistics, withPixels } from './pixels.js'
import { type Selection, select } from './selection.js'

/** How a file is fine-tuned unless it is said otherwise. */
export const fineTuning = {
  epochs: 10,
  batchSize: 32,
  learningRate: [[0, 0.001]],
  momentum: 0.9,
  weightDecay: 0,
  augment: false,
} satisfies Recipe

/** What is made of a network before it trains. */
export interface Preparation extends Selection {
  /** A fresh last layer for so many classes. */
  readonly head?: number | undefined
  /** The network takes uint8 pixels, and normalizes them. */
  readonly pixels?: PixelStatistics | undefined
  /** Low-rank adapters: they train, a new head, and what `train` names. */
  readonly lora?: AdapterOptions | undefined
}

/** How {@link derive} makes a network of others a model file that trains. */
export interface DeriveOptions extends Preparation, Omit<ExportOptions, 'recipe' | 'seed'> {
  /** Unless given `fineTuning`. */
  readonly recipe?: Recipe | undefined
  /** Draws a new head and adapters; 1 unless given. */
  readonly seed?: number | undefined
}

/** The network that `derive` trains. */
export function prepared(network: Graph, { head, pixels, lora, ...selection }: Preparation): Graph {
  const headed = head === undefined ? network : withHead(network, head)
  const ready = pixels ? withPixels(headed, pixels) : headed
  if (!lora) return select(ready, selection)
  const adapted = withAdapters(ready, lora)
  const fresh = head === undefined ? [] : headNames(headed)
  const train = [...adaptersOf(adapted).map(nameOf), ...fresh, ...(selection.train ?? [])]
  return select(adapted, { ...selection, train })
}

/**
 * A model file that trains a network of another file: the weights, their names, the inputs and outputs are the file's. Batch norms
 * keep their statistics unless `batchNorm` says otherwise.
 * @param network as `readNetwork` gives it
 * @returns the bytes of the file, for `rdm-fit`, `fit` and `readTrainableModel`
 * @throws UserError, GraphError for weights that are not there, a loss that does not fit, or an operator without a gradient
 */
export function derive(network: Graph, options: DeriveOptions = {}): Uint8Array {
  const { train, freeze, trainLast, head, pixels, lora, recipe = fineTuning, seed = 1, ...rest } = options
  const ready = prepared(network, { train, freeze, trainLast, head, pixels, lora })
  return exportModel(ready, { batchNorm: 'running', ...rest, recipe: withFixedBatch(ready, recipe), seed })
}

/** A network that takes so many examples at a time trains on whole batches of them; which are left out changes with the epoch. */
function withFixedBatch({ inputs }: Graph, recipe: Recipe): Recipe {
  const [batch] = inputs[0]?.shape ?? []
  return batch !== undefined && isKnown(batch) ? { ...recipe, batchSize: batch, dropLast: true } : recipe
}

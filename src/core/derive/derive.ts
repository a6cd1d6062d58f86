// From a network that others wrote to a model file that trains it.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isFloat } from '../graph/tensor.js'
import { nodeOf, type Value } from '../graph/value.js'
import { crossEntropy } from '../losses/crossEntropy.js'
import type { Loss } from '../losses/loss.js'
import type { Recipe } from '../model/recipe.js'
import { type ExportOptions, exportModel } from '../model/write.js'
import { Identity, Softmax } from '../ops/index.js'
import { withHead } from './head.js'
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

export interface DeriveOptions extends Selection, Omit<ExportOptions, 'recipe' | 'seed'> {
  /** Unless given `fineTuning`. */
  readonly recipe?: Recipe | undefined
  /** Draws a new head; 1 unless given. */
  readonly seed?: number | undefined
  /** A fresh last layer for so many classes. */
  readonly head?: number | undefined
  /** The file takes uint8 pixels, and normalizes them. */
  readonly pixels?: PixelStatistics | undefined
}

/** Whether a value is a softmax over the classes, its second axis. */
function isProbabilities(value: Value): boolean {
  const node = nodeOf(value)
  if (node?.operator === Identity) return isProbabilities(node.inputs[0]!)
  const axis = node?.attributes.axis
  return node?.operator === Softmax && (axis === 1 || axis === 1 - value.shape.length)
}

/** The output that a loss means: the one that is named, or called `logits`, or the only one of floats. */
export function outputOf({ outputs }: Graph, name?: string): readonly [string, Value] {
  const floats = [...outputs].filter(([, { dtype }]) => isFloat(dtype))
  const found =
    name === undefined
      ? (floats.find(([output]) => output === 'logits') ?? (floats.length === 1 ? floats[0] : undefined))
      : floats.find(([output]) => output === name)
  if (found) return found
  const listed = [...outputs.keys()].map((output) => `'${output}'`).join(', ')
  throw new UserError(
    name === undefined
      ? `the network has the outputs ${listed}; name the one that the loss is for`
      : `the network has no output '${name}' of floats; it has ${listed}`,
  )
}

/** Cross-entropy of an output, whether a softmax is at its end or not. */
export function classification(network: Graph, options: Parameters<typeof crossEntropy>[0] = {}): Loss {
  const [output, value] = outputOf(network, options.output)
  return crossEntropy({ probabilities: isProbabilities(value), ...options, output })
}

/** The network that `derive` trains: with another head, with pixels at its input, some of its weights frozen. */
export function prepared(
  network: Graph,
  { head, pixels, ...selection }: Pick<DeriveOptions, 'head' | 'pixels' | keyof Selection>,
): Graph {
  const headed = head === undefined ? network : withHead(network, head)
  return select(pixels ? withPixels(headed, pixels) : headed, selection)
}

/**
 * A model file that trains a network of another file: the weights, their names, the inputs and outputs are the file's.
 * @param network as `readNetwork` gives it
 * @returns the bytes of the file, for `rdm-fit`, `fit` and `readTrainableModel`
 * @throws UserError, GraphError for weights that are not there, a loss that does not fit, or an operator without a gradient
 */
export function derive(network: Graph, options: DeriveOptions = {}): Uint8Array {
  const { train, freeze, trainLast, head, pixels, recipe = fineTuning, seed = 1, ...rest } = options
  const ready = prepared(network, { train, freeze, trainLast, head, pixels })
  const { loss = classification(ready), batchNorm = 'running' } = rest
  return exportModel(ready, { ...rest, loss, batchNorm, recipe, seed })
}

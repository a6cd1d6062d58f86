// What the driver needs of a trainable model, whatever file or network it came from.

import type { Graph } from '../graph/graph.js'
import type { Tensors } from '../graph/tensor.js'
import type { Target } from '../targets/target.js'
import type { StepSignature } from '../training/signature.js'
import type { Recipe } from './recipe.js'

/** How a lowered graph is written as a file. */
export interface EncodeOptions {
  /** Values of inputs that never change: they stay where the runtime computes. */
  readonly constants?: Tensors
  /** What the lowered graph takes and gives, where a target's differs from the model's. */
  readonly signature?: StepSignature
}

/** A model file with a training step, read by {@link readTrainableModel}. */
export interface TrainableModel {
  /**
   * The whole training step as one plain ONNX model, as a target writes it. With `batch` its shapes are fixed to so many
   * examples, else the batch size stays symbolic. Inputs and outputs: those of the signature, and every state tensor
   * (parameters, what the optimizer keeps, running statistics) with its next value.
   */
  step(target: Target, batch?: number): Uint8Array
  /** The step as a graph, its state as inputs, its primitives not yet expanded: what a target lowers. */
  graph(batch?: number): Graph
  /** The inference graph, its state as inputs: what a target lowers to evaluate with weights that change. */
  network(): Graph
  /** A lowered graph as a plain model. */
  encode(lowered: Graph, options?: EncodeOptions): Uint8Array
  /** State at the values in the file, by name. */
  readonly state: Tensors
  readonly signature: StepSignature
  /**
   * A plain model from outputs of the network and the targets to the loss and what the metrics are made from; undefined where
   * the file does not say it.
   */
  readonly scoring: Uint8Array | undefined
  /** What the file says that the classes are called, in the order of their labels. */
  readonly classes?: readonly string[] | undefined
  /** Whether the network is of others; false unless given. */
  readonly foreign?: boolean
  /** How the file says that it wants to be trained. */
  readonly recipe: Recipe
  /** The learning rate, where the file fixes it: by the state, which a step may move. */
  rateAt?(state: Tensors): number
  /** The same model file, inference graph and training information, with these state values in place of its own. */
  withState(state: Tensors): Uint8Array
  /** The inference graph alone with these weights as constants. */
  inference(state: Tensors): Uint8Array
  /**
   * A plain model without inputs that draws first values of the state: the file's initialization, its random operators
   * seeded by `seed`. `initial`: output → state tensor.
   * @throws UserError when the file has no initialization, or one that draws nothing
   */
  initialization(seed: number): { readonly model: Uint8Array; readonly initial: Readonly<Record<string, string>> }
  /** The only batch size that the step takes, where the file fixes one. */
  readonly fixedBatch?: number
  /** Multiply-adds of the network for one example, forward. */
  readonly multiplyAdds: number
  /** SHA-256 of the file without its weights: what a run folder belongs to. */
  readonly fingerprint: string
}

// What the driver needs of a trainable model, whatever file or network it came from.

import type { Graph } from '../graph/graph.js'
import type { Tensors } from '../graph/tensor.js'
import type { Target } from '../targets/target.js'
import type { Recipe } from './recipe.js'

/** Names of the training step's inputs and outputs that are not state, and what they carry. */
export interface StepSignature {
  /** Input: uint8 [batch, channels, height, width]. */
  readonly images: string
  /** Input: int64 [batch], classes from 0. */
  readonly labels: string
  /** Input: float32 []. */
  readonly learningRate: string
  /** Output: float32 [], mean over the batch. */
  readonly loss: string
  /** Output: int64 [], how many of the batch were classified right. */
  readonly correct: string
  /** Input of stochastic depth: float32 [G], each 0 or 1; `survival` holds the probability of 1 for each. */
  readonly gates?: { readonly name: string; readonly survival: readonly number[] }
  /** [channels, height, width] */
  readonly imageShape: readonly [number, number, number]
  readonly classes: number
}

export interface EncodeOptions {
  /** Values of inputs that never change: they stay where the runtime computes. */
  readonly constants?: Tensors
  /** Output → state tensor that it replaces, where a target's differ from the model's. */
  readonly carried?: Readonly<Record<string, string>>
}

export interface TrainableModel {
  /**
   * The whole training step as one plain ONNX model, as a target writes it. With `batch` its shapes are fixed to so many
   * images, else the batch size stays symbolic. Inputs: images, labels, learning rate, gates where there are any,
   * and every state tensor (parameters, momenta, running statistics). Outputs: loss, correct, and the next value of the
   * state tensors.
   */
  step(target: Target, batch?: number): Uint8Array
  /** The step as a graph, its state as inputs, its primitives not yet expanded: what a target lowers. */
  graph(batch?: number): Graph
  /** The inference graph, its state as inputs: what a target lowers to evaluate with weights that change. */
  network(): Graph
  /** A lowered graph as a plain model. */
  encode(lowered: Graph, options?: EncodeOptions): Uint8Array
  /** Output name of the step → the input name (state tensor) that it replaces. */
  readonly carried: Readonly<Record<string, string>>
  /** State at the values in the file, by name. */
  readonly state: Tensors
  readonly signature: StepSignature
  /** How the file says that it wants to be trained. */
  readonly recipe: Recipe
  /** The same model file, inference graph and training information, with these state values in place of its own. */
  withState(state: Tensors): Uint8Array
  /** The inference graph alone with these weights as constants: images uint8 in, `logits` [batch, classes] out. */
  inference(state: Tensors): Uint8Array
  /**
   * A plain model without inputs that draws first values of the state: the file's initialization, its random operators
   * seeded by `seed`. `initial`: output → state tensor.
   * @throws UserError when the file has no initialization, or one that draws nothing
   */
  initialization(seed: number): { readonly model: Uint8Array; readonly initial: Readonly<Record<string, string>> }
  /** The only batch size that the step takes, where the file fixes one. */
  readonly fixedBatch?: number
  /** Multiply-adds of the network for one image, forward. */
  readonly multiplyAdds: number
  /** SHA-256 of the file without its weights: what a run folder belongs to. */
  readonly fingerprint: string
}

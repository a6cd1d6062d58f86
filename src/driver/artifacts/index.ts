// The four files that ONNX Runtime's training API trains with, where a build of it has one: docs/artifacts.md.

import type { Graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/graph/tensor.js'
import { crossEntropy } from '../../core/losses/crossEntropy.js'
import { evaluationModelDocs, trainingModelDocs } from '../../core/model/docs.js'
import { keys } from '../../core/model/metadata.js'
import { encodeModel } from '../../core/onnx/tensors.js'
import { type Docs, writeModel } from '../../core/onnx/write.js'
import { portable } from '../../core/targets/portable/index.js'
import type { Target } from '../../core/targets/target.js'
import { initialize } from '../../core/training/initialize.js'
import { trainingStep } from '../../core/training/step.js'
import { encodeCheckpoint } from './checkpoint.js'
import { evaluationModel, type ModelOptions, trainingModel } from './models.js'
import { type OptimizerOptions, optimizerModel } from './optimizer.js'

/** The files that ONNX Runtime's training API trains with. */
export const artifactFiles = ['training_model.onnx', 'eval_model.onnx', 'optimizer_model.onnx', 'checkpoint'] as const
/** One of {@link artifactFiles}. */
export type ArtifactFile = (typeof artifactFiles)[number]

/** What {@link trainingArtifacts} writes, beside the network. */
export interface ArtifactOptions extends ModelOptions, OptimizerOptions {
  /** Draws the weights: the same seed, the same bytes. */
  readonly seed: number
  /** Writes the operators of training; `portable` unless given. */
  readonly target?: Target
  /** What the files say of where the network came from; any JSON. */
  readonly architecture?: unknown
}

/**
 * The files of a network for ONNX Runtime's training API, by their names.
 * @param network an inference graph: the first axis of its inputs is the batch, it has the outputs that the loss needs
 * @throws GraphError when the network cannot be trained
 */
export function trainingArtifacts(
  network: Graph,
  options: ArtifactOptions,
): Readonly<Record<ArtifactFile, Uint8Array>> {
  const { seed, target = portable, architecture, loss = crossEntropy() } = options
  const training = trainingModel(network, target, options)
  const first = initialize([network], seed)
  const values = (trainable: boolean): ReadonlyMap<string, Tensor> => {
    const names = network.parameters.filter(({ origin }) => origin.trainable === trainable)
    return new Map(names.map(({ origin: { name } }) => [name, first.get(name)!]))
  }
  const about = architecture === undefined ? {} : { [keys.architecture]: JSON.stringify(architecture) }
  const { survival } = training
  const gates = survival.length > 0 ? { [keys.gates]: JSON.stringify({ name: 'gates', survival }) } : {}
  const { signature } = trainingStep(network, { loss })
  const encode = (graph: Graph, metadata: Readonly<Record<string, string>>, docs: Docs) =>
    encodeModel(writeModel({ graph, weights: new Map(), metadata, docs }))
  return {
    'training_model.onnx': encode(training.graph, { ...about, ...gates }, trainingModelDocs(network.name, signature)),
    'eval_model.onnx': encode(
      evaluationModel(network, target, loss),
      about,
      evaluationModelDocs(network.name, signature),
    ),
    'optimizer_model.onnx': encodeModel(optimizerModel(options)),
    checkpoint: encodeCheckpoint({
      trained: values(true),
      frozen: values(false),
    }),
  }
}

// From an inference graph to a model file that trains, or to one of its parts.

import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import type { Tensor } from '../graph/tensor.js'
import { input, nameOf, type Parameter, type Value } from '../graph/value.js'
import type { ExpandNode } from '../onnx/functions.js'
import { encodeModel } from '../onnx/tensors.js'
import { writeModel } from '../onnx/write.js'
import { levels, type PortableLevel } from '../targets/portable/basic.js'
import { portable } from '../targets/portable/index.js'
import { expandNode, expandPrimitives, expandStandard } from '../targets/target.js'
import { initializationGraph, initialize } from '../training/initialize.js'
import { trainingStep } from '../training/step.js'
import { fileDocs, initializationDocs, networkDocs, stepDocs } from './docs.js'
import { FUNCTION_GATES, keys, type StepNames } from './metadata.js'
import type { Recipe } from './recipe.js'

export const parts = ['all', 'train', 'init', 'infer'] as const
/** `all`: the whole file. `train`, `init`, `infer`: the training step, the initialization or the network, plain models. */
export type Part = (typeof parts)[number]

export interface ExportOptions {
  readonly recipe: Recipe
  /** Draws the weights: the same seed, the same bytes. */
  readonly seed: number
  readonly part?: Part
  /** Write function bodies in place, for runtimes without local functions. */
  readonly inline?: boolean
  /** Which operators bodies and step are written in (`standard` unless given). */
  readonly level?: PortableLevel | undefined
  /** Compute normalised activations again in the backward pass instead of keeping them (true unless given). */
  readonly recompute?: boolean
  /** The version of ONNX's operators, 13 to 21; 18 unless given. */
  readonly opset?: number | undefined
  /** What the file says of where the network came from; any JSON. */
  readonly architecture?: unknown
}

/** The names that our training steps have, and the survival probabilities of their gates. */
export const stepNames = (images: string, survival: readonly number[]): StepNames => ({
  images,
  labels: 'labels',
  learningRate: 'learning_rate',
  loss: 'loss',
  correct: 'correct',
  ...(survival.length > 0 ? { gates: { name: 'gates', survival: [...survival] } } : {}),
})

/** The graph with these parameters as inputs, after its own, whether it uses them or not. */
export function parametersAsInputs(source: Graph, parameters: readonly Parameter[]): Graph {
  const leaves = new Map<Value, Value>(
    parameters.map((value) => [value, input(value.origin.name, value.dtype, value.shape)]),
  )
  return rewrite(source, () => undefined, { leaves, inputs: [...leaves.values()] })
}

/**
 * Writes any graph as a plain ONNX model, primitives in place.
 * @param weights values of the graph's parameters, by name
 * @param opset the version of ONNX's operators, 13 to 21; 18 unless given
 */
export const exportGraph = (
  source: Graph,
  weights: ReadonlyMap<string, Tensor> = new Map(),
  opset?: number,
): Uint8Array => encodeModel(writeModel({ graph: expandPrimitives(source, portable), weights, opset }))

/**
 * Writes a network as an ONNX file.
 * @param network an inference graph: one input of images uint8 [batch, channels, height, width], an output `logits`
 *   float32 [batch, classes]
 * @throws GraphError when the network cannot be trained; UserError for an opset that is not written
 */
export function exportModel(network: Graph, options: ExportOptions): Uint8Array {
  const { recipe, seed, part = 'all', inline = false, level = 'standard', recompute = true, opset } = options
  const target = levels[level]
  const metadata = {
    ...(options.architecture === undefined ? {} : { [keys.architecture]: JSON.stringify(options.architecture) }),
    [keys.recipe]: JSON.stringify(recipe),
  }
  // A network that predicts is plain as it is: its batch norms have constant vectors.
  const plain = expandPrimitives(network, portable)
  const defaults = [FUNCTION_GATES]
  const encode = (...[model, ...rest]: Parameters<typeof writeModel>) =>
    encodeModel(writeModel({ ...model, defaults, opset }, ...rest))
  const [first] = network.inputs
  const images = first ? nameOf(first) : ''
  if (part === 'infer') {
    const docs = networkDocs(network.name, images)
    return encode({ graph: plain, weights: initialize([plain], seed), metadata, docs })
  }

  const step = trainingStep(network, recipe, { recompute })
  const names = stepNames(images, step.survival)
  const written = (inline ? expandPrimitives : expandStandard)(step.graph, target)
  const bodies: ExpandNode | undefined = inline ? undefined : (node, inputs) => expandNode(target, node, inputs)
  const described = { ...metadata, [keys.step]: JSON.stringify(names) }
  const swapped = (map: ReadonlyMap<string, string>) =>
    JSON.stringify(Object.fromEntries([...map].map(([a, b]) => [b, a])))
  if (part === 'train') {
    const open = { graph: parametersAsInputs(written, step.graph.parameters), weights: new Map<string, Tensor>() }
    const docs = stepDocs(network.name, names)
    return encode({ ...open, metadata: { ...described, [keys.carried]: swapped(step.updates) }, docs }, bodies)
  }
  const { graph: initialization, initial } = initializationGraph(network.name, [network, step.graph], seed)
  if (part === 'init') {
    return encode({
      graph: expandStandard(initialization, target),
      weights: new Map(),
      metadata: { ...metadata, [keys.initial]: swapped(initial) },
      docs: initializationDocs(network.name),
    })
  }
  const weights = initialize([network, step.graph], seed)
  const training = { step: written, initialization, updates: step.updates, initial }
  const docs = fileDocs(network.name, names)
  return encode({ graph: plain, weights, training, metadata: described, docs }, bodies)
}

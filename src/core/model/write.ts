// From an inference graph to a model file that trains, or to one of its parts.

import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { type Tensor, tensor } from '../graph/tensor.js'
import { input, type Parameter, type Value } from '../graph/value.js'
import type { ExpandNode } from '../onnx/functions.js'
import { decodeModel, encodeModel, tensorToProto } from '../onnx/tensors.js'
import { writeModel } from '../onnx/write.js'
import { sgd } from '../optimizers/sgd.js'
import type { PortableLevel } from '../targets/portable/basic.js'
import { portable } from '../targets/portable/index.js'
import { targetAt } from '../targets/portable/opset.js'
import { expandBody, expandPrimitives, expandStandard } from '../targets/target.js'
import { initializationGraph, initialize } from '../training/initialize.js'
import type { StepSignature } from '../training/signature.js'
import { type StepOptions, trainingStep } from '../training/step.js'
import { fileDocs, initializationDocs, networkDocs, stepDocs } from './docs.js'
import { FUNCTION_GATES, keys, signatureMetadata, stepMetadata, toBase64 } from './metadata.js'
import type { Recipe } from './recipe.js'

export const parts = ['all', 'train', 'init', 'infer'] as const
/** `all`: the whole file. `train`, `init`, `infer`: the training step, the initialization or the network, plain models. */
export type Part = (typeof parts)[number]

/** What {@link exportModel} writes beside the network: the step, the recipe, the first weights, and in which operators. */
export interface ExportOptions extends StepOptions {
  /** How to train it. Without an optimizer, its momentum, weight decay and Nesterov are those of SGD. */
  readonly recipe: Recipe
  /** Draws the weights: the same seed, the same bytes. */
  readonly seed: number
  /** Values of parameters that are there already, by name: those of a network that was read from a file. */
  readonly weights?: ReadonlyMap<string, Tensor> | undefined
  readonly part?: Part
  /** Write function bodies in place, for runtimes without local functions. */
  readonly inline?: boolean
  /** Which operators bodies and step are written in (`standard` unless given). */
  readonly level?: PortableLevel | undefined
  /** The version of ONNX's operators, 13 to 21; 18 unless given. */
  readonly opset?: number | undefined
  /** What the file says that the classes are called, in the order of their labels. */
  readonly classes?: readonly string[] | undefined
  /** What a file that the network came from says of itself, which is kept. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** What the file says of where the network came from; any JSON. */
  readonly architecture?: unknown
}

/** The graph with these parameters as inputs, after its own, whether it uses them or not. */
export function parametersAsInputs(source: Graph, parameters: readonly Parameter[]): Graph {
  const leaves = new Map<Value, Value>(
    parameters.map((value) => [value, input(value.origin.name, value.dtype, value.shape)]),
  )
  return rewrite(source, () => undefined, { leaves, inputs: [...leaves.values()] })
}

/**
 * Writes any graph as a plain ONNX model, primitives in place.
 * @param weights values of the graph's parameters, by name; those of a file carry theirs
 * @param opset the version of ONNX's operators, 13 to 21; 18 unless given
 * @param options names of parameters that can be fed as well (`overridable`), and what the file says of itself (`metadata`)
 * @throws UserError for an opset that is not written
 */
export const exportGraph = (
  source: Graph,
  weights: ReadonlyMap<string, Tensor> = new Map(),
  opset?: number,
  options: { readonly overridable?: readonly string[]; readonly metadata?: Readonly<Record<string, string>> } = {},
): Uint8Array => encodeModel(writeModel({ graph: expandPrimitives(source, portable), weights, opset, ...options }))

/** What an optimizer's hyperparameters are unless something else is fed, as tensors. */
export const defaultsOf = ({ hyperparameters }: StepSignature): ReadonlyMap<string, Tensor> =>
  new Map(
    Object.entries(hyperparameters).flatMap(([name, value]) =>
      value === null ? [] : [[name, tensor('float32', [], [value])]],
    ),
  )

/**
 * A step that was written for one runtime, with what its hyperparameters are unless something else is fed. Not for the driver,
 * which feeds all of them: onnxruntime-web 1.19 refuses a value for an input that has one.
 */
export function withDefaults(file: Uint8Array, signature: StepSignature): Uint8Array {
  const model = decodeModel(file)
  const { graph } = model
  // A target that takes many steps at once is fed one value for each.
  const isScalar = (name: string) =>
    graph?.input?.some((info) => info.name === name && info.type?.tensorType?.shape?.dim?.length === 0)
  const defaults = [...defaultsOf(signature)].filter(([name]) => isScalar(name))
  const initializer = [...(graph?.initializer ?? []), ...defaults.map(([name, value]) => tensorToProto(name, value))]
  return encodeModel({ ...model, graph: { ...graph, initializer } })
}

/**
 * Writes a network as an ONNX file.
 * @param network an inference graph: the first axis of its inputs is the batch, it has the outputs that the loss needs
 * @throws GraphError when the network cannot be trained; UserError for an opset that is not written
 */
export function exportModel(network: Graph, options: ExportOptions): Uint8Array {
  const { recipe, seed, part = 'all', inline = false, level = 'standard', opset } = options
  const target = targetAt(level, opset)
  const { momentum = 0, weightDecay = 0, nesterov = false } = recipe
  const optimizer = options.optimizer ?? sgd({ momentum, weightDecay, nesterov })
  const step = trainingStep(network, { ...options, optimizer })
  const { signature } = step
  const metadata = {
    ...options.metadata,
    ...(options.architecture === undefined ? {} : { [keys.architecture]: JSON.stringify(options.architecture) }),
    ...(options.classes === undefined ? {} : { [keys.classes]: JSON.stringify(options.classes) }),
    [keys.recipe]: JSON.stringify(recipe),
  }
  const scored = {
    ...signatureMetadata(signature),
    [keys.loss]: JSON.stringify(toBase64(exportGraph(step.scoring, new Map(), opset))),
  }
  // A network that predicts is plain as it is: its batch norms have constant vectors.
  const plain = expandPrimitives(network, portable)
  const encode = (...[model, ...rest]: Parameters<typeof writeModel>) =>
    encodeModel(writeModel({ ...model, overridable: [FUNCTION_GATES], opset }, ...rest))
  const values = (...graphs: Graph[]) => initialize(graphs, seed, options.weights)
  if (part === 'infer') {
    const docs = networkDocs(network.name, signature)
    return encode({ graph: plain, weights: values(plain), metadata: { ...metadata, ...scored }, docs })
  }

  const written = (inline ? expandPrimitives : expandStandard)(step.graph, target)
  const bodies: ExpandNode | undefined = inline ? undefined : (node, inputs) => expandBody(target, node, inputs)
  const defaults = defaultsOf(signature)
  if (part === 'train') {
    const open = { graph: parametersAsInputs(written, step.graph.parameters), weights: new Map<string, Tensor>() }
    const docs = stepDocs(network.name, signature)
    return encode({ ...open, metadata: { ...metadata, ...stepMetadata(signature) }, defaults, docs }, bodies)
  }
  // By itself it has to give every weight; in the file, those that a file gave are kept.
  const isAlone = part === 'init'
  const { graph: initialization, initial } = initializationGraph(network.name, [network, step.graph], seed, isAlone)
  if (isAlone) {
    const swapped = Object.fromEntries([...initial].map(([name, output]) => [output, name]))
    return encode({
      graph: expandStandard(initialization, target),
      weights: values(initialization),
      metadata: { ...metadata, [keys.initial]: JSON.stringify(swapped) },
      docs: initializationDocs(network.name),
    })
  }
  const updates = new Map(Object.entries(signature.updates).map(([output, name]) => [name, output]))
  const training = { step: written, initialization, updates, initial }
  const docs = fileDocs(network.name, signature)
  const weights = values(network, step.graph)
  return encode({ graph: plain, weights, training, metadata: { ...metadata, ...scored }, defaults, docs }, bodies)
}

// From the bytes of a model file to what the driver trains with.

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type onnxProto from 'onnx-proto'
import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { type Dim, isKnown } from '../graph/shape.js'
import { specialize } from '../graph/specialize.js'
import type { Tensor, Tensors } from '../graph/tensor.js'
import { formatType, nameOf, type Parameter, type Value } from '../graph/value.js'
import { domainOf } from '../onnx/opsets.js'
import { decodeModel, encodeModel, tensorToProto, withConstants } from '../onnx/tensors.js'
import { readTrainingModel } from '../onnx/trainingInfo.js'
import { writeModel } from '../onnx/write.js'
import { multiplyAdds } from './cost.js'
import { seededInitialization } from './initialization.js'
import { keys, readMetadata, type StepNames } from './metadata.js'
import { paperRecipe } from './recipe.js'
import type { EncodeOptions, StepSignature, TrainableModel } from './trainable.js'
import { parametersAsInputs, stepNames } from './write.js'

type ModelProto = onnxProto.onnx.IModelProto
type GraphProto = onnxProto.onnx.IGraphProto

/** Finds a role's input or output, and checks its type. */
function requireRole(
  found: Value | undefined,
  role: string,
  name: string,
  fits: (value: Value) => boolean,
  expected: string,
): Value {
  if (!found) throw new UserError(`the training step has no ${role} '${name}' (${expected})`)
  if (!fits(found))
    throw new UserError(`the training step's ${role} '${name}' is ${formatType(found)}; expected ${expected}`)
  return found
}

/** Where the step takes images and labels and gives its loss: by the file's metadata, or by the usual names. */
function signatureOf(step: Graph, inference: Graph, named: StepNames | undefined): StepSignature {
  const usual = inference.inputs.find(({ dtype, shape }) => dtype === 'uint8' && shape.length === 4)
  const names = named ?? stepNames(usual ? nameOf(usual) : 'images', [])
  const inputs = new Map(step.inputs.map((value) => [nameOf(value), value]))
  const scalar = ({ dtype, shape }: Value) => dtype === 'float32' && shape.length === 0
  const images = requireRole(
    inputs.get(names.images),
    'input',
    names.images,
    ({ dtype, shape }) => dtype === 'uint8' && shape.length === 4 && shape.slice(1).every(isKnown),
    'uint8 [batch, channels, height, width] with known sizes',
  )
  requireRole(
    inputs.get(names.labels),
    'input',
    names.labels,
    ({ dtype, shape }) => dtype === 'int64' && shape.length === 1,
    'int64 [batch]',
  )
  requireRole(inputs.get(names.learningRate), 'input', names.learningRate, scalar, 'float32 []')
  requireRole(step.outputs.get(names.loss), 'output', names.loss, scalar, 'float32 []')
  requireRole(
    step.outputs.get(names.correct),
    'output',
    names.correct,
    ({ dtype, shape }) => dtype === 'int64' && shape.length === 0,
    'int64 []',
  )
  if (names.gates) {
    const { name, survival } = names.gates
    const fits = ({ dtype, shape }: Value) => dtype === 'float32' && shape.length === 1 && shape[0] === survival.length
    requireRole(inputs.get(name), 'input', name, fits, `float32 [${survival.length}]`)
  }
  const used = new Set([names.images, names.labels, names.learningRate, names.gates?.name])
  const unknown = [...inputs.keys()].find((name) => !used.has(name))
  if (unknown !== undefined)
    throw new UserError(
      `the training step has an input '${unknown}' that nothing feeds; name its role in the metadata '${keys.step}'`,
    )
  const logits = inference.outputs.get('logits')
  const classes: Dim | undefined = logits?.shape.length === 2 ? logits.shape[1] : undefined
  if (classes === undefined || !isKnown(classes))
    throw new UserError("the model has no output 'logits' [batch, classes] with a known number of classes")
  const { gates, ...rest } = names
  const [, channels, height, width] = images.shape as readonly [Dim, number, number, number]
  return { ...rest, ...(gates ? { gates } : {}), imageShape: [channels, height, width], classes }
}

/** A copy of the graph with other values in some of its initializers. */
function withInitializers(graph: GraphProto | null | undefined, state: Tensors): GraphProto {
  const initializer = (graph?.initializer ?? []).map((proto) => {
    const name = proto.name ?? ''
    const value = Object.hasOwn(state, name) ? state[name] : undefined
    return value ? tensorToProto(name, value) : proto
  })
  return { ...graph, initializer }
}

/** All functions that the nodes call, and those that these call in turn. */
function calledFunctions({ graph, functions }: ModelProto): NonNullable<ModelProto['functions']> {
  const waiting = [...(graph?.node ?? [])]
  const called = new Set<NonNullable<ModelProto['functions']>[number]>()
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    const { domain, opType } = node
    const body = functions?.find((proto) => proto.name === opType && domainOf(proto.domain) === domainOf(domain))
    if (!body || called.has(body)) continue
    called.add(body)
    waiting.push(...(body.node ?? []))
  }
  return (functions ?? []).filter((proto) => called.has(proto))
}

function withState(model: ModelProto, state: Tensors): ModelProto {
  const trainingInfo = (model.trainingInfo ?? []).map((info) => ({
    ...info,
    algorithm: withInitializers(info.algorithm, state),
  }))
  return { ...model, graph: withInitializers(model.graph, state), trainingInfo }
}

/** The inference graph alone; what only training needs (its functions and bindings) stays behind. */
function inferenceModel(model: ModelProto, state: Tensors): ModelProto {
  const graph = withInitializers(model.graph, state)
  return { ...model, graph, trainingInfo: [], functions: calledFunctions(model) }
}

/** SHA-256 of the file without the numbers that training changes, how they were drawn, and which version of us wrote it. */
function fingerprintOf(model: ModelProto, state: Tensors): string {
  const blank = Object.fromEntries(
    Object.entries(state).map(([name, value]) => [name, { ...value, data: value.data.subarray(0, 0) } as Tensor]),
  )
  const bare = withState(model, blank)
  const trainingInfo = (bare.trainingInfo ?? []).map((info) => ({ ...info, initialization: null }))
  return bytesToHex(sha256(encodeModel({ ...bare, trainingInfo, producerVersion: null })))
}

function checkState(current: Tensors, given: Tensors): void {
  for (const [name, { dtype, shape }] of Object.entries(current)) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined
    if (!value) throw new UserError(`no value is given for '${name}'`)
    if (value.dtype !== dtype || value.shape.join() !== shape.join()) {
      throw new UserError(`'${name}' should be ${dtype}[${shape}], got ${value.dtype}[${value.shape}]`)
    }
  }
}

/** File names and names in files may hold anything: a message is one line of printable text, and not endless. */
const printable = (text: string): string => {
  const line = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
  return line.length > 1000 ? `${line.slice(0, 1000)} …` : line
}

/** Runs `read`; what it refuses names the file. */
export function naming<T>(source: string | undefined, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(printable(source === undefined ? error.message : `${source}: ${error.message}`))
  }
}

/**
 * Reads and validates an ONNX file with training information.
 * @param source the file's name, for messages
 * @throws UserError in one line: not ONNX, training information missing or broken, a type that does not fit
 */
export function readTrainableModel(bytes: Uint8Array, source?: string): TrainableModel {
  return naming(source, () => {
    const proto = decodeModel(bytes)
    const properties = proto.metadataProps
    const model = readTrainingModel(proto)
    const signature = signatureOf(model.step, model.inference, readMetadata(properties, keys.step))
    const carried = Object.fromEntries([...model.updates].map(([name, output]) => [output, name]))
    const state: Tensors = Object.fromEntries(
      model.state.map(({ origin: { name } }) => [name, model.weights.get(name)!]),
    )
    const isState = ({ origin: { name } }: Parameter) => Object.hasOwn(state, name)
    const symbol = model.step.inputs.find((value) => nameOf(value) === signature.images)!.shape[0]!
    // Before a target makes ten nodes of each: later this pass would cost as much as the lowering.
    const open = parametersAsInputs(model.step, model.state)
    const stepGraph = (batch?: number): Graph => {
      if (batch === undefined || batch === symbol) return open
      if (isKnown(symbol)) throw new UserError(`the training step takes ${symbol} images at a time, not ${batch}`)
      return specialize(open, { [symbol]: batch })
    }
    const { imageShape: _, classes: __, ...names } = signature
    // Only the driver and its runtime read it: types of inner values would be a third of the bytes.
    const encode = (graph: Graph, options: EncodeOptions = {}): Uint8Array => {
      const metadata = {
        [keys.step]: JSON.stringify(names),
        [keys.carried]: JSON.stringify(options.carried ?? carried),
      }
      const proto = writeModel({ graph, weights: model.weights, metadata, innerTypes: false })
      return encodeModel(withConstants(proto, options.constants ?? {}))
    }
    return {
      graph: stepGraph,
      network: () => parametersAsInputs(model.inference, model.inference.parameters.filter(isState)),
      encode,
      step: (target, batch) => encode(target.lower(stepGraph(batch))),
      carried,
      state,
      signature,
      recipe: readMetadata(properties, keys.recipe) ?? paperRecipe,
      withState(given) {
        checkState(state, given)
        return encodeModel(withState(proto, given))
      },
      inference(given) {
        checkState(state, given)
        return encodeModel(inferenceModel(proto, given))
      },
      initialization: (seed) =>
        naming(source, () => {
          const { graph, initial } = seededInitialization(model, seed)
          return { model: encodeModel(writeModel({ graph, weights: new Map() })), initial }
        }),
      ...(isKnown(symbol) ? { fixedBatch: symbol } : {}),
      multiplyAdds: multiplyAdds(model.inference),
      fingerprint: fingerprintOf(proto, state),
    }
  })
}

// From the bytes of a model file to what the driver trains with.

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { naming, UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isKnown, sameShape } from '../graph/shape.js'
import { specialize } from '../graph/specialize.js'
import type { Tensor, Tensors } from '../graph/tensor.js'
import { formatType, nameOf, type Parameter, type Value } from '../graph/value.js'
import { functionKey } from '../onnx/opsets.js'
import type { FunctionProto, GraphProto, ModelProto } from '../onnx/schema.js'
import type { TensorInfo } from '../onnx/signature.js'
import { inferenceBytes, withStateBytes } from '../onnx/stateBytes.js'
import { decodeModel, encodeModel, tensorToProto, withConstants } from '../onnx/tensors.js'
import { type ReadTrainingModel, readTrainingModel } from '../onnx/trainingInfo.js'
import { writeModel } from '../onnx/write.js'
import { SEEDS } from '../ops/dropout.js'
import { portable } from '../targets/portable/index.js'
import { expandPrimitives } from '../targets/target.js'
import type { Roles, StepSignature } from '../training/signature.js'
import { multiplyAdds } from './cost.js'
import { seededInitialization } from './initialization.js'
import { fromBase64, isForeign, keys, readMetadata, stepMetadata } from './metadata.js'
import { paperRecipe, type Recipe } from './recipe.js'
import { type FoundRoles, findRoles } from './roles.js'
import type { EncodeOptions, TrainableModel } from './trainable.js'
import * as version1 from './version1.js'
import { exportGraph, parametersAsInputs } from './write.js'

/** @throws UserError where the step lacks an input or output of the signature, or has it in another type */
function requireRole(found: Value | undefined, role: string, { name, ...type }: TensorInfo): void {
  const expected = formatType(type)
  if (!found) throw new UserError(`the training step has no ${role} '${name}' (${expected})`)
  const fits = found.dtype === type.dtype && sameShape(found.shape, type.shape)
  if (!fits) throw new UserError(`the training step's ${role} '${name}' is ${formatType(found)}; expected ${expected}`)
}

const scalar = (name: string, dtype: TensorInfo['dtype'] = 'float32'): TensorInfo => ({ name, dtype, shape: [] })

/** Checks that a step is what its signature says, and that everything that it takes has a role. */
function checkSignature(step: Graph, roles: Roles): void {
  const inputs = new Map(step.inputs.map((value) => [nameOf(value), value]))
  const { gates, seeds, stepCount } = roles
  const fed: TensorInfo[] = [
    ...roles.inputs,
    ...roles.targets,
    ...Object.keys(roles.hyperparameters).map((name) => scalar(name)),
    ...(gates ? [{ name: gates.name, dtype: 'float32', shape: [gates.survival.length] } as const] : []),
    ...(stepCount === undefined ? [] : [scalar(stepCount, 'int64')]),
    ...(seeds === undefined ? [] : [{ name: seeds, dtype: 'float32', shape: [SEEDS] } as const]),
  ]
  for (const info of fed) requireRole(inputs.get(info.name), 'input', info)
  requireRole(step.outputs.get(roles.loss), 'output', scalar(roles.loss))
  for (const { output, kind } of roles.metrics)
    requireRole(step.outputs.get(output), 'output', scalar(output, kind === 'right' ? 'int64' : 'float32'))
  const used = new Set(fed.map(({ name }) => name))
  const unknown = [...inputs.keys()].find((name) => !used.has(name))
  if (unknown !== undefined)
    throw new UserError(
      `the training step has an input '${unknown}' that nothing feeds; name its role in the metadata '${keys.signature}'`,
    )
  const batches = new Set([...roles.inputs, ...roles.targets].map(({ shape: [first] }) => first))
  if (batches.size > 1 || batches.has(undefined))
    throw new UserError(
      `the inputs and targets of the training step begin with ${[...batches].map((dim) => dim ?? 'no axis').join(' and ')}; expected one batch`,
    )
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
function calledFunctions({ graph, functions }: ModelProto): ReadonlySet<FunctionProto> {
  const byKey = new Map(
    (functions ?? []).map((proto) => [functionKey(proto.domain, proto.name, proto.overload), proto]),
  )
  const waiting = [...(graph?.node ?? [])]
  const called = new Set<FunctionProto>()
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    for (const { g } of node.attribute ?? []) waiting.push(...(g?.node ?? []))
    const body = byKey.get(functionKey(node.domain, node.opType, node.overload))
    if (!body || called.has(body)) continue
    called.add(body)
    waiting.push(...(body.node ?? []))
  }
  return called
}

function withState(model: ModelProto, state: Tensors): ModelProto {
  const trainingInfo = (model.trainingInfo ?? []).map((info) => ({
    ...info,
    algorithm: withInitializers(info.algorithm, state),
  }))
  return { ...model, graph: withInitializers(model.graph, state), trainingInfo }
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

/**
 * The loss of a step whose batch size is fixed, for any: the last batch of a set that is evaluated may be smaller. Read anew, because
 * what is computed from the size is a constant by now. Where the file is right for its own size alone, its loss stays so.
 */
function openScoring(proto: ModelProto, { roles }: FoundRoles): Partial<Pick<FoundRoles, 'scoring' | 'network'>> {
  const size = roles.inputs[0]!.shape[0]!
  if (!isKnown(size)) return {}
  const open = (graph: GraphProto | null | undefined): GraphProto => ({
    ...graph,
    input: (graph?.input ?? []).map((info) => {
      const [first, ...rest] = info.type?.tensorType?.shape?.dim ?? []
      if (Number(first?.dimValue) !== size) return info
      const tensorType = { ...info.type?.tensorType, shape: { dim: [{ dimParam: 'batch' }, ...rest] } }
      return { ...info, type: { ...info.type, tensorType } }
    }),
  })
  const trainingInfo = (proto.trainingInfo ?? []).map((info) => ({ ...info, algorithm: open(info.algorithm) }))
  try {
    const read = readTrainingModel({ ...proto, graph: open(proto.graph), trainingInfo })
    const { scoring, network } = findRoles(read)
    return network === read.inference ? { scoring } : { scoring, network }
  } catch (error) {
    if (error instanceof UserError) return {}
    throw error
  }
}

/** A step with its roles, as its file says them or as they are found. */
interface WithRoles extends ReadTrainingModel {
  readonly roles: Roles
  readonly recipe: Recipe
  /** The loss by itself; undefined where only the file can say it. */
  readonly scoring: Graph | undefined
  /** What predicts in evaluation. */
  readonly network: Graph
  readonly rateAt?: FoundRoles['rateAt']
}

function withRoles(
  proto: ModelProto,
  read: ReadTrainingModel,
  said: Roles | undefined,
  named: version1.StepNames | undefined,
): WithRoles {
  const usual = { recipe: paperRecipe, network: read.inference }
  if (said) return { ...read, ...usual, roles: said, scoring: undefined }
  const model = { ...read, step: version1.today(read.step) }
  if (!named) {
    const found = findRoles(model)
    return { ...model, ...found, ...openScoring(proto, found) }
  }
  const roles = version1.rolesByNames(model, named)
  return { ...model, ...usual, roles, scoring: version1.scoring(model.inference, roles) }
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
    const said = readMetadata(properties, keys.signature)
    const defaults = new Set(Object.keys(said?.hyperparameters ?? {}))
    const read = readTrainingModel(proto, { defaults, operators: version1.operators })
    const scoring = readMetadata(properties, keys.loss)
    const { roles, recipe, ...model } = withRoles(proto, read, said, readMetadata(properties, keys.step))
    checkSignature(model.step, roles)
    const updates = Object.fromEntries([...model.updates].map(([name, output]) => [output, name]))
    const signature: StepSignature = { ...roles, updates }
    const state: Tensors = Object.fromEntries(
      model.state.map(({ origin: { name } }) => [name, model.weights.get(name)!]),
    )
    const isState = ({ origin: { name } }: Parameter) => Object.hasOwn(state, name)
    const symbol = roles.inputs[0]!.shape[0]!
    // Before a target makes ten nodes of each: later this pass would cost as much as the lowering.
    const open = parametersAsInputs(model.step, model.state)
    const stepGraph = (batch?: number): Graph => {
      if (batch === undefined || batch === symbol) return open
      if (isKnown(symbol)) throw new UserError(`the training step takes ${symbol} examples at a time, not ${batch}`)
      return specialize(open, { [symbol]: batch })
    }
    // Only the driver and its runtime read it: types of inner values would be a third of the bytes.
    const encode = (graph: Graph, options: EncodeOptions = {}): Uint8Array => {
      const metadata = stepMetadata(options.signature ?? signature)
      const proto = writeModel({ graph, weights: model.weights, metadata, innerTypes: false })
      return encodeModel(withConstants(proto, options.constants ?? {}))
    }
    return {
      graph: stepGraph,
      network: () => parametersAsInputs(model.network, model.network.parameters.filter(isState)),
      encode,
      step: (target, batch) => encode(target.lower(stepGraph(batch))),
      state,
      signature,
      scoring: scoring === undefined ? model.scoring && exportGraph(model.scoring) : fromBase64(scoring),
      classes: readMetadata(properties, keys.classes),
      foreign: isForeign(properties),
      recipe: readMetadata(properties, keys.recipe) ?? recipe,
      withState(given) {
        checkState(state, given)
        return withStateBytes(bytes, given)
      },
      inference(given) {
        checkState(state, given)
        if (model.network !== model.inference)
          return encodeModel(
            writeModel({
              graph: expandPrimitives(model.network, portable),
              weights: new Map([...model.weights, ...Object.entries(given)]),
            }),
          )
        const called = calledFunctions(proto)
        return inferenceBytes(bytes, given, (index) => called.has(proto.functions[index]!))
      },
      initialization: (seed) =>
        naming(source, () => {
          const { graph, initial } = seededInitialization(model, seed)
          return { model: encodeModel(writeModel({ graph, weights: new Map() })), initial }
        }),
      ...(model.rateAt ? { rateAt: model.rateAt } : {}),
      ...(isKnown(symbol) ? { fixedBatch: symbol } : {}),
      multiplyAdds: multiplyAdds(model.inference),
      fingerprint: fingerprintOf(proto, state),
    }
  })
}

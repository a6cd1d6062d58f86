// Graph → GraphProto, FunctionProto and ModelProto.

import type onnxProto from 'onnx-proto'
import { type Graph, graph } from '../graph/graph.js'
import { type Body, isBody, TRAINING_DOMAIN } from '../graph/operator.js'
import type { Tensor } from '../graph/tensor.js'
import { isParameter, type Node, rootScope, type Value } from '../graph/value.js'
import { identity } from '../ops/elementwise.js'
import { type ExpandNode, FunctionTable } from './functions.js'
import { Namer } from './names.js'
import { irVersion, OPSET, requireWritable } from './opsets.js'
import {
  AttributeType,
  attributeProto,
  type GraphProto,
  type NodeProto,
  opsetImport,
  unusualAttributes,
  valueInfo,
} from './protos.js'
import { tensorToProto } from './tensors.js'
import { atVersion, toVersion } from './versions.js'

/** A GraphProto whose lists are there to be filled. */
type OpenGraph = GraphProto & {
  [K in 'input' | 'output' | 'initializer' | 'node' | 'valueInfo']: NonNullable<GraphProto[K]>
}

const bodiesOf = ({ attributes }: Node): Body[] => Object.values(attributes).filter(isBody)

/** Every value that a node uses or a graph gives, in graphs and the bodies inside them. */
const usedIn = ({ nodes, outputs }: Graph): (Value | undefined)[] => [
  ...nodes.flatMap((node) => [...node.inputs, ...bodiesOf(node).flatMap((body) => usedIn(body.graph))]),
  ...outputs.values(),
]

/**
 * Writes graphs that share values and names: what one has written, the next refers to. That is how a training algorithm
 * stands beside its inference graph in one file.
 */
interface WriterOptions {
  /** Of ONNX's operators. */
  readonly version: number
  readonly weights?: ReadonlyMap<string, Tensor>
  readonly functions?: FunctionTable | undefined
  /** Names that no node may take. */
  readonly reserved?: Iterable<string>
  readonly innerTypes?: boolean
}

class GraphWriter {
  private readonly namer = new Namer()
  private readonly names = new Map<Value, string>()
  private constants = new Map<string, string>()
  private readonly used: ReadonlySet<Value | undefined>

  constructor(
    graphs: readonly Graph[],
    private readonly options: WriterOptions,
  ) {
    this.used = new Set(graphs.flatMap(usedIn))
    // Names that mean something outside come first, so that no node takes one.
    for (const name of options.reserved ?? []) this.namer.reserve(name)
    for (const { inputs, parameters, outputs } of graphs) {
      for (const { origin } of [...inputs, ...parameters]) if ('name' in origin) this.namer.reserve(origin.name)
      for (const name of outputs.keys()) this.namer.reserve(name)
    }
  }

  write(source: Graph): GraphProto {
    const proto: OpenGraph = { name: source.name, input: [], output: [], initializer: [], node: [], valueInfo: [] }
    for (const value of [...source.inputs, ...source.parameters]) {
      if (this.names.has(value) || !('name' in value.origin)) continue
      const { name } = value.origin
      this.names.set(value, name)
      if (isParameter(value)) proto.initializer.push(tensorToProto(name, this.weightOf(name)))
      else proto.input.push(valueInfo(name, value))
    }
    this.writeNodes(source, proto)
    return proto
  }

  private writeNodes(source: Graph, proto: OpenGraph): void {
    const outputs = this.distinctOutputs(source)
    const chosen = new Map([...outputs].map(([name, value]) => [value, name]))
    for (const node of graph(source.name, source.inputs, outputs).nodes) {
      if (!this.names.has(node.outputs[0]!)) this.writeNode(node, chosen, proto)
    }
    for (const [name, value] of outputs) proto.output.push(valueInfo(name, value))
  }

  /** A graph inside a node: it sees the names around it, and none of its own is one of theirs. */
  private writeBody({ graph: source, captured }: Body, operands: readonly (Value | undefined)[], around: NodeProto[]) {
    const own = source.inputs.slice(0, source.inputs.length - captured)
    const outer = operands.slice(operands.length - captured)
    source.inputs.slice(own.length).forEach((value, i) => {
      this.names.set(value, this.nameOf(outer[i], around))
    })
    const proto: OpenGraph = { name: source.name, input: [], output: [], initializer: [], node: [], valueInfo: [] }
    for (const value of own) {
      const name = this.namer.unique('name' in value.origin ? value.origin.name : '')
      this.names.set(value, name)
      proto.input.push(valueInfo(name, value))
    }
    const outputs = new Map([...source.outputs].map(([name, value]) => [this.namer.unique(name), value]))
    const constants = this.constants
    this.constants = new Map()
    this.writeNodes({ ...source, outputs }, proto)
    this.constants = constants
    return proto
  }

  weightOf(name: string): Tensor {
    const value = this.options.weights?.get(name)
    if (!value) throw new Error(`no value for the parameter '${name}'`)
    return value
  }

  /** Each output as a node of its own: a leaf, a second name or something already written goes through Identity. */
  private distinctOutputs({ outputs }: Graph): Map<string, Value> {
    const seen = new Set<Value>()
    const distinct = new Map<string, Value>()
    for (const [name, value] of outputs) {
      const own = value.origin.kind === 'node' && !seen.has(value) && !this.names.has(value)
      seen.add(value)
      distinct.set(name, own ? value : rootScope('', () => identity(value)))
    }
    return distinct
  }

  private writeNode(node: Node, outputs: ReadonlyMap<Value, string>, proto: OpenGraph): void {
    const { version, functions, innerTypes = true } = this.options
    const call = node.operator.domain === TRAINING_DOMAIN ? functions?.call(node) : undefined
    const captured = bodiesOf(node).reduce((count, body) => count + body.captured, 0)
    const { inputs, attributes } = toVersion(version, node)
    const input = inputs.slice(0, inputs.length - captured).map((value) => this.nameOf(value, proto.node))
    const writeBody = (body: Body) => this.writeBody(body, node.inputs, proto.node)
    const attribute = [...unusualAttributes(node)].map((entry) => attributeProto(...entry, writeBody))
    const name = this.namer.forNode(node)
    const used = node.outputs.findLastIndex((value) => this.used.has(value)) + 1
    const required = node.operator.requiredOutputs ?? node.outputs.length
    const output = node.outputs.slice(0, Math.max(required, used)).map((value, i) => {
      const chosen = outputs.get(value)
      const valueName = chosen ?? (i === 0 ? name : this.namer.unique(`${name}:${i}`))
      this.names.set(value, valueName)
      if (chosen === undefined && innerTypes) proto.valueInfo.push(valueInfo(valueName, value))
      return valueName
    })
    proto.node.push({
      name,
      opType: call ?? node.operator.name,
      domain: node.operator.domain,
      input,
      output,
      attribute: [...attribute, ...attributes],
    })
  }

  private nameOf(value: Value | undefined, nodes: NodeProto[]): string {
    if (!value) return ''
    const known = this.names.get(value)
    if (known !== undefined) return known
    if (value.origin.kind !== 'constant') throw new Error(`a ${value.origin.kind} is used before it is written`)
    return this.constantName(value.origin.tensor, nodes)
  }

  /** Equal constants are written once, as Constant nodes: functions can hold no initializers, and one way is enough. */
  private constantName(value: Tensor, nodes: NodeProto[]): string {
    // By bytes: as text, −0 would be 0.
    const bytes = Buffer.from(value.data.buffer, value.data.byteOffset, value.data.byteLength).toString('latin1')
    const key = `${value.dtype}[${value.shape}]${bytes}`
    const known = this.constants.get(key)
    if (known !== undefined) return known
    const name = this.namer.unique('constant')
    const t = tensorToProto('', value)
    nodes.push({
      name,
      opType: 'Constant',
      output: [name],
      attribute: [{ name: 'value', type: AttributeType.TENSOR, t }],
    })
    this.constants.set(key, name)
    return name
  }
}

export interface ModelParts {
  readonly graph: Graph
  /** Values of all parameters of all graphs, by name. */
  readonly weights: ReadonlyMap<string, Tensor>
  readonly training?: {
    readonly step: Graph
    readonly initialization: Graph
    /** Parameter name → the step's output that replaces it. */
    readonly updates: ReadonlyMap<string, string>
    /** Parameter name → the initialization's output that is its first value. */
    readonly initial: ReadonlyMap<string, string>
  }
  readonly metadata?: Readonly<Record<string, string>>
  /** Parameters of the graph that are inputs as well, their values the defaults (ONNX since IR version 4). */
  readonly defaults?: readonly string[]
  /** Whether the types of values between nodes are written too (true unless given): for readers, not for runtimes. */
  readonly innerTypes?: boolean
  /** The version of ONNX's operators, 13 to 21; 18 unless given. */
  readonly opset?: number | undefined
}

const entries = (map: ReadonlyMap<string, string>) => [...map].map(([key, value]) => ({ key, value }))

/**
 * A model file. Primitives become calls of local functions whose bodies `expand` writes; without `expand` the graphs
 * must hold none.
 * @throws UserError for a version of ONNX's operators that is not written
 */
export function writeModel(parts: ModelParts, expand?: ExpandNode): onnxProto.onnx.IModelProto {
  const { weights, training, metadata = {}, defaults = [], innerTypes = true } = parts
  const version = requireWritable(parts.opset ?? OPSET)
  const inVersion = atVersion(version)
  const writeAlone = (source: Graph) => {
    const said = inVersion(source)
    return new GraphWriter([said], { version }).write(said)
  }
  const functions = expand && new FunctionTable(version, expand, (body) => writeAlone(body).node ?? [])
  const [network, step] = [inVersion(parts.graph), training && inVersion(training.step)]
  const reserved = training?.updates.keys() ?? []
  const writer = new GraphWriter(step ? [network, step] : [network], {
    version,
    weights,
    functions,
    reserved,
    innerTypes,
  })
  const model: onnxProto.onnx.IModelProto = {
    producerName: 'rdm-onnx',
    graph: writer.write(network),
    metadataProps: entries(new Map(Object.entries(metadata))),
  }
  for (const value of parts.graph.parameters) {
    if (defaults.includes(value.origin.name)) model.graph?.input?.push(valueInfo(value.origin.name, value))
  }
  if (training && step) {
    const algorithm = writer.write(step)
    // State that the step replaces without reading it (a velocity without momentum) is part of the model all the same.
    const written = new Set([model.graph, algorithm].flatMap((proto) => proto?.initializer?.map(({ name }) => name)))
    for (const name of training.updates.keys()) {
      if (!written.has(name)) algorithm.initializer?.push(tensorToProto(name, writer.weightOf(name)))
    }
    const initialization = writeAlone(training.initialization)
    model.trainingInfo = [
      {
        initialization,
        algorithm,
        initializationBinding: entries(training.initial),
        updateBinding: entries(training.updates),
      },
    ]
  }
  model.functions = functions?.protos() ?? []
  model.irVersion = irVersion(version, model.functions.length > 0)
  const written = [model.graph, ...(model.trainingInfo ?? []).map(({ algorithm }) => algorithm)]
  model.opsetImport = opsetImport(
    version,
    written.flatMap((proto) => proto?.node ?? []),
  )
  return model
}

// Graph → GraphProto, FunctionProto and ModelProto.

import { bodiesOf } from '../graph/closure.js'
import { type Graph, graph } from '../graph/graph.js'
import type { Body } from '../graph/operator.js'
import { keyOf, type Numbers, narrow, type Tensor } from '../graph/tensor.js'
import { isParameter, type Node, type Parameter, rootScope, type Value } from '../graph/value.js'
import { identity } from '../ops/elementwise.js'
import { version as ownVersion } from '../version.js'
import { type ExpandNode, FunctionTable, usualDoc } from './functions.js'
import { Namer } from './names.js'
import { irVersion, newestOpset, requireTypes, requireWritable } from './opsets.js'
import { AttributeType, attributeProto, type GraphProto, opsetImport, valueInfo, writtenAttributes } from './protos.js'
import type { Decoded, ModelProto } from './schema.js'
import { tensorToProto } from './tensors.js'
import { atVersion, toVersion } from './versions.js'

/** A GraphProto whose lists are there to be filled. */
type OpenGraph = GraphProto & Pick<Decoded<'GraphProto'>, 'input' | 'output' | 'initializer' | 'node' | 'valueInfo'>

const emptyGraph = (name: string): OpenGraph => ({
  name,
  input: [],
  output: [],
  initializer: [],
  node: [],
  valueInfo: [],
})

/** A graph and the bodies inside its nodes. */
const withBodies = (source: Graph): Graph[] => [
  source,
  ...source.nodes.flatMap((node) => bodiesOf(node).flatMap(([, body]) => withBodies(body.graph))),
]

/** Doc strings: what viewers show beside names and types. */
export interface Docs {
  readonly model?: string
  readonly graph?: string
  /** Of the training step, and of the initialization. */
  readonly step?: string
  readonly initialization?: string
  /** Of an input or an output of a graph, by its name. */
  value?(name: string): string | undefined
  /** Of a node, by its name. */
  node?(name: string): string | undefined
}

interface WriterOptions {
  /** Of ONNX's operators. */
  readonly version: number
  readonly weights?: ReadonlyMap<string, Tensor>
  readonly defaults?: ReadonlyMap<string, Tensor> | undefined
  readonly functions?: FunctionTable | undefined
  /** Names that no node may take. */
  readonly reserved?: Iterable<string>
  readonly innerTypes?: boolean
  readonly docs?: Docs
  /** Writes the body of a function, which holds no initializers. */
  readonly inFunction?: boolean
}

/**
 * Writes graphs that share values and names: what one has written, the next refers to. That is how a training algorithm
 * stands beside its inference graph in one file.
 */
class GraphWriter {
  private readonly namer = new Namer()
  private names = new Map<Value, string>()
  /** Names of constants that were written before, by themselves and by what they hold. */
  private constants = new Map<Tensor | Numbers | string, string>()
  /** Whether a body is being written: of a function, or inside a node. */
  private inBody: boolean
  private readonly used: ReadonlySet<Value | undefined>
  /** The last node of each scope. */
  private readonly last: ReadonlyMap<string, Node>

  constructor(
    graphs: readonly Graph[],
    private readonly options: WriterOptions,
  ) {
    const all = graphs.flatMap(withBodies)
    const nodes = all.flatMap((source) => source.nodes)
    this.used = new Set([
      ...nodes.flatMap((node) => node.inputs),
      ...all.flatMap(({ outputs }) => [...outputs.values()]),
    ])
    this.last = new Map(nodes.map((node) => [node.scope, node]))
    this.inBody = options.inFunction ?? false
    // Names that mean something outside come first, so that no node takes one.
    for (const name of options.reserved ?? []) this.namer.reserve(name)
    for (const { inputs, parameters, outputs } of graphs) {
      for (const { origin } of [...inputs, ...parameters]) if ('name' in origin) this.namer.reserve(origin.name)
      for (const name of outputs.keys()) this.namer.reserve(name)
    }
  }

  write(source: Graph, docString?: string): GraphProto {
    const proto: OpenGraph = { ...emptyGraph(source.name), docString: docString ?? null }
    for (const value of [...source.inputs, ...source.parameters]) {
      if (this.names.has(value) || !('name' in value.origin)) continue
      const { name } = value.origin
      this.names.set(value, name)
      if (isParameter(value)) {
        proto.initializer.push(tensorToProto(name, this.weightOf(name, value)))
        continue
      }
      proto.input.push(valueInfo(name, value, this.options.docs?.value?.(name)))
      const usual = this.options.defaults?.get(name)
      if (usual) proto.initializer.push(tensorToProto(name, usual))
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
    for (const [name, value] of outputs) proto.output.push(valueInfo(name, value, this.options.docs?.value?.(name)))
  }

  /** A graph inside a node: it sees the names around it, and none of its own is one of theirs. */
  private writeBody({ graph: source, captured }: Body, outer: readonly (Value | undefined)[], around: OpenGraph) {
    const own = source.inputs.slice(0, source.inputs.length - captured)
    // Two bodies may share nodes, and neither sees the names of the other.
    const known = new Map(this.names)
    source.inputs.slice(own.length).forEach((value, i) => {
      this.names.set(value, this.nameOf(outer[i], around))
    })
    const proto = emptyGraph(source.name)
    for (const value of own) {
      const name = this.namer.unique('name' in value.origin ? value.origin.name : '')
      this.names.set(value, name)
      proto.input.push(valueInfo(name, value))
    }
    const outputs = new Map([...source.outputs].map(([name, value]) => [this.namer.unique(name), value]))
    const { constants, inBody } = this
    this.constants = new Map()
    this.inBody = true
    this.writeNodes({ ...source, outputs }, proto)
    this.constants = constants
    this.inBody = inBody
    this.names = known
    return proto
  }

  /** @param carrier a parameter that may carry a value of its own */
  weightOf(name: string, carrier?: Parameter): Tensor {
    const own = carrier?.origin.initializer
    const value = this.options.weights?.get(name) ?? (own?.kind === 'given' ? own.tensor : undefined)
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
      distinct.set(name, own ? value : rootScope(name, () => identity(value)))
    }
    return distinct
  }

  private writeNode(node: Node, outputs: ReadonlyMap<Value, string>, proto: OpenGraph): void {
    const { version, functions, docs = {}, innerTypes = true } = this.options
    const doc = node.operator.doc ?? usualDoc(node)
    const call = doc && functions?.call(node, doc)
    const bodies = bodiesOf(node)
    const captured = bodies.reduce((count, [, body]) => count + body.captured, 0)
    const { inputs, attributes } = toVersion(version, node)
    const input = inputs.slice(0, inputs.length - captured).map((value) => this.nameOf(value, proto))
    const attribute = writtenAttributes(node).map((entry) => {
      const outer = bodies.find(([name]) => name === entry[0])?.[2] ?? []
      return attributeProto(...entry, (body) => this.writeBody(body, outer, proto))
    })
    const name = this.namer.forNode(node, this.last.get(node.scope) === node)
    const used = node.outputs.findLastIndex((value) => this.used.has(value)) + 1
    const required = node.operator.requiredOutputs ?? node.outputs.length
    const output = node.outputs.slice(0, Math.max(required, used)).map((value, i) => {
      const chosen = outputs.get(value)
      const valueName = chosen ?? (i === 0 ? name : this.namer.unique(`${name}:${doc?.outputs[i] ?? i}`))
      this.names.set(value, valueName)
      if (chosen === undefined && innerTypes) proto.valueInfo.push(valueInfo(valueName, value))
      return valueName
    })
    proto.node.push({
      name,
      docString: docs.node?.(name) ?? null,
      opType: call ?? node.operator.name,
      domain: node.operator.domain,
      input,
      output,
      attribute: [...attribute, ...attributes],
    })
  }

  private nameOf(value: Value | undefined, proto: OpenGraph): string {
    if (!value) return ''
    const known = this.names.get(value)
    if (known !== undefined) return known
    if (value.origin.kind !== 'constant') throw new Error(`a ${value.origin.kind} is used before it is written`)
    return this.constantName(value.origin.tensor, proto)
  }

  /**
   * Equal constants of a graph are one initializer. Bodies, which have none, hold Constant nodes; those of functions one for
   * each use, so that viewers show it where it is used.
   */
  private constantName(value: Tensor | Numbers, proto: OpenGraph): string {
    if (this.options.inFunction) return this.newConstant(value, proto)
    // By itself first: what it holds may be long.
    const key = this.constants.has(value) ? value : keyOf(value)
    const name = this.constants.get(key) ?? this.newConstant(value, proto)
    this.constants.set(key, name).set(value, name)
    return name
  }

  private newConstant(value: Tensor | Numbers, proto: OpenGraph): string {
    const name = this.namer.forConstant(value)
    if (!this.inBody) proto.initializer.push(tensorToProto(name, narrow(value)))
    else {
      const attribute = [{ name: 'value', type: AttributeType.TENSOR, t: tensorToProto('', narrow(value)) }]
      proto.node.push({ name, opType: 'Constant', output: [name], attribute })
    }
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
  readonly docs?: Docs
  /** Parameters of the graph that are inputs as well: another value may be fed (ONNX since IR version 4). */
  readonly overridable?: readonly string[]
  /** Inputs that need not be fed, and what they are then: initializers as well (ONNX since IR version 4). */
  readonly defaults?: ReadonlyMap<string, Tensor>
  /** Whether the types of values between nodes are written too (true unless given): for readers, not for runtimes. */
  readonly innerTypes?: boolean
  /** The version of ONNX's operators, 13 to 21; unless given 18, or an older one that the graph's operators need. */
  readonly opset?: number | undefined
}

/** Who wrote a file. */
export const producer = { producerName: 'rdm-onnx', producerVersion: ownVersion }

const entries = (map: ReadonlyMap<string, string>) => [...map].map(([key, value]) => ({ key, value }))

/**
 * A model file. Primitives become calls of local functions whose bodies `expand` writes; without `expand` the graphs
 * must hold none.
 * @throws UserError for a version of ONNX's operators that is not written
 */
export function writeModel(parts: ModelParts, expand?: ExpandNode): ModelProto {
  const { weights, training, metadata = {}, docs = {}, overridable = [], innerTypes = true } = parts
  const version = requireWritable(parts.opset ?? newestOpset(parts.graph))
  const inVersion = atVersion(version)
  const writeBody = (body: Graph) => {
    const said = inVersion(body)
    return new GraphWriter([said], { version, inFunction: true }).write(said).node ?? []
  }
  const functions = expand && new FunctionTable(version, expand, writeBody)
  const [network, step] = [inVersion(parts.graph), training && inVersion(training.step)]
  for (const source of step ? [network, step] : [network]) requireTypes(source, version)
  const reserved = training?.updates.keys() ?? []
  const writer = new GraphWriter(step ? [network, step] : [network], {
    version,
    weights,
    functions,
    reserved,
    defaults: parts.defaults,
    innerTypes,
    docs,
  })
  const model: ModelProto = {
    ...producer,
    docString: docs.model ?? null,
    graph: writer.write(network, docs.graph),
    metadataProps: entries(new Map(Object.entries(metadata))),
  }
  for (const value of parts.graph.parameters) {
    const { name } = value.origin
    if (overridable.includes(name)) model.graph?.input?.push(valueInfo(name, value, docs.value?.(name)))
  }
  if (training && step) {
    const algorithm = writer.write(step, docs.step)
    // State that the step replaces without reading it (a velocity without momentum) is part of the model all the same.
    const written = new Set([model.graph, algorithm].flatMap((proto) => proto?.initializer?.map(({ name }) => name)))
    for (const name of training.updates.keys()) {
      if (!written.has(name)) algorithm.initializer?.push(tensorToProto(name, writer.weightOf(name)))
    }
    const first = inVersion(training.initialization)
    const initialization = new GraphWriter([first], { version }).write(first, docs.initialization)
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
  model.irVersion = irVersion(version, model.functions.length > 0, parts.graph)
  const written = [model.graph, ...(model.trainingInfo ?? []).map(({ algorithm }) => algorithm)]
  model.opsetImport = opsetImport(
    version,
    written.flatMap((proto) => proto?.node ?? []),
  )
  return model
}

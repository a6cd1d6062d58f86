// Graph → GraphProto, FunctionProto and ModelProto.

import onnxProto from 'onnx-proto'
import { type Graph, graph } from '../graph/graph.js'
import {
  type AttributeKind,
  type AttributeValue,
  type Body,
  ONNX_DOMAIN,
  TRAINING_DOMAIN,
  type Type,
} from '../graph/operator.js'
import type { Tensor } from '../graph/tensor.js'
import { input, isParameter, type Node, rootScope, type Value } from '../graph/value.js'
import { identity, onnxTypes } from '../ops/elementwise.js'
import { Namer } from './names.js'
import { OPSET, OTHER_VERSION } from './opsets.js'
import { tensorToProto } from './tensors.js'

const { onnx } = onnxProto
type GraphProto = onnxProto.onnx.IGraphProto
type NodeProto = onnxProto.onnx.INodeProto
type FunctionProto = onnxProto.onnx.IFunctionProto
type AttributeProto = onnxProto.onnx.IAttributeProto
type ValueInfo = onnxProto.onnx.IValueInfoProto
/** A GraphProto whose lists are there to be filled. */
type OpenGraph = GraphProto & {
  [K in 'input' | 'output' | 'initializer' | 'node' | 'valueInfo']: NonNullable<GraphProto[K]>
}

/** The first version of the file format that has functions. */
export const IR_VERSION = 8

const AttributeType = onnx.AttributeProto.AttributeType

/** @param writeBody writes a graph that is an attribute */
function attributeProto(
  name: string,
  kind: AttributeKind,
  value: AttributeValue,
  writeBody: (body: Body) => GraphProto,
): AttributeProto {
  switch (kind) {
    case 'int':
      return { name, type: AttributeType.INT, i: value as number }
    case 'float':
      return { name, type: AttributeType.FLOAT, f: value as number }
    case 'string':
      return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value as string) }
    case 'ints':
      return { name, type: AttributeType.INTS, ints: [...(value as readonly number[])] }
    case 'graph':
      return { name, type: AttributeType.GRAPH, g: writeBody(value as Body) }
  }
}

type Entry = readonly [name: string, kind: AttributeKind, value: AttributeValue, isUsual: boolean]

/** The attributes that are given. */
function* givenAttributes({ operator, attributes }: Node): Generator<Entry> {
  for (const [name, { kind, default: usual }] of Object.entries(operator.attributes)) {
    const value = attributes[name]
    if (value !== undefined) yield [name, kind, value, String(value) === String(usual)]
  }
}

/** The attributes that are not the usual ones. */
const unusualAttributes = (node: Node): Entry[] => [...givenAttributes(node)].filter(([, , , isUsual]) => !isUsual)

/**
 * What a file says of a node. A call gives all attributes that its function lists, as ONNX wants it. Windows are said in full,
 * as all exporters do: rten 0.27 knows no usual strides of two dimensions.
 */
function writtenAttributes(node: Node): Entry[] {
  const { domain } = node.operator
  return [...givenAttributes(node)].filter(
    ([, kind, , isUsual]) => !isUsual || domain === TRAINING_DOMAIN || (domain === ONNX_DOMAIN && kind === 'ints'),
  )
}

function valueInfo(name: string, { dtype, shape }: Type): ValueInfo {
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }))
  return { name, type: { tensorType: { elemType: onnxTypes[dtype], shape: { dim } } } }
}

/** Writes primitives out: the body of a function. */
export type ExpandNode = (node: Node, inputs: readonly (Value | undefined)[]) => readonly Value[]

/** ONNX's own operators, and every other domain that the nodes name. */
function opsetImport(nodes: readonly NodeProto[] = []) {
  const others = new Set<string>()
  const collect = ({ domain, attribute }: NodeProto): void => {
    if (domain) others.add(domain)
    for (const { g } of attribute ?? []) g?.node?.forEach(collect)
  }
  nodes.forEach(collect)
  return [{ domain: ONNX_DOMAIN, version: OPSET }, ...[...others].map((domain) => ({ domain, version: OTHER_VERSION }))]
}

/** `ConvWeightGrad_k3x3_s2x2`: the primitive, then each attribute that is not the usual one. */
function variantName(node: Node): string {
  const parts = unusualAttributes(node).map(([name, , value]) => {
    const text = String(value).replaceAll(',', 'x').replaceAll('.', 'p').replaceAll('-', 'm')
    return `${name[0]}${text}`
  })
  return [node.operator.name, ...parts].join('_')
}

const bodiesOf = ({ attributes }: Node): Body[] =>
  Object.values(attributes).filter((value) => typeof value === 'object' && 'graph' in value)

/** Every value that a node uses or a graph gives, in graphs and the bodies inside them. */
const usedIn = ({ nodes, outputs }: Graph): (Value | undefined)[] => [
  ...nodes.flatMap((node) => [...node.inputs, ...bodiesOf(node).flatMap((body) => usedIn(body.graph))]),
  ...outputs.values(),
]

/** The primitives of a model as local functions: one for each distinct body, whatever shapes it is called with. */
class FunctionTable {
  private readonly byBody = new Map<string, FunctionProto>()
  private readonly namer = new Namer()

  constructor(private readonly expand: ExpandNode) {}

  /** The name of the function that computes this node. */
  call(node: Node): string {
    const inputs = node.inputs.map((value, i) => value && input(`x${i}`, value.dtype, value.shape))
    const outputs = rootScope('', () => this.expand(node, inputs))
    const body = graph(
      node.operator.name,
      inputs.filter((value) => value !== undefined),
      Object.fromEntries(outputs.map((value, i) => [`y${i}`, value])),
    )
    const { node: nodes } = new GraphWriter([body]).write(body)
    const proto: FunctionProto = {
      domain: TRAINING_DOMAIN,
      input: inputs.map((_, i) => `x${i}`),
      output: outputs.map((_, i) => `y${i}`),
      attribute: Object.keys(node.operator.attributes).filter((name) => node.attributes[name] !== undefined),
      opsetImport: opsetImport(),
      node: nodes ?? null,
    }
    const key = Buffer.from(onnx.FunctionProto.encode({ ...proto, name: variantName(node) }).finish()).toString(
      'latin1',
    )
    const known = this.byBody.get(key)
    if (known) return known.name!
    const name = this.namer.unique(variantName(node))
    this.byBody.set(key, { ...proto, name })
    return name
  }

  protos(): FunctionProto[] {
    return [...this.byBody.values()]
  }
}

/**
 * Writes graphs that share values and names: what one has written, the next refers to. That is how a training algorithm
 * stands beside its inference graph in one file.
 */
class GraphWriter {
  private readonly namer = new Namer()
  private readonly names = new Map<Value, string>()
  private constants = new Map<string, string>()
  private readonly used: ReadonlySet<Value | undefined>

  constructor(
    graphs: readonly Graph[],
    private readonly weights: ReadonlyMap<string, Tensor> = new Map(),
    private readonly functions?: FunctionTable,
    reserved: Iterable<string> = [],
    private readonly innerTypes = true,
  ) {
    this.used = new Set(graphs.flatMap(usedIn))
    // Names that mean something outside come first, so that no node takes one.
    for (const name of reserved) this.namer.reserve(name)
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
    const value = this.weights.get(name)
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
    const call = node.operator.domain === TRAINING_DOMAIN ? this.functions?.call(node) : undefined
    const captured = bodiesOf(node).reduce((count, body) => count + body.captured, 0)
    const given = node.inputs.slice(0, node.inputs.length - captured)
    const input = given.map((value) => this.nameOf(value, proto.node))
    const writeBody = (body: Body) => this.writeBody(body, node.inputs, proto.node)
    const attribute = writtenAttributes(node).map(([name, kind, value]) => attributeProto(name, kind, value, writeBody))
    const name = this.namer.forNode(node)
    const used = node.outputs.findLastIndex((value) => this.used.has(value)) + 1
    const required = node.operator.requiredOutputs ?? node.outputs.length
    const output = node.outputs.slice(0, Math.max(required, used)).map((value, i) => {
      const chosen = outputs.get(value)
      const valueName = chosen ?? (i === 0 ? name : this.namer.unique(`${name}:${i}`))
      this.names.set(value, valueName)
      if (chosen === undefined && this.innerTypes) proto.valueInfo.push(valueInfo(valueName, value))
      return valueName
    })
    proto.node.push({
      name,
      opType: call ?? node.operator.name,
      domain: node.operator.domain,
      input,
      output,
      attribute,
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
}

const entries = (map: ReadonlyMap<string, string>) => [...map].map(([key, value]) => ({ key, value }))

/**
 * A model file. Primitives become calls of local functions whose bodies `expand` writes; without `expand` the graphs
 * must hold none.
 */
export function writeModel(parts: ModelParts, expand?: ExpandNode): onnxProto.onnx.IModelProto {
  const { training, metadata = {}, defaults = [], innerTypes = true } = parts
  const functions = expand && new FunctionTable(expand)
  const graphs = [parts.graph, ...(training ? [training.step] : [])]
  const writer = new GraphWriter(graphs, parts.weights, functions, training?.updates.keys(), innerTypes)
  const model: onnxProto.onnx.IModelProto = {
    irVersion: IR_VERSION,
    producerName: 'rdm-onnx',
    graph: writer.write(parts.graph),
    metadataProps: entries(new Map(Object.entries(metadata))),
  }
  for (const value of parts.graph.parameters) {
    if (defaults.includes(value.origin.name)) model.graph?.input?.push(valueInfo(value.origin.name, value))
  }
  if (training) {
    const algorithm = writer.write(training.step)
    // State that the step replaces without reading it (a velocity without momentum) is part of the model all the same.
    const written = new Set([model.graph, algorithm].flatMap((proto) => proto?.initializer?.map(({ name }) => name)))
    for (const name of training.updates.keys()) {
      if (!written.has(name)) algorithm.initializer?.push(tensorToProto(name, writer.weightOf(name)))
    }
    const initialization = new GraphWriter([training.initialization]).write(training.initialization)
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
  const written = [model.graph, ...(model.trainingInfo ?? []).map(({ algorithm }) => algorithm)]
  model.opsetImport = opsetImport(written.flatMap((proto) => proto?.node ?? []))
  return model
}

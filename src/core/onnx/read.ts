// GraphProto → Graph. Everything is checked on the way: what comes out has known operators, agreeing types and no
// dangling name, whoever wrote the file.

import type onnxProto from 'onnx-proto'
import { messageOf, UserError } from '../errors.js'
import { type Closure, closure } from '../graph/closure.js'
import { folded } from '../graph/fold.js'
import { type Graph, graph } from '../graph/graph.js'
import {
  type Attributes,
  type Body,
  ONNX_DOMAIN,
  type Operator,
  TRAINING_DOMAIN,
  type Type,
} from '../graph/operator.js'
import type { Dim } from '../graph/shape.js'
import { dtypes, isFloat, narrow, type Tensor } from '../graph/tensor.js'
import { apply, constantTensor, input, parameter, rootScope, type Value, withDefaults } from '../graph/value.js'
import { dtypeOf } from '../ops/elementwise.js'
import { findOperator, safeSoftmax } from '../ops/index.js'
import { constantOf, type Held, readAttributes } from './attributes.js'
import { checkOpsets, domainOf, OPSET } from './opsets.js'
import {
  type AttributeProto,
  AttributeType,
  type FunctionProto,
  type GraphProto,
  type NodeProto,
  type ValueInfo,
} from './protos.js'
import { tensorFromProto, toNumber } from './tensors.js'
import { fromVersion } from './versions.js'
import { settingsOf } from './weights.js'

/**
 * Files nest functions to a few levels, and their bodies come to some ten thousand nodes: past this a file is broken, or
 * means to fill our memory (functions that call each other double at each level) or to take our time (each graph inside a
 * node has to be told apart from all that stands around it).
 */
const limits = { depth: 32, inlined: 100_000, bodies: 100 }

/** The operator that a node calls; a training primitive's name ends where its variant begins (`ConvWeightGrad_k3x3`). */
function operatorOf(domain: string, opType: string, others: readonly Operator[] = []): Operator | undefined {
  const name = domain === TRAINING_DOMAIN ? opType.split('_')[0]! : opType
  return findOperator(domain, name) ?? others.find((operator) => operator.domain === domain && operator.name === name)
}

/** Names of the running statistics of a graph's batch norms: what training moves without a gradient. */
const runningStatistics = ({ node }: GraphProto): ReadonlySet<string> =>
  new Set(
    (node ?? []).flatMap(({ domain, opType, input }) =>
      domainOf(domain) === ONNX_DOMAIN && opType === 'BatchNormalization' ? (input ?? []).slice(3, 5) : [],
    ),
  )

/** Names in force where a node is read. */
interface Frame {
  readonly values: Map<string, Value>
  /** Attributes of the function call that is being read; `ref_attr_name` refers to them. */
  readonly attributes: ReadonlyMap<string, AttributeProto>
  /** Prefix of node names, of inlined calls. */
  readonly scope: string
  /** How many function calls this frame lies in. */
  readonly depth: number
  /** Of ONNX's operators. */
  readonly version: number
  /** The function whose body is read; none in a graph. */
  readonly body?: FunctionProto
}

export interface ReaderOptions {
  /** Of ONNX's operators in the graphs; functions import their own. */
  readonly version?: number | undefined
  /**
   * Names of the initializers that are parameters, whatever their type; the others are constants of the graph. Unless given,
   * all floats but single numbers and what tells an operator how (onnx/weights.ts), and tensors of Constant nodes, where
   * exporters hide weights.
   */
  readonly parameters?: ReadonlySet<string> | undefined
  /** Names of floats that are no parameters where `parameters` is not given. */
  readonly constants?: ReadonlySet<string> | undefined
  /** Names of initializers that are inputs: their values are what is taken unless something else is fed. */
  readonly defaults?: ReadonlySet<string> | undefined
  /** Operators beside those of the registry. */
  readonly operators?: readonly Operator[] | undefined
}

export class GraphReader {
  private readonly functions: ReadonlyMap<string, FunctionProto>
  private readonly version: number
  private inlined = 0
  private bodies = 0
  /** Tensors that were read before: a body is read at each call, its tensors once. */
  private readonly tensors = new Map<object, Value>()
  /** Names of floats that are no weights, where the file does not say which are. */
  private settings: ReadonlySet<string> = new Set()
  /** Values of the initializers that became parameters. */
  readonly weights = new Map<string, Tensor>()

  constructor(
    functions: readonly FunctionProto[],
    private readonly options: ReaderOptions = {},
  ) {
    this.version = options.version ?? OPSET
    this.functions = new Map(functions.map((proto) => [`${domainOf(proto.domain)}:${proto.name}`, proto]))
    // The field that tells overloads apart is none that our format library knows: any of them would be taken for all.
    if (this.functions.size < functions.length) {
      const keys = functions.map(({ domain, name }) => `${domain}::${name}`)
      const twice = keys.find((key, i) => keys.indexOf(key) !== i)
      throw new UserError(`two functions are called ${twice}: overloads are not supported, give each a name of its own`)
    }
  }

  /**
   * Reads one graph. `values` holds the names of the graphs that it stands beside, and receives its own.
   * @throws UserError naming the graph and what is wrong in it
   */
  read(proto: GraphProto, values: Map<string, Value> = new Map(), outer: readonly Value[] = []): Graph {
    const frame: Frame = { values, attributes: new Map(), scope: '', depth: 0, version: this.version }
    this.settings = settingsOf(proto, ({ domain, opType }) => findOperator(domainOf(domain), opType ?? ''))
    const { inputs, outputs } = this.readGraph(proto, frame)
    return graph(proto.name ?? '', [...outer, ...inputs], outputs)
  }

  /** @param given of a graph inside a node: the types of the inputs, as far as the node says them */
  private readGraph(
    proto: GraphProto,
    frame: Frame,
    given?: readonly Type[],
  ): { inputs: readonly Value[]; outputs: Map<string, Value> } {
    const name = proto.name ?? ''
    if ((proto.sparseInitializer ?? []).length > 0)
      throw new UserError(`graph '${name}': sparse initializers are not supported; store them dense`)
    const statistics = runningStatistics(proto)
    const open: Value[] = []
    const initialized = new Set<string>()
    for (const initializer of proto.initializer ?? []) {
      if (initialized.has(initializer.name ?? ''))
        throw new UserError(`graph '${name}' gives the initializer '${initializer.name}' twice; expected each once`)
      initialized.add(initializer.name ?? '')
      const value = this.readInitializer(initializer, statistics, frame)
      if (value.origin.kind === 'input') open.push(value)
      this.define(frame, initializer.name, value, 'initializer')
    }
    const inputs = (proto.input ?? [])
      // Before IR version 4 initializers were listed among the inputs as well.
      .filter((info) => !initialized.has(info.name ?? ''))
      .map((info, i) => {
        const value = readInput(info, given?.[i], given === undefined)
        this.define(frame, info.name, value, 'input')
        return value
      })
    for (const node of proto.node ?? []) this.readNode(node, frame)
    const outputs = new Map<string, Value>()
    for (const info of proto.output ?? []) {
      if (outputs.has(info.name ?? ''))
        throw new UserError(`graph '${name}' lists the output '${info.name}' twice; expected each once`)
      outputs.set(info.name ?? '', this.readOutput(info, frame))
    }
    return { inputs: [...inputs, ...open], outputs }
  }

  /** A graph that is an attribute sees the names around it; its own end with it. */
  private readInner(proto: GraphProto, frame: Frame, given: readonly Type[]) {
    if (++this.bodies > limits.bodies)
      throw new UserError(`more than ${limits.bodies} nodes hold graphs; expected a smaller model`)
    return this.readGraph(proto, { ...frame, values: new Map(frame.values) }, given)
  }

  private readBody(proto: GraphProto, frame: Frame, given: readonly Type[]): Closure {
    const { inputs, outputs } = this.readInner(proto, frame, given)
    // Without inputs it is a branch, of which not even what is always the same need be computed.
    return closure(proto.name ?? '', inputs, outputs, new Set(frame.values.values()), inputs.length === 0)
  }

  /** The attributes of a node, and what its graphs capture, in the order of the record. */
  private readAttributes(
    protos: readonly AttributeProto[],
    record: Held,
    inputs: readonly (Value | undefined)[],
    frame: Frame,
  ): { readonly given: Attributes; readonly captured: readonly Value[] } {
    const isGraph = ({ name, type }: AttributeProto) =>
      type === AttributeType.GRAPH && name != null && record.attributes[name]?.kind === 'graph'
    const plain = readAttributes(
      protos.filter((proto) => !isGraph(proto)),
      record,
    )
    const attributes = Object.fromEntries(
      Object.entries(record.attributes).map(([name, spec]) => [name, plain[name] ?? spec.default]),
    )
    const bodies: [string, Body][] = []
    const captured: Value[] = []
    for (const name of Object.keys(record.attributes)) {
      const proto = protos.find((proto) => isGraph(proto) && proto.name === name)?.g
      if (!proto) continue
      let given = record.graphs?.given(name, inputs, attributes) ?? []
      let read = this.readBody(proto, frame, given)
      for (;;) {
        const wider = record.graphs?.widen?.(read.body, given)
        if (!wider) break
        given = wider
        read = this.readBody(proto, frame, given)
      }
      bodies.push([name, read.body])
      captured.push(...read.captured)
    }
    return { given: { ...plain, ...Object.fromEntries(bodies) }, captured }
  }

  /** What a node of an older version is in today's operators; undefined where it is the record itself. */
  private readOlder(
    record: Operator,
    inputs: readonly (Value | undefined)[],
    protos: readonly AttributeProto[],
    outputs: number,
    frame: Frame,
  ): readonly Value[] | undefined {
    if (record.domain !== ONNX_DOMAIN) return undefined
    const form = record.older?.find(({ until }) => frame.version <= until)
    if (!form) return undefined
    const { name } = record
    const { given, captured } = this.readAttributes(protos, { ...form, name }, inputs, frame)
    return form.read([...inputs, ...captured], withDefaults(form, given) as never, outputs)
  }

  private readInitializer(proto: onnxProto.onnx.ITensorProto, statistics: ReadonlySet<string>, frame: Frame): Value {
    return this.readOnce(proto, () => {
      const tensor = tensorFromProto(proto, `initializer '${proto.name}'`)
      const name = proto.name ?? ''
      const { parameters, defaults } = this.options
      if (defaults?.has(name)) return input(name, tensor.dtype, tensor.shape)
      if (!(parameters ? parameters.has(name) : this.isWeight(name, tensor))) return constantTensor(tensor)
      return this.weight(name, tensor, frame, !statistics.has(name))
    })
  }

  /** What a file means to be learned, where it does not say it. Numbers by themselves (½, ε, exponents) are part of formulas. */
  private isWeight(name: string, { dtype, shape }: Pick<Tensor, 'dtype' | 'shape'>): boolean {
    return isFloat(dtype) && shape.length > 0 && !this.settings.has(name) && !this.options.constants?.has(name)
  }

  /** A parameter that carries a value. Graphs inside nodes may call theirs alike. */
  private weight(given: string, tensor: Tensor, { scope }: Frame, trainable = true): Value {
    const name = this.weights.has(given) ? `${scope}/${given}` : given
    if (this.weights.has(name)) throw new UserError(`two weights are called '${name}'; expected names of their own`)
    this.weights.set(name, tensor)
    const { dtype, shape } = tensor
    return rootScope('', () => parameter(name, shape, { kind: 'given', tensor }, { dtype, trainable }))
  }

  private readOnce(proto: object, read: () => Value): Value {
    const value = this.tensors.get(proto) ?? read()
    this.tensors.set(proto, value)
    return value
  }

  private define({ values }: Frame, name: string | null | undefined, value: Value, what: string): void {
    if (!name) throw new UserError(`an ${what} has no name; every ${what} needs one`)
    if (values.has(name))
      throw new UserError(`the ${what} '${name}' has a name that is taken; names of a graph and its training differ`)
    values.set(name, value)
  }

  private readOutput(info: ValueInfo, frame: Frame): Value {
    const value = frame.values.get(info.name ?? '')
    if (!value)
      throw new UserError(`the output '${info.name}' is made by no node; expected the name of a node's output`)
    const declared = info.type?.tensorType?.elemType
    if (declared && dtypeOf(declared) !== value.dtype) {
      throw new UserError(
        `the output '${info.name}' is declared ${dtypeOf(declared) ?? `of element type ${declared}`}, its node makes ${value.dtype}; expected the same type`,
      )
    }
    return value
  }

  private readNode(node: NodeProto, frame: Frame): void {
    if (frame.body && ++this.inlined > limits.inlined)
      throw new UserError(`calls of functions come to more than ${limits.inlined} nodes; expected a smaller model`)
    const opType = node.opType ?? ''
    const name = node.name || opType
    const scope = frame.scope ? `${frame.scope}/${name}` : name
    try {
      const inputs = (node.input ?? []).map((used) => {
        const value = used === '' ? undefined : frame.values.get(used)
        const leftOut = used === '' || frame.body?.input?.includes(used)
        if (!value && !leftOut) throw new UserError(`uses '${used}', which nothing before it defines`)
        return value
      })
      const outputs = rootScope(scope, () => this.call(node, inputs, frame, scope))
      ;(node.output ?? []).forEach((output, i) => {
        if (output === '') return
        if (!outputs[i]) throw new UserError(`has an output ${i} ('${output}') that ${opType} does not make`)
        this.define(frame, output, outputs[i], 'output')
      })
    } catch (error) {
      if (!(error instanceof UserError) || error instanceof NodeError) throw error
      throw new NodeError(`node '${scope}' (${opType}): ${messageOf(error)}`)
    }
  }

  private call(node: NodeProto, inputs: readonly (Value | undefined)[], frame: Frame, scope: string): readonly Value[] {
    const domain = domainOf(node.domain)
    const opType = node.opType ?? ''
    const attributes = (node.attribute ?? []).flatMap((proto) => resolved(proto, frame))
    if (domain === ONNX_DOMAIN && opType === 'Constant')
      return [this.readConstant(attributes, node.output?.[0] ?? '', frame)]
    const record = operatorOf(domain, opType, this.options.operators)
    if (record) {
      const named = (node.output ?? []).filter((output) => output !== '').length
      const earlier = this.readOlder(record, inputs, attributes, named, { ...frame, scope })
      if (earlier) return earlier.map(folded)
      const only = record.graphs?.only?.(inputs)
      const taken = attributes.find(({ name, type }) => name === only && type === AttributeType.GRAPH)?.g
      if (taken) return [...this.readInner(taken, { ...frame, scope }, []).outputs.values()]
      const today = fromVersion(frame.version, record, { inputs, attributes })
      const { given, captured } = this.readAttributes(today.attributes, record, today.inputs, { ...frame, scope })
      const implied = record.graphs?.implied?.(inputs, given)
      const alone = attributes.find(({ name }) => name === implied)?.g
      if (alone) return [...this.readInner(alone, { ...frame, scope }, []).outputs.values()]
      return apply(record, [...today.inputs, ...captured], given)
        .map(folded)
        .map(safeSoftmax)
    }
    const body = this.functions.get(`${domain}:${opType}`)
    if (body) return this.inline(body, inputs, attributes, { ...frame, scope })
    throw new UserError(
      `the operator ${domain ? `${domain}.` : ''}${opType} is not known here, and the file has no function of that name`,
    )
  }

  private readConstant(attributes: readonly AttributeProto[], name: string, frame: Frame): Value {
    const [attribute] = attributes
    const read = (): Value => {
      const value = constantOf(attribute)
      if (this.options.parameters || frame.body || value.origin.kind !== 'constant') return value
      const { tensor } = value.origin
      if (!this.isWeight(name, tensor) || tensor.data.length < 2) return value
      return this.weight(name, narrow(tensor), frame)
    }
    return attribute ? this.readOnce(attribute, read) : read()
  }

  /** A function that is not one of our primitives: its body takes the place of the call. */
  private inline(
    body: FunctionProto,
    inputs: readonly (Value | undefined)[],
    attributes: readonly AttributeProto[],
    caller: Frame,
  ): readonly Value[] {
    if (caller.depth >= limits.depth)
      throw new UserError(
        `functions call each other more than ${limits.depth} levels deep; a function must not call itself`,
      )
    const version = checkOpsets(body.opsetImport, `the function ${body.name}`) ?? caller.version
    const taken = body.input ?? []
    if (inputs.length > taken.length)
      throw new UserError(`the function ${body.name} takes ${taken.length} inputs, got ${inputs.length}`)
    const values = new Map<string, Value>()
    taken.forEach((name, i) => {
      const value = inputs[i]
      if (value) values.set(name, value)
    })
    const frame: Frame = {
      values,
      attributes: new Map(attributes.map((attribute) => [attribute.name ?? '', attribute])),
      scope: caller.scope,
      depth: caller.depth + 1,
      version,
      body,
    }
    for (const node of body.node ?? []) this.readNode(node, frame)
    return (body.output ?? []).map((name) => {
      const value = values.get(name)
      if (!value) throw new UserError(`the function ${body.name} does not make its output '${name}'`)
      return value
    })
  }
}

/** An error that names its node already. */
class NodeError extends UserError {}

/** An attribute as it stands at this call: a reference is looked up, and left out where the call does not give it. */
function resolved(proto: AttributeProto, { attributes, body }: Frame): AttributeProto[] {
  if (!proto.refAttrName) return [proto]
  const given = attributes.get(proto.refAttrName)
  if (given) return [{ ...given, name: proto.name ?? '' }]
  // Attributes that have a default are not in this list, and the defaults are in a field that our format library lacks.
  if (body?.attribute?.includes(proto.refAttrName)) return []
  throw new UserError(
    `the attribute '${proto.name}' refers to '${proto.refAttrName}', which the call does not give; defaults of functions are not supported, give it at the call`,
  )
}

/** A dimension's name as a symbol: what looks like a number or an expression is one symbol as it stands. */
const symbolOf = (name: string): string => (/^\d|[*+()?\s]/.test(name) ? `(${name.replaceAll('?', '_')})` : name)

/** @param isOuter whether it is an input of the file, whose first dimension is the batch unless it has a name */
function readInput(info: ValueInfo, given: Type | undefined, isOuter: boolean): Value {
  const type = info.type?.tensorType
  if (given && (!type?.shape || (type.shape.dim ?? []).length === given.shape.length)) {
    const declared = dtypeOf(type?.elemType ?? 0)
    if (declared && declared !== given.dtype)
      throw new UserError(`the input '${info.name}' is declared ${declared} and gets ${given.dtype}; expected the same`)
    return input(info.name ?? '', given.dtype, given.shape)
  }
  const dtype = dtypeOf(type?.elemType ?? 0)
  if (!type?.shape) throw new UserError(`the input '${info.name}' needs a tensor type with a shape`)
  if (!dtype)
    throw new UserError(
      `the input '${info.name}': element type ${type.elemType} is not supported; use one of ${dtypes.join(', ')}`,
    )
  const shape = (type.shape.dim ?? []).map(({ dimValue, dimParam }, axis): Dim => {
    const size = dimValue == null ? 0 : toNumber(dimValue)
    if (!Number.isSafeInteger(size))
      throw new UserError(
        `the input '${info.name}': dimension ${size} is not possible; expected a whole number below 2^53`,
      )
    // protobuf cannot tell an absent size from 0, and no tensor that trains has a size of 0.
    if (size > 0) return size
    // Some exporters call each dimension that they do not know '?'.
    return dimParam && dimParam !== '?' ? symbolOf(dimParam) : isOuter && axis === 0 ? 'batch' : `${info.name}.${axis}`
  })
  return input(info.name ?? '', dtype, shape)
}

// GraphProto → Graph. Everything is checked on the way: what comes out has known operators, agreeing types and no
// dangling name, whoever wrote the file.

import { UserError } from '../errors.js'
import { type Closure, closure } from '../graph/closure.js'
import { folded } from '../graph/fold.js'
import { type Graph, graph } from '../graph/graph.js'
import {
  type Attributes,
  type Body,
  ONNX_DOMAIN,
  type Operator,
  PREVIEW_TRAINING_DOMAIN,
  type Type,
} from '../graph/operator.js'
import type { Tensor } from '../graph/tensor.js'
import { apply, rootScope, type Value, withDefaults } from '../graph/value.js'
import { meant } from '../near.js'
import { dtypeOf } from '../ops/elementwise.js'
import { safeSoftmax } from '../ops/index.js'
import { type Held, readAttributes } from './attributes.js'
import { fromEarly } from './early.js'
import { asDemanded, type Frame, resolved } from './frame.js'
import { GRADIENT, gradientAt, gradientCall, gradientRecord, gradientSize } from './gradient.js'
import { readInput } from './inputs.js'
import { type LeafOptions, Leaves } from './leaves.js'
import { nameOfNode, operatorOf } from './nodes.js'
import { checkOpsets, domainOf, functionKey, OPSET } from './opsets.js'
import {
  type AttributeProto,
  AttributeType,
  type FunctionProto,
  type GraphProto,
  type NodeProto,
  type ValueInfo,
} from './protos.js'
import { LimitError, Refusals, Skipped } from './refusals.js'
import { isSequence, type Named, ownValue, readSequence, requireValue, valuesOf } from './sequences.js'
import { fromVersion } from './versions.js'

/**
 * Files nest functions to a few levels, and their bodies come to some ten thousand nodes: past this a file is broken, or
 * means to fill our memory (functions that call each other double at each level) or to take our time (each graph inside a
 * node has to be told apart from all that stands around it; gradients of gradients grow as fast).
 */
const limits = { depth: 32, inlined: 100_000, bodies: 100, derived: 100_000 }

export interface ReaderOptions extends LeafOptions {
  /** Of ONNX's operators in the graphs; functions import their own. */
  readonly version?: number | undefined
  /** Operators beside those of the registry. */
  readonly operators?: readonly Operator[] | undefined
}

export class GraphReader {
  private readonly functions: ReadonlyMap<string, FunctionProto>
  private readonly version: number
  private inlined = 0
  private derived = 0
  private bodies = 0
  private readonly refusals = new Refusals()
  private readonly leaves: Leaves
  /** What a Gradient is the derivative of, and its name. */
  readonly losses = new Map<Value, string>()

  constructor(
    functions: readonly FunctionProto[],
    private readonly options: ReaderOptions = {},
  ) {
    this.version = options.version ?? OPSET
    this.leaves = new Leaves(options, this.refusals)
    const byKey = new Map<string, FunctionProto>()
    for (const proto of functions) {
      const { domain, name, overload } = proto
      const key = functionKey(domain, name, overload)
      if (byKey.has(key))
        throw new UserError(
          `two functions are called ${domain}::${name}${overload ? ` (overload ${overload})` : ''}; expected an overload of its own for each`,
        )
      byKey.set(key, proto)
    }
    this.functions = byKey
  }

  /** Values of what became parameters. */
  get weights(): ReadonlyMap<string, Tensor> {
    return this.leaves.weights
  }

  /**
   * Reads one graph. `values` holds the names of the graphs that it stands beside, and receives its own.
   * @throws UserError naming the graph and what is wrong in it; ModelError with all nodes that cannot be read
   */
  read(proto: GraphProto, values: Map<string, Named> = new Map(), outer: readonly Value[] = []): Graph {
    const frame: Frame = { values, attributes: new Map(), scope: '', depth: 0, version: this.version }
    this.leaves.enter(proto)
    const { inputs, outputs } = this.readGraph(proto, frame)
    this.refusals.throwAny()
    for (const name of this.options.inner ?? []) {
      const named = values.get(name)
      if (!named) throw new UserError(`the model has no value '${name}'; ${meant(name, [...values.keys()])}`)
      const value = requireValue(named, name)
      if (value.origin.kind !== 'input' && value.origin.kind !== 'parameter') outputs.set(name, value)
    }
    return graph(proto.name ?? '', [...outer, ...inputs], outputs)
  }

  /** @param given of a graph inside a node: the types of the inputs, as far as the node says them */
  private readGraph(
    proto: GraphProto,
    frame: Frame,
    given?: readonly Type[],
  ): { inputs: readonly Value[]; outputs: Map<string, Value> } {
    const name = proto.name ?? ''
    const open: Value[] = []
    const initialized = new Set<string>()
    const define = (known: string | null | undefined, value: Value): void => {
      if (initialized.has(known ?? ''))
        throw new UserError(`graph '${name}' gives the initializer '${known}' twice; expected each once`)
      initialized.add(known ?? '')
      if (value.origin.kind === 'input' && !this.refusals.has(value)) open.push(value)
      this.define(frame, known, value, 'initializer')
    }
    for (const dense of proto.initializer ?? []) define(dense.name, this.leaves.initializer(dense, frame.scope))
    for (const sparse of proto.sparseInitializer ?? [])
      define(sparse.values?.name, this.leaves.sparse(sparse, frame.scope))
    const inputs = (proto.input ?? [])
      // Before IR version 4 initializers were listed among the inputs as well.
      .filter((info) => !initialized.has(info.name ?? ''))
      .map((info, i) => {
        const value =
          this.refusals.tried('', '', () => readInput(info, given?.[i], given === undefined)) ?? this.refusals.standIn()
        this.define(frame, info.name, value, 'input')
        return value
      })
    for (const node of proto.node ?? []) this.readNode(node, frame)
    const outputs = new Map<string, Value>()
    for (const info of proto.output ?? []) {
      if (outputs.has(info.name ?? ''))
        throw new UserError(`graph '${name}' lists the output '${info.name}' twice; expected each once`)
      const value = this.refusals.tried('', '', () => this.readOutput(info, frame))
      if (value) outputs.set(info.name ?? '', value)
      else if (given) throw new Skipped()
    }
    return { inputs: [...inputs, ...open], outputs }
  }

  /** A graph that is an attribute sees the names around it; its own end with it. */
  private readInner(proto: GraphProto, frame: Frame, given: readonly Type[]) {
    if (++this.bodies > limits.bodies)
      throw new LimitError(`more than ${limits.bodies} nodes hold graphs; expected a smaller model`)
    return this.readGraph(proto, { ...frame, values: new Map(frame.values) }, given)
  }

  private readBody(proto: GraphProto, frame: Frame, given: readonly Type[]): Closure {
    const { inputs, outputs } = this.readInner(proto, frame, given)
    // Without inputs it is a branch, of which not even what is always the same need be computed.
    return closure(proto.name ?? '', inputs, outputs, new Set(valuesOf(frame.values.values())), inputs.length === 0)
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
      let given = asDemanded(record, frame, () => record.graphs?.given(name, inputs, attributes)) ?? []
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
    return asDemanded(record, frame, () =>
      form.read([...inputs, ...captured], withDefaults(form, given) as never, outputs),
    )
  }

  private define({ values }: Frame, name: string | null | undefined, value: Named, what: string): void {
    if (!name) throw new UserError(`an ${what} has no name; every ${what} needs one`)
    if (values.has(name))
      throw new UserError(`the ${what} '${name}' has a name that is taken; names of a graph and its training differ`)
    values.set(name, value)
  }

  private readOutput(info: ValueInfo, frame: Frame): Value {
    const value = frame.values.get(info.name ?? '')
    if (!value)
      throw new UserError(`the output '${info.name}' is made by no node; expected the name of a node's output`)
    if (isSequence(value))
      throw new UserError(`the output '${info.name}' is a sequence; expected a tensor: take its elements out`)
    this.refusals.require(value)
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
      throw new LimitError(`calls of functions come to more than ${limits.inlined} nodes; expected a smaller model`)
    const opType = node.opType ?? ''
    const name = nameOfNode(node)
    const scope = frame.scope ? `${frame.scope}/${name}` : name
    const made = this.refusals.tried(scope, opType, () => {
      const inputs = (node.input ?? []).map((used) => {
        const value = used === '' ? undefined : frame.values.get(used)
        const leftOut = used === '' || frame.body?.input?.includes(used)
        if (!value && !leftOut) throw new UserError(`uses '${used}', which nothing before it defines`)
        this.refusals.require(value)
        return value
      })
      const outputs = rootScope(scope, () => this.call(node, inputs, frame, scope))
      ;(node.output ?? []).forEach((output, i) => {
        if (output === '') return
        const made = outputs[i]
        if (!made) throw new UserError(`has an output ${i} ('${output}') that ${opType} does not make`)
        this.define(frame, output, this.options.inner?.has(output) ? ownValue(made, frame.values) : made, 'output')
      })
      return true
    })
    if (made) return
    for (const output of node.output ?? []) {
      if (output !== '' && !frame.values.has(output)) frame.values.set(output, this.refusals.standIn())
    }
  }

  private call(node: NodeProto, named: readonly (Named | undefined)[], frame: Frame, scope: string): readonly Named[] {
    const domain = domainOf(node.domain)
    const opType = node.opType ?? ''
    const all = (node.attribute ?? []).flatMap((proto) => resolved(proto, frame))
    if (domain === ONNX_DOMAIN && opType === 'Constant')
      return [this.leaves.constant(all, frame.body ? undefined : (node.output?.[0] ?? ''), frame.scope)]
    const { overload } = node
    const body = this.functions.get(functionKey(domain, opType, overload))
    // Operators have no overloads.
    const record = overload ? undefined : operatorOf(domain, opType, this.options.operators)
    if (body && !record) return this.inline(body, named, all, { ...frame, scope })
    const sequence = domain === ONNX_DOMAIN ? readSequence(opType, named, all) : undefined
    if (sequence) return [sequence]
    const spelling = { inputs: named.map((one, i) => one && requireValue(one, node.input?.[i])), attributes: all }
    const { inputs, attributes } = domain === ONNX_DOMAIN ? fromEarly(frame.version, opType, spelling) : spelling
    if (domain === PREVIEW_TRAINING_DOMAIN && opType === GRADIENT) return this.derive(inputs, attributes, frame)
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
    const ofOverload = overload ? ` and overload '${overload}'` : ''
    throw new UserError(
      `the operator ${domain ? `${domain}.` : ''}${opType} is not known here, and the file has no function of that name${ofOverload}`,
    )
  }

  /** Of a Gradient: the backward pass through the nodes that it names. */
  private derive(
    inputs: readonly (Value | undefined)[],
    attributes: readonly AttributeProto[],
    frame: Frame,
  ): readonly Value[] {
    const around = (name: string) => {
      const named = frame.values.get(name)
      return named && requireValue(named, name)
    }
    const call = gradientCall(readAttributes(attributes, gradientRecord), around)
    this.derived += gradientSize(call)
    if (this.derived > limits.derived)
      throw new LimitError(`gradients go through more than ${limits.derived} nodes; expected a smaller model`)
    this.losses.set(call.y.value, call.y.name)
    return gradientAt(call, inputs)
  }

  /** A function that is not one of our primitives: its body takes the place of the call. */
  private inline(
    body: FunctionProto,
    inputs: readonly (Named | undefined)[],
    attributes: readonly AttributeProto[],
    caller: Frame,
  ): readonly Named[] {
    if (caller.depth >= limits.depth)
      throw new LimitError(
        `functions call each other more than ${limits.depth} levels deep; a function must not call itself`,
      )
    const version = checkOpsets(body.opsetImport, `the function ${body.name}`) ?? caller.version
    const taken = body.input ?? []
    if (inputs.length > taken.length)
      throw new UserError(`the function ${body.name} takes ${taken.length} inputs, got ${inputs.length}`)
    const values = new Map<string, Named>()
    taken.forEach((name, i) => {
      const value = inputs[i]
      if (value) values.set(name, value)
    })
    const frame: Frame = {
      values,
      // What the call gives takes the place of the function's defaults.
      attributes: new Map(
        [...(body.attributeProto ?? []), ...attributes].map((attribute) => [attribute.name ?? '', attribute]),
      ),
      scope: caller.scope,
      depth: caller.depth + 1,
      version,
      body,
    }
    for (const node of body.node ?? []) this.readNode(node, frame)
    return (body.output ?? []).map((name) => {
      const value = values.get(name)
      if (!value) throw new UserError(`the function ${body.name} does not make its output '${name}'`)
      this.refusals.require(value)
      return value
    })
  }
}

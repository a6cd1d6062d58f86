// Values and nodes. A value knows its type and where it comes from; it has no name until a graph is written.

import { UserError } from '../errors.js'
import type { AttributeSpecs, Attributes, AttributesOf, AttributeValue, Operator, Type } from './operator.js'
import { formatShape, type Shape } from './shape.js'
import { type DType, type Numbers, numbers, type Tensor, widen } from './tensor.js'

/** A graph that breaks a rule: wrong types, shapes, attributes, or a use that is not allowed. */
export class GraphError extends UserError {
  override name = 'GraphError'
}

/** How a parameter gets its first values. */
export type Initializer =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number }
  /** Row-major, as many as the parameter has. */
  | { readonly kind: 'values'; readonly values: readonly number[] }
  /** Along the first axis so many rows of the one, the rest of the other. */
  | { readonly kind: 'stacked'; readonly rows: number; readonly first: Initializer; readonly rest: Initializer }
  /** As another parameter of its type. */
  | { readonly kind: 'copy'; readonly of: Parameter }
  /** Its values come with it, from a file; nothing says how they were drawn. */
  | { readonly kind: 'given'; readonly tensor: Tensor }

export type Origin =
  | { readonly kind: 'input'; readonly name: string }
  | {
      readonly kind: 'parameter'
      readonly name: string
      /** Whether the optimizer moves it; false for running statistics and momenta. */
      readonly trainable: boolean
      readonly initializer: Initializer
    }
  /** What a file gave as it was; numbers written in the DSL are rounded only where they are written to a file. */
  | { readonly kind: 'constant'; readonly tensor: Tensor | Numbers }
  | { readonly kind: 'node'; readonly node: Node; readonly index: number }

/** What a graph is made of: an input, a parameter, a constant, or an output of a node. Values have types and no names. */
export interface Value extends Type {
  readonly origin: Origin
}

/** A value that is a parameter. */
export type Parameter = Value & { readonly origin: Extract<Origin, { kind: 'parameter' }> }

/** An operator applied to values. */
export interface Node {
  readonly operator: Operator
  /** Optional inputs that are not given are undefined. */
  readonly inputs: readonly (Value | undefined)[]
  readonly attributes: Attributes
  readonly outputs: readonly Value[]
  /** What the node belongs to, `stage1.block2.f1.conv1`; names are made from it. */
  readonly scope: string
  /** Nodes are numbered as they are made, and values never change: the order of numbers is a topological order. */
  readonly sequence: number
}

export const formatType = ({ dtype, shape }: Type): string => `${dtype}${formatShape(shape)}`

let scopes: readonly string[] = []
let sequence = 0

/** Runs `body`; nodes and parameters made in it are named below `name` (`scope('stage1', …)` → `stage1.conv.weight`). */
export function scope<T>(name: string, body: () => T): T {
  const outer = scopes
  scopes = name === '' ? outer : [...outer, name]
  try {
    return body()
  } finally {
    scopes = outer
  }
}

export const scoped = (name: string): string => [...scopes, name].filter((part) => part !== '').join('.')

/** As `scope`, from the root: what a rewrite uses to keep the names of the nodes that it makes anew. */
export function rootScope<T>(name: string, body: () => T): T {
  const outer = scopes
  scopes = []
  try {
    return scope(name, body)
  } finally {
    scopes = outer
  }
}

/** A value that is fed at run time. */
export const input = (name: string, dtype: DType, shape: Shape): Value => ({
  dtype,
  shape,
  origin: { kind: 'input', name },
})

/** A named tensor that lives with the model: a weight (trainable) or a state such as a running mean. */
export function parameter(
  name: string,
  shape: readonly number[],
  initializer: Initializer,
  { trainable = true, dtype = 'float32' }: { trainable?: boolean; dtype?: DType } = {},
): Parameter {
  return { dtype, shape, origin: { kind: 'parameter', name: scoped(name), trainable, initializer } }
}

/** The node that the value is an output of. */
export const nodeOf = (value: Value | undefined): Node | undefined =>
  value?.origin.kind === 'node' ? value.origin.node : undefined

/** The name of an input or a parameter; empty for any other value. */
export const nameOf = ({ origin }: Value): string => ('name' in origin ? origin.name : '')

export function isParameter(value: Value): value is Parameter {
  return value.origin.kind === 'parameter'
}

/** A tensor as a value of a graph. */
export const constantTensor = (value: Tensor | Numbers): Value => ({
  dtype: value.dtype,
  shape: value.shape,
  origin: { kind: 'constant', tensor: value },
})

/** A constant from numbers: a scalar, or a tensor of the given shape (one-dimensional by default). */
export function constant(dtype: DType, values: number | ArrayLike<number>, shape?: readonly number[]): Value {
  if (typeof values === 'number') return constantTensor(numbers(dtype, shape ?? [], [values]))
  return constantTensor(numbers(dtype, shape ?? [values.length], values))
}

/** The numbers of a constant that shapes depend on (axes, a target shape); undefined when it is not a constant. */
export const constantOf = (value: Value | undefined): readonly number[] | undefined =>
  value?.origin.kind === 'constant' ? [...widen(value.origin.tensor).data] : undefined

/** As `constantOf`, for an operand that must be constant. */
export function requireConstant(value: Value, what: string): readonly number[] {
  const numbers = constantOf(value)
  if (!numbers)
    throw new GraphError(`${what} must be a constant of the graph, because the output's shape depends on it`)
  return numbers
}

/**
 * All attributes of an operator, with the usual values of those that are not given.
 * @throws GraphError for one that it does not have, or that is missing
 */
export function withDefaults(operator: Pick<Operator, 'attributes'>, given: Attributes): Attributes {
  const known = Object.keys(operator.attributes)
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new GraphError(`has no attribute '${unknown}'; it takes ${known.join(', ') || 'none'}`)
  }
  return Object.fromEntries(
    Object.entries(operator.attributes).map(([name, spec]) => {
      const value = given[name] ?? spec.default
      if (value === undefined && !spec.optional) throw new GraphError(`needs the attribute '${name}' (${spec.kind})`)
      return [name, value]
    }),
  )
}

/** `name=value`, as in messages and printed graphs. */
function formatAttribute(name: string, value: AttributeValue): string {
  if (typeof value !== 'object') return `${name}=${value}`
  if ('graph' in value) return `${name}=${value.graph.name}`
  return `${name}=[${'dtype' in value ? widen(value).data : value}]`
}

/** The attributes that are given, as text. */
export const formatAttributes = (attributes: Attributes): string =>
  Object.entries(attributes)
    .flatMap(([name, value]) => (value === undefined ? [] : [formatAttribute(name, value)]))
    .join(', ')

/** What an error says of a call: each input's type and the attributes. */
export function describeCall(inputs: readonly (Value | undefined)[], attributes: Attributes): string {
  const types = inputs.map((value) => (value ? formatType(value) : '(none)')).join(', ')
  const list = formatAttributes(attributes)
  return `inputs ${types || '(none)'}${list ? `; ${list}` : ''}`
}

/**
 * Applies an operator: checks the number of inputs and the attributes, infers the output types, makes the node.
 * @throws GraphError naming the operator, the rule that is broken, every input's type and the attributes
 */
export function apply<S extends AttributeSpecs>(
  operator: Operator<S>,
  inputs: readonly (Value | undefined)[],
  attributes: { readonly [K in keyof AttributesOf<S>]?: AttributesOf<S>[K] | undefined } = {},
): readonly Value[] {
  const given: Attributes = attributes
  const record: Operator = operator
  try {
    const [fewest, most] = record.arity
    if (inputs.length < fewest || inputs.length > most || inputs.slice(0, fewest).includes(undefined)) {
      const expected = fewest === most ? `${fewest}` : most === Infinity ? `at least ${fewest}` : `${fewest} to ${most}`
      const noun = expected.endsWith(' 1') || expected === '1' ? 'input' : 'inputs'
      throw new GraphError(`takes ${expected} ${noun}, got ${inputs.filter((value) => value).length}`)
    }
    const usual = withDefaults(record, given)
    const complete: Attributes = record.complete?.(inputs, usual as never, given) ?? usual
    const types = record.infer(inputs as readonly Value[], complete as never)
    const outputs: Value[] = []
    const node: Node = {
      operator: record,
      inputs,
      attributes: complete,
      outputs,
      scope: scopes.join('.'),
      sequence: sequence++,
    }
    types.forEach((type, index) => {
      outputs.push({ dtype: type.dtype, shape: type.shape, origin: { kind: 'node', node, index } })
    })
    return outputs
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    const where = scopes.length > 0 ? ` in ${scopes.join('.')}` : ''
    throw new GraphError(`${record.name}${where}: ${error.message} (${describeCall(inputs, given)})`)
  }
}

/** `apply` for an operator of which only the first output is wanted. */
export function apply1<S extends AttributeSpecs>(
  operator: Operator<S>,
  inputs: readonly (Value | undefined)[],
  attributes: { readonly [K in keyof AttributesOf<S>]?: AttributesOf<S>[K] | undefined } = {},
): Value {
  const [first] = apply(operator, inputs, attributes)
  return first!
}

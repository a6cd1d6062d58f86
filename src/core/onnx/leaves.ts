// What the tensors of a file become: parameters, constants, or inputs that have a value unless one is fed.

import { UserError } from '../errors.js'
import { isFloat, isSmall, type Numbers, narrow, type Tensor } from '../graph/tensor.js'
import { constantTensor, input, parameter, rootScope, type Value } from '../graph/value.js'
import { findOperator } from '../ops/index.js'
import { constantOf } from './attributes.js'
import { isConstantName } from './names.js'
import { domainOf } from './opsets.js'
import type { AttributeProto, GraphProto } from './protos.js'
import type { Refusals } from './refusals.js'
import type { SparseTensorProto, TensorProto } from './schema.js'
import { denseFromSparse } from './sparse.js'
import { type ExternalData, tensorFromProto } from './tensors.js'
import { runningStatistics, settingsOf } from './weights.js'

export interface LeafOptions {
  /**
   * Names of the initializers that are parameters, whatever their type; the others are constants of the graph. Unless given,
   * all floats but single numbers and what tells an operator how (onnx/weights.ts), and tensors of Constant nodes whose numbers
   * differ, where exporters hide weights.
   */
  readonly parameters?: ReadonlySet<string> | undefined
  /** Names of floats that are no parameters where `parameters` is not given. */
  readonly constants?: ReadonlySet<string> | undefined
  /** Names of initializers that are inputs: their values are what is taken unless something else is fed. */
  readonly defaults?: ReadonlySet<string> | undefined
  /** Names of values that are asked for: initializers among them are parameters, single numbers too, where `parameters` is not given. */
  readonly inner?: ReadonlySet<string> | undefined
  /** Reads data that are in other files. */
  readonly external?: ExternalData | undefined
}

/** One number, or one over and over, as norms without weights of their own have it. */
const isUniform = ({ data }: Tensor | Numbers): boolean => {
  const [first] = data
  return (data as Float64Array).every((value) => value === first)
}

export class Leaves {
  /** What was read before: a body is read at each call, its tensors once. */
  private readonly known = new Map<object, Value>()
  /** Names of floats that are no weights, where the file does not say which are. */
  private settings: ReadonlySet<string> = new Set()
  /** Names of running statistics, which no gradient moves. */
  private statistics: ReadonlySet<string> = new Set()
  /** Values of what became parameters. */
  readonly weights = new Map<string, Tensor>()

  constructor(
    private readonly options: LeafOptions,
    private readonly refusals: Refusals,
  ) {}

  /** Looks through a graph that is to be read. */
  enter(graph: GraphProto): void {
    this.statistics = runningStatistics(graph)
    if (!this.options.parameters)
      this.settings = settingsOf(graph, ({ domain, opType }) => findOperator(domainOf(domain), opType ?? ''))
  }

  /** @param scope of the node whose graph it is in; empty outside of nodes */
  initializer(proto: TensorProto, scope: string): Value {
    const name = proto.name ?? ''
    const read = () => tensorFromProto(proto, `initializer '${name}'`, this.options.external)
    return this.once(proto, () => this.read(name, scope, read))
  }

  /** A sparse initializer, dense. */
  sparse(proto: SparseTensorProto, scope: string): Value {
    const name = proto.values?.name ?? ''
    const read = () => {
      if (this.options.parameters?.has(name))
        throw new UserError(`the sparse initializer '${name}' is trained; store it dense`)
      return denseFromSparse(proto, `the sparse initializer '${name}'`, this.options.external)
    }
    return this.once(proto, () => this.read(name, scope, read))
  }

  /**
   * What a Constant node holds.
   * @param name of its output; none in a function, whose tensors are part of a formula
   */
  constant([attribute]: readonly AttributeProto[], name: string | undefined, scope: string): Value {
    const read = (): Value => {
      const value = constantOf(attribute, this.options.external)
      if (this.options.parameters || name === undefined || value.origin.kind !== 'constant') return value
      const { tensor } = value.origin
      if (!this.isWeight(name, tensor) || (isUniform(tensor) && !this.options.inner?.has(name))) return value
      return this.weight(name, narrow(tensor), scope)
    }
    return attribute ? this.once(attribute, read) : read()
  }

  private once(proto: object, read: () => Value): Value {
    const value = this.known.get(proto) ?? read()
    this.known.set(proto, value)
    return value
  }

  /** What cannot be read is refused where it is used, if at all, unless training writes it. */
  private read(name: string, scope: string, tensorOf: () => Tensor): Value {
    const { parameters, defaults } = this.options
    let tensor: Tensor
    try {
      tensor = tensorOf()
    } catch (error) {
      if (!(error instanceof UserError) || parameters?.has(name)) throw error
      return this.refusals.standIn(error.message)
    }
    if (defaults?.has(name)) return input(name, tensor.dtype, tensor.shape)
    if (!(parameters ? parameters.has(name) : this.isWeight(name, tensor))) return constantTensor(tensor)
    return this.weight(name, tensor, scope)
  }

  /** What a file means to be learned, where it does not say it. Numbers by themselves (½, ε, exponents) are part of formulas. */
  private isWeight(name: string, { dtype, shape }: Pick<Tensor, 'dtype' | 'shape'>): boolean {
    const { constants, inner } = this.options
    if (!isFloat(dtype) || constants?.has(name) || isConstantName(name, dtype)) return false
    return inner?.has(name) || (shape.length > 0 && !this.settings.has(name))
  }

  /** A parameter that carries a value. Graphs inside nodes may call theirs alike. */
  private weight(given: string, tensor: Tensor, scope: string): Value {
    const name = this.weights.has(given) ? `${scope}/${given}` : given
    if (isSmall(tensor.dtype))
      throw new UserError(`the weight '${name}' is ${tensor.dtype}, which does not train: keep what trains in float32`)
    if (this.weights.has(name)) throw new UserError(`two weights are called '${name}'; expected names of their own`)
    this.weights.set(name, tensor)
    const { dtype, shape } = tensor
    const trainable = !this.statistics.has(given)
    return rootScope('', () => parameter(name, shape, { kind: 'given', tensor }, { dtype, trainable }))
  }
}

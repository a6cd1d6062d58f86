// What operators share that take each number for itself, with ONNX's multidirectional broadcasting where there are more operands.

import {
  type AttributeSpecs,
  type AttributesOf,
  type GradientContext,
  ONNX_DOMAIN,
  type Operator,
  operator,
} from '../graph/operator.js'
import { normal, type Sample, type SampleInput } from '../graph/sample.js'
import { broadcastShapes, type Dim, unknownDim } from '../graph/shape.js'
import { type DType, isFloat, isInteger } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { castNumber } from './casts.js'
import { broadcastMap, map } from './reference.js'

/** A value, or a number that stands for a constant of the other operand's dtype. */
export type Operand = Value | number

export const none = {}
export type None = typeof none
export type Context<S extends AttributeSpecs = None> = GradientContext<AttributesOf<S>>
/** A gradient an input; or that nothing flows, because the operator is constant in pieces. */
export type Rule<S extends AttributeSpecs = None> = ((context: Context<S>) => readonly (Value | undefined)[]) | 'zero'

/** What an operator takes: floats; what has a sign; numbers; any type. */
export type Takes = 'float' | 'signed' | 'number' | 'any'

const taken: Readonly<Record<Takes, { readonly holds: (dtype: DType) => boolean; readonly what: string }>> = {
  float: { holds: isFloat, what: 'a floating-point input' },
  signed: { holds: (dtype) => dtype !== 'bool' && !dtype.startsWith('uint'), what: 'numbers with a sign' },
  number: { holds: (dtype) => dtype !== 'bool', what: 'numbers' },
  any: { holds: () => true, what: 'any type' },
}

export function requireTaken({ dtype }: Value, takes: Takes): void {
  if (!taken[takes].holds(dtype)) throw new GraphError(`needs ${taken[takes].what}, got ${dtype}; cast it first`)
}

interface UnaryOptions<S extends AttributeSpecs> {
  since?: number
  attributes?: S
  takes?: Takes
  /** Of the result, where it is not that of the operand. */
  dtype?: DType
  sample?: (...shape: number[]) => SampleInput
  samples?: readonly [Sample<AttributesOf<S>>, ...Sample<AttributesOf<S>>[]]
}

/** An operator on each number of one operand. */
export function unary<const S extends AttributeSpecs = None>(
  name: string,
  f: (x: number, attributes: AttributesOf<S>) => number,
  gradient: Rule<S>,
  { since = 13, attributes = none as S, takes = 'float', dtype, sample = normal, samples }: UnaryOptions<S> = {},
): Operator<S> {
  return operator<S>({
    name,
    domain: ONNX_DOMAIN,
    since,
    attributes,
    arity: [1, 1],
    elementwise: true,
    infer([x]) {
      requireTaken(x!, takes)
      return [{ dtype: dtype ?? x!.dtype, shape: x!.shape }]
    },
    gradient: gradient === 'zero' ? 'zero' : { rule: gradient },
    evaluate([x], given) {
      const type = dtype ?? x!.dtype
      return [map(x!, (value) => roundedTo(type, f(value, given)), type)]
    },
    samples: samples ?? [{ inputs: [sample(2, 3)] }, { inputs: [sample()] }],
  })
}

/** A result of whole numbers is whole and wraps around; one of floats is left in float64. */
export const roundedTo = (dtype: DType, value: number): number => (isFloat(dtype) ? value : castNumber(value, dtype))

/** The common type of broadcast operands; `dtype` overrides the result's. */
export function inferBroadcast(operands: readonly Value[], dtype?: DType) {
  const [a] = operands
  if (operands.some((operand) => operand.dtype !== a!.dtype)) {
    throw new GraphError('needs operands of one dtype; cast one of them')
  }
  return [{ dtype: dtype ?? a!.dtype, shape: broadcastOf(operands) }]
}

export function broadcastOf(operands: readonly Value[]) {
  const shape = broadcastShapes(...operands.map((operand) => operand.shape))
  if (!shape) throw new GraphError('shapes do not broadcast: each pair of dimensions must be equal, or one of them 1')
  return shape
}

interface BinaryOptions<S extends AttributeSpecs> {
  attributes?: S
  samples?: readonly [(...shape: number[]) => SampleInput, (...shape: number[]) => SampleInput]
  /** Attributes of the samples, where one is required. */
  sampled?: Sample<AttributesOf<S>>['attributes']
  /** Of the result, where it is not that of the operands. */
  dtype?: DType
  since?: number
  before?: Operator<S>['before']
  /** Throws a GraphError where the operands are not what it takes. */
  check?(operands: readonly Value[], attributes: AttributesOf<S>): void
  /** Of two dimensions, where it is an arithmetic of shapes. */
  dims?: (a: Dim, b: Dim) => Dim | undefined
}

/** What is known of a result of dimensions: each by itself, a single one beside many. */
function dimsBy(f: (a: Dim, b: Dim) => Dim | undefined): NonNullable<Operator<never>['dims']> {
  return (operands, _, known) => {
    const [a, b] = operands.map((operand) => (isInteger(operand.dtype) ? known(operand) : undefined))
    if (!a || !b || operands.some(({ shape }) => shape.length > 1)) return [undefined]
    if (a.length !== b.length && a.length !== 1 && b.length !== 1) return [undefined]
    const length = a.length === 1 ? b.length : a.length
    return [Array.from({ length }, (_, i) => f(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!) ?? unknownDim())]
  }
}

/** An operator on each pair of numbers of two operands. */
export function binary<const S extends AttributeSpecs = None>(
  name: string,
  f: (a: number, b: number, attributes: AttributesOf<S>, dtype: DType) => number,
  gradient: Rule<S>,
  options: BinaryOptions<S> = {},
): Operator<S> {
  const {
    attributes = none as S,
    samples = [normal, normal],
    sampled,
    dtype,
    since = 13,
    before,
    check,
    dims,
  } = options
  const [first, second] = samples
  const given = sampled ? { attributes: sampled } : {}
  return operator<S>({
    name,
    domain: ONNX_DOMAIN,
    since,
    ...(before ? { before } : {}),
    attributes,
    arity: [2, 2],
    elementwise: true,
    infer(operands, attributes) {
      check?.(operands, attributes)
      return inferBroadcast(operands, dtype)
    },
    ...(dims ? { dims: dimsBy(dims) } : {}),
    gradient: gradient === 'zero' ? 'zero' : { rule: gradient },
    evaluate(operands, attributes) {
      const [a] = operands
      const type = dtype ?? a!.dtype
      return [broadcastMap(type, operands, (...[x, y]) => roundedTo(type, f(x!, y!, attributes, a!.dtype)))]
    },
    samples: [
      { inputs: [first(2, 3), second(2, 3)], ...given },
      { inputs: [first(2, 1, 3), second(4, 1)], ...given },
      { inputs: [first(), second(3, 2)], ...given },
    ],
  })
}

/** Both operands as values; a number takes the dtype of the other. */
export function operands(a: Operand, b: Operand): [Value, Value] {
  if (typeof a === 'number') {
    if (typeof b === 'number') {
      throw new GraphError(
        `both operands are numbers (${a}, ${b}); one must be a value of the graph, as constant() makes`,
      )
    }
    return [constant(b.dtype, a), b]
  }
  return [a, typeof b === 'number' ? constant(a.dtype, b) : b]
}
export const call = (op: Operator<None>) => (a: Operand, b: Operand) => apply1(op, operands(a, b))
export const call1 = (op: Operator<None>) => (x: Value) => apply1(op, [x])

export const x0 = ({ inputs }: Pick<Context, 'inputs'>) => inputs[0]!
export const x1 = ({ inputs }: Pick<Context, 'inputs'>) => inputs[1]!
export const y0 = ({ outputs }: Pick<Context, 'outputs'>) => outputs[0]!

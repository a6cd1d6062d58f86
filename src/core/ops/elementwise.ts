// Elementwise operators, with ONNX's multidirectional broadcasting where there are two operands.

import { brainBits, brainValue, halfBits, halfValue } from '../graph/half.js'
import {
  type AttributeSpecs,
  float,
  type Gradient,
  type GradientContext,
  ONNX_DOMAIN,
  type Operator,
  operator,
  primitive,
  required,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { awayFromZero, booleans, distinct, fixed, normal, positive, type SampleInput } from '../graph/sample.js'
import { addDims, broadcastShapes, type Dim, divideDim, isKnown, sizeOf, unknownDim } from '../graph/shape.js'
import { type DType, dtypes, isFloat, isInteger } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { broadcastMap, map } from './reference.js'

/** A value, or a number that stands for a constant of the other operand's dtype. */
export type Operand = Value | number

const none = {}
type None = typeof none
type Rule<S extends AttributeSpecs = None> = Extract<Gradient<Record<keyof S, never>>, { rule: unknown }>['rule']

function requireFloat(x: Value): void {
  if (!isFloat(x.dtype)) throw new GraphError(`needs a floating-point input, got ${x.dtype}; cast it first`)
}

function unary(
  name: string,
  f: (x: number) => number,
  gradient: Rule | 'zero',
  sample: (...shape: number[]) => SampleInput = normal,
): Operator<None> {
  return operator({
    name,
    domain: ONNX_DOMAIN,
    since: 13,
    attributes: none,
    arity: [1, 1],
    elementwise: true,
    infer([x]) {
      requireFloat(x!)
      return [x!]
    },
    gradient: gradient === 'zero' ? 'zero' : { rule: gradient },
    evaluate: ([x]) => [map(x!, f)],
    samples: [{ inputs: [sample(2, 3)] }, { inputs: [sample()] }],
  })
}

/** The common type of broadcast operands; `dtype` overrides the result's. */
function inferBroadcast(operands: readonly Value[], dtype?: DType) {
  const [a] = operands
  if (operands.some((operand) => operand.dtype !== a!.dtype)) {
    throw new GraphError('needs operands of one dtype; cast one of them')
  }
  const shape = broadcastShapes(...operands.map((operand) => operand.shape))
  if (!shape) throw new GraphError('shapes do not broadcast: each pair of dimensions must be equal, or one of them 1')
  return [{ dtype: dtype ?? a!.dtype, shape }]
}

interface BinaryOptions {
  samples?: [(...shape: number[]) => SampleInput, (...shape: number[]) => SampleInput]
  /** Of the result, where it is not that of the operands. */
  dtype?: DType
  since?: number
  /** Of two dimensions, where it is an arithmetic of shapes. */
  dims?: (a: Dim, b: Dim) => Dim | undefined
}

/** What is known of a result of dimensions: each by itself, a single one beside many. */
function dimsBy(f: NonNullable<BinaryOptions['dims']>): NonNullable<Operator<None>['dims']> {
  return (operands, _, known) => {
    const [a, b] = operands.map((operand) => (isInteger(operand.dtype) ? known(operand) : undefined))
    if (!a || !b || operands.some(({ shape }) => shape.length > 1)) return [undefined]
    if (a.length !== b.length && a.length !== 1 && b.length !== 1) return [undefined]
    const length = a.length === 1 ? b.length : a.length
    return [Array.from({ length }, (_, i) => f(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!) ?? unknownDim())]
  }
}

function binary(
  name: string,
  f: (a: number, b: number) => number,
  gradient: Rule | 'zero',
  { samples = [normal, normal], dtype, since = 13, dims }: BinaryOptions = {},
): Operator<None> {
  const [first, second] = samples
  return operator({
    name,
    domain: ONNX_DOMAIN,
    since,
    attributes: none,
    arity: [2, 2],
    elementwise: true,
    infer: (operands) => inferBroadcast(operands, dtype),
    ...(dims ? { dims: dimsBy(dims) } : {}),
    gradient: gradient === 'zero' ? 'zero' : { rule: gradient },
    evaluate(operands) {
      const type = dtype ?? operands[0]!.dtype
      const exact = isFloat(type) ? f : (a: number, b: number) => Math.trunc(f(a, b))
      return [broadcastMap(type, operands, (...[a, b]) => exact(a!, b!))]
    },
    samples: [
      { inputs: [first(2, 3), second(2, 3)] },
      { inputs: [first(2, 1, 3), second(4, 1)] },
      { inputs: [first(), second(3, 2)] },
    ],
  })
}

/** Before version 14 the four rules of arithmetic do not take uint8, so that bytes go through int32 and back. */
function arithmetic(...rules: Parameters<typeof binary>): Operator<None> {
  const record: Operator<None> = {
    ...binary(...rules),
    since: 14,
    before: {
      instead(operands) {
        if (operands[0]!.dtype !== 'uint8') return undefined
        const wide = operands.map((operand) => cast(operand!, 'int32'))
        return [cast(apply1(record, wide), 'uint8')]
      },
    },
  }
  return record
}

/** Both operands as values; a number takes the dtype of the other. */
function operands(a: Operand, b: Operand): [Value, Value] {
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
const call = (op: Operator<None>) => (a: Operand, b: Operand) => apply1(op, operands(a, b))
const call1 = (op: Operator<None>) => (x: Value) => apply1(op, [x])

type Context = GradientContext<Record<never, never>>
const x0 = ({ inputs }: Context) => inputs[0]!
const x1 = ({ inputs }: Context) => inputs[1]!
const y0 = ({ outputs }: Context) => outputs[0]!

/** a + b */
export const Add = arithmetic(
  'Add',
  (a, b) => a + b,
  ({ grad }) => [grad, grad],
  { dims: addDims },
)
export const add = call(Add)

/** a − b */
export const Sub = arithmetic(
  'Sub',
  (a, b) => a - b,
  ({ grad }) => [grad, neg(grad)],
  { dims: (a, b) => (a === b ? 0 : isKnown(b) ? addDims(a, -b) : undefined) },
)
export const sub = call(Sub)

/** a · b */
export const Mul = arithmetic(
  'Mul',
  (a, b) => a * b,
  (c) => [mul(c.grad, x1(c)), mul(c.grad, x0(c))],
  { dims: (a, b) => sizeOf([a, b]) },
)
export const mul = call(Mul)

/** a ÷ b; whole numbers truncate toward zero. d(a/b) = da/b − (a/b)·db/b */
export const Div = arithmetic(
  'Div',
  (a, b) => a / b,
  (c) => [div(c.grad, x1(c)), neg(div(mul(c.grad, y0(c)), x1(c)))],
  {
    samples: [normal, positive],
    dims: (a, b) => (isKnown(a) && isKnown(b) ? Math.trunc(a / b) : b === 0 ? undefined : divideDim(a, b)),
  },
)
export const div = call(Div)

/** a^b; d(a^b) = b·a^(b−1)·da + ln(a)·a^b·db */
export const Pow = binary(
  'Pow',
  (a, b) => a ** b,
  (c) => [mul(c.grad, mul(x1(c), pow(x0(c), sub(x1(c), 1)))), mul(c.grad, mul(log(x0(c)), y0(c)))],
  { samples: [positive, normal] },
)
export const pow = call(Pow)

/** The larger operand; at a tie the gradient goes to the first. */
export const Max = binary(
  'Max',
  Math.max,
  (c) => {
    const first = cast(greaterOrEqual(x0(c), x1(c)), c.grad.dtype)
    return [mul(c.grad, first), mul(c.grad, sub(1, first))]
  },
  { samples: [distinct, awayFromZero] },
)
export const max = call(Max)

/** The smaller operand; at a tie the gradient goes to the first. */
export const Min = binary(
  'Min',
  Math.min,
  (c) => {
    const first = cast(lessOrEqual(x0(c), x1(c)), c.grad.dtype)
    return [mul(c.grad, first), mul(c.grad, sub(1, first))]
  },
  { samples: [distinct, awayFromZero] },
)
export const min = call(Min)

const comparison = (name: string, f: (a: number, b: number) => boolean, since = 13) =>
  binary(name, (a, b) => Number(f(a, b)), 'zero', { dtype: 'bool', since })

export const Equal = comparison('Equal', (a, b) => a === b)
export const equal = call(Equal)
export const Greater = comparison('Greater', (a, b) => a > b)
export const greater = call(Greater)
export const GreaterOrEqual = comparison('GreaterOrEqual', (a, b) => a >= b, 12)
export const greaterOrEqual = call(GreaterOrEqual)
export const Less = comparison('Less', (a, b) => a < b)
export const less = call(Less)
export const LessOrEqual = comparison('LessOrEqual', (a, b) => a <= b, 12)
export const lessOrEqual = call(LessOrEqual)

/** Both, of booleans. */
export const And = binary('And', (a, b) => Number(a && b), 'zero', {
  dtype: 'bool',
  samples: [booleans, booleans],
  since: 7,
})
export const and = call(And)

export const Neg = unary(
  'Neg',
  (x) => -x,
  ({ grad }) => [neg(grad)],
)
export const neg = call1(Neg)
/** |x|; d|x| = sign(x)·dx */
export const Abs = unary('Abs', Math.abs, (c) => [mul(c.grad, sign(x0(c)))], awayFromZero)
export const abs = call1(Abs)
/** The whole number at or below x. */
export const Floor = unary('Floor', Math.floor, 'zero', awayFromZero)
export const floor = call1(Floor)
export const Sign = unary('Sign', Math.sign, 'zero', awayFromZero)
export const sign = call1(Sign)
/** e^x; its own derivative. */
export const Exp = unary('Exp', Math.exp, (c) => [mul(c.grad, y0(c))])
export const exp = call1(Exp)
/** ln x; d ln x = dx/x */
export const Log = unary('Log', Math.log, (c) => [div(c.grad, x0(c))], positive)
export const log = call1(Log)
/** √x; d√x = dx/(2√x) */
export const Sqrt = unary('Sqrt', Math.sqrt, (c) => [div(c.grad, mul(y0(c), 2))], positive)
export const sqrt = call1(Sqrt)
/** 1/x; d(1/x) = −dx/x² */
export const Reciprocal = unary(
  'Reciprocal',
  (x) => 1 / x,
  (c) => [neg(mul(c.grad, mul(y0(c), y0(c))))],
  positive,
)
export const reciprocal = call1(Reciprocal)
/**
 * 2/√π · ∫₀ˣ e^(−t²) dt, by 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1)/(1·3·5…(2n+1)) (Abramowitz and Stegun 7.1.6), whose terms are all of
 * one sign.
 */
function errorFunction(x: number): number {
  // Beyond it, 1 − erf is less than half of the last digit of 1.
  if (Math.abs(x) >= 6) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > Number.EPSILON * Math.abs(sum) * 0.1; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}
/** The error function; d erf x = 2/√π · e^(−x²)·dx */
export const Erf = unary('Erf', errorFunction, (c) => [
  mul(c.grad, mul(exp(neg(mul(x0(c), x0(c)))), 2 / Math.sqrt(Math.PI))),
])
export const erf = call1(Erf)
/** 1/(1 + e^−x); dσ = σ(1 − σ)dx */
export const Sigmoid = unary(
  'Sigmoid',
  (x) => 1 / (1 + Math.exp(-x)),
  (c) => [mul(c.grad, mul(y0(c), sub(1, y0(c))))],
)
export const sigmoid = call1(Sigmoid)
/** d tanh = (1 − tanh²)dx */
export const Tanh = unary('Tanh', Math.tanh, (c) => [mul(c.grad, sub(1, mul(y0(c), y0(c))))])
export const tanh = call1(Tanh)
export const Identity: Operator<None> = {
  ...unary(
    'Identity',
    (x) => x,
    ({ grad }) => [grad],
  ),
  infer: ([x]) => [x!],
  dims: ([x], _, known) => [known(x)],
}
export const identity = call1(Identity)

/** max(0, x). Its gradient is a primitive, because runtimes differ most in what is fast there. */
export const Relu = unary(
  'Relu',
  (x) => Math.max(0, x),
  (c) => [reluGrad(c.grad, y0(c))],
  awayFromZero,
)
export const relu = call1(Relu)

/**
 * dy where the ReLU's output y is positive, else 0 — the mask from the output, so that the input need not be kept.
 * In dy it is linear with the same mask; in y it is flat.
 */
export const ReluGrad = primitive({
  name: 'ReluGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'y'],
    outputs: ['dx'],
    text: 'The gradient of Relu from its output: dx is dy where y > 0, else 0.',
  },
  attributes: none,
  arity: [2, 2],
  elementwise: true,
  differentiable: { inputs: [0] },
  infer: (inputs) => inferBroadcast(inputs),
  gradient: { rule: (c) => [reluGrad(c.grad, c.inputs[1]!), undefined] },
  evaluate: (inputs) => [broadcastMap(inputs[0]!.dtype, inputs, (...[dy, y]) => (y! > 0 ? dy! : 0))],
  samples: [{ inputs: [normal(2, 3), fixed('float32', [2, 3], [0, 1.5, 0, 0.25, 3, 0])] }],
})
export const reluGrad = (dy: Value, y: Value): Value => apply1(ReluGrad, [dy, y])

/** max(0, min(1, alpha·x + beta)); slope alpha inside. */
export const HardSigmoid = operator({
  name: 'HardSigmoid',
  domain: ONNX_DOMAIN,
  since: 6,
  attributes: { alpha: float(0.2), beta: float(0.5) },
  arity: [1, 1],
  elementwise: true,
  infer([x]) {
    requireFloat(x!)
    return [x!]
  },
  gradient: {
    rule({ grad, outputs: [y], attributes: { alpha } }) {
      const inside = mul(cast(greater(y!, 0), grad.dtype), cast(less(y!, 1), grad.dtype))
      return [mul(mul(grad, alpha), inside)]
    },
  },
  evaluate: ([x], { alpha, beta }) => [map(x!, (v) => Math.max(0, Math.min(1, alpha * v + beta)))],
  samples: [
    { inputs: [fixed('float32', [6], [-4, -1, 0.3, 1, 2.2, 5])] },
    { inputs: [awayFromZero(2, 3)], attributes: { alpha: 1.25, beta: 0 } },
  ],
})
export const hardSigmoid = (x: Value, attributes: { alpha?: number; beta?: number } = {}): Value =>
  apply1(HardSigmoid, [x], attributes)

/** condition ? a : b, broadcasting all three. */
export const Where = operator({
  name: 'Where',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes: none,
  arity: [3, 3],
  elementwise: true,
  infer([condition, a, b]) {
    if (condition!.dtype !== 'bool') throw new GraphError('needs a bool condition; compare or cast first')
    const [type] = inferBroadcast([a!, b!])
    const shape = broadcastShapes(condition!.shape, type!.shape)
    if (!shape)
      throw new GraphError(
        'the condition and the operands do not broadcast: each pair of dimensions must be equal, or one of them 1',
      )
    return [{ dtype: a!.dtype, shape }]
  },
  dims(operands, _, known) {
    const [chosen, ...parts] = operands.map(known)
    if (!chosen?.every(isKnown) || parts.some((part) => part?.length !== chosen.length)) return [undefined]
    return [chosen.map((choice, i) => parts[choice ? 0 : 1]![i]!)]
  },
  gradient: {
    rule({ grad, inputs: [condition] }) {
      const mask = cast(condition!, grad.dtype)
      return [undefined, mul(grad, mask), mul(grad, sub(1, mask))]
    },
  },
  evaluate: ([condition, a, b]) => [broadcastMap(a!.dtype, [condition!, a!, b!], (...[c, x, y]) => (c ? x! : y!))],
  samples: [{ inputs: [booleans(2, 3), normal(2, 3), normal(3)] }, { inputs: [booleans(3), normal(), normal(2, 1)] }],
})
export const where = (condition: Value, a: Operand, b: Operand): Value => apply1(Where, [condition, ...operands(a, b)])

/** ONNX's numbers for the element types (TensorProto.DataType). */
export const onnxTypes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
}
export const dtypeOf = (code: number): DType | undefined => dtypes.find((dtype) => onnxTypes[dtype] === code)

/** The array that a whole number of fewer than 64 bits wraps around in. */
const wrapping = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
}

function castNumber(value: number, to: DType): number {
  if (to === 'bool') return Number(value !== 0)
  if (to === 'float16') return halfValue(halfBits(value))
  if (to === 'bfloat16') return brainValue(brainBits(value))
  if (isFloat(to)) return value
  const whole = Math.trunc(value)
  return to in wrapping ? wrapping[to as keyof typeof wrapping].of(whole)[0]! : whole
}

/** The same numbers in another dtype: floats truncate toward zero, bool is "not zero". */
export const Cast = operator({
  name: 'Cast',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { to: required('int') },
  arity: [1, 1],
  elementwise: true,
  infer([x], { to }) {
    const dtype = dtypeOf(to)
    if (!dtype) {
      const known = Object.entries(onnxTypes).map(([name, code]) => `${code} (${name})`)
      throw new GraphError(`to=${to} is no element type known here; known are ${known.join(', ')}`)
    }
    return [{ dtype, shape: x!.shape }]
  },
  dims: ([x], { to }, known) => [isInteger(dtypeOf(to)!) && isInteger(x!.dtype) ? known(x) : undefined],
  gradient: {
    rule: ({ grad, inputs: [x], outputs: [y] }) => [
      isFloat(x!.dtype) && isFloat(y!.dtype) ? cast(grad, x!.dtype) : undefined,
    ],
  },
  evaluate: ([x], { to }) => [map(x!, (value) => castNumber(value, dtypeOf(to)!), dtypeOf(to)!)],
  samples: [
    { inputs: [normal(2, 3)], attributes: { to: onnxTypes.float64 } },
    { inputs: [fixed('uint8', [3], [0, 7, 255])], attributes: { to: onnxTypes.float32 } },
    { inputs: [fixed('float32', [4], [-2.7, -0.2, 0, 3.9])], attributes: { to: onnxTypes.int64 } },
    { inputs: [booleans(4)], attributes: { to: onnxTypes.int64 } },
  ],
})
export const cast = (x: Value, dtype: DType): Value => apply1(Cast, [x], { to: onnxTypes[dtype] })

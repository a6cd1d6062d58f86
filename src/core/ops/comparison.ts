// Comparisons, the logic of what they give, the bits of whole numbers, and the choice between two values.

import { int, ONNX_DOMAIN, type Operator, operator, required } from '../graph/operator.js'
import { booleans, fixed, type SampleInput } from '../graph/sample.js'
import { type Dim, isKnown } from '../graph/shape.js'
import { bitsOf, type DType, isInteger } from '../graph/tensor.js'
import { GraphError, type Value } from '../graph/value.js'
import { binary, call, call1, type None, none, unary } from './pointwise.js'

const comparison = (
  name: string,
  f: (a: number, b: number) => boolean,
  since = 13,
  dims?: (a: Dim, b: Dim) => Dim | undefined,
): Operator<None> =>
  binary(name, (a, b) => Number(f(a, b)), 'zero', { dtype: 'bool', since, ...(dims ? { dims } : {}) })

/** A size is no negative number; a difference may be, and what only the data tell. */
const isSize = (dim: Dim): boolean => typeof dim === 'string' && !/[?-]/.test(dim)

/** a = b */
export const Equal = comparison(
  'Equal',
  (a, b) => a === b,
  13,
  (a, b) => {
    if (a === b) return 1
    if (isKnown(a) && isKnown(b)) return 0
    return [a, b].some((dim) => isKnown(dim) && dim < 0) && [a, b].some(isSize) ? 0 : undefined
  },
)
/** a = b, broadcast; bool. */
export const equal = call(Equal)
/** a > b */
export const Greater = comparison('Greater', (a, b) => a > b)
/** a > b, broadcast; bool. */
export const greater = call(Greater)
/** a ≥ b */
export const GreaterOrEqual = comparison('GreaterOrEqual', (a, b) => a >= b, 12)
/** a ≥ b, broadcast; bool. */
export const greaterOrEqual = call(GreaterOrEqual)
/** a < b */
export const Less = comparison('Less', (a, b) => a < b)
/** a < b, broadcast; bool. */
export const less = call(Less)
/** a ≤ b */
export const LessOrEqual = comparison('LessOrEqual', (a, b) => a <= b, 12)
/** a ≤ b, broadcast; bool. */
export const lessOrEqual = call(LessOrEqual)

const logic = (name: string, f: (a: number, b: number) => boolean): Operator<None> =>
  binary(name, (a, b) => Number(f(a, b)), 'zero', {
    dtype: 'bool',
    since: 7,
    samples: [booleans, booleans],
    check([a]) {
      if (a!.dtype !== 'bool') throw new GraphError(`needs bool operands, got ${a!.dtype}; compare or cast first`)
    },
  })

/** Both. */
export const And = logic('And', (a, b) => a !== 0 && b !== 0)
/** Both of two bools, broadcast. */
export const and = call(And)
/** One or both. */
export const Or = logic('Or', (a, b) => a !== 0 || b !== 0)
/** One or both of two bools, broadcast. */
export const or = call(Or)
/** One, not both. */
export const Xor = logic('Xor', (a, b) => a !== b)
/** One of two bools and not both, broadcast. */
export const xor = call(Xor)
/** The other one of a bool. */
export const Not: Operator<None> = {
  ...unary('Not', (x) => Number(x === 0), 'zero', { since: 1, takes: 'any', dtype: 'bool', sample: booleans }),
  infer([x]) {
    if (x!.dtype !== 'bool') throw new GraphError(`needs a bool input, got ${x!.dtype}; compare or cast first`)
    return [x!]
  },
}
/** The other one of a bool. */
export const not = call1(Not)

/** Whether x is no number. */
export const IsNaN: Operator<None> = unary('IsNaN', (x) => Number(Number.isNaN(x)), 'zero', {
  dtype: 'bool',
  samples: [{ inputs: [fixed('float32', [4], [1, Number.NaN, Number.POSITIVE_INFINITY, 0])] }],
})
/** Whether x is no number; bool. */
export const isNan = call1(IsNaN)
const isInfAttributes = { detect_negative: int(1), detect_positive: int(1) }
const infinities = fixed('float32', [4], [1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN])
/** Whether x is infinite, in the directions that are asked for. */
export const IsInf: Operator<typeof isInfAttributes> = unary(
  'IsInf',
  (x, { detect_negative, detect_positive }) =>
    Number((detect_positive && x === Number.POSITIVE_INFINITY) || (detect_negative && x === Number.NEGATIVE_INFINITY)),
  'zero',
  {
    since: 10,
    attributes: isInfAttributes,
    dtype: 'bool',
    samples: [
      { inputs: [infinities] },
      { inputs: [infinities], attributes: { detect_negative: 0 } },
      { inputs: [infinities], attributes: { detect_positive: 0 } },
    ],
  },
)

/** f of the two's complements, which wraps around in the dtype. */
function onBits(dtype: DType, f: (...bits: bigint[]) => bigint, ...values: readonly number[]): number {
  const width = bitsOf(dtype)
  const bits = f(...values.map(BigInt))
  const wrapped = Number(dtype.startsWith('u') ? BigInt.asUintN(width, bits) : BigInt.asIntN(width, bits))
  if (!Number.isSafeInteger(wrapped)) throw new GraphError(`${wrapped} is beyond 2^53: float64 cannot hold it`)
  return wrapped
}

function requireInteger([x]: readonly Value[]): void {
  if (!isInteger(x!.dtype)) throw new GraphError(`needs whole numbers, got ${x!.dtype}; cast first`)
}

const wholes =
  (values: readonly number[], dtype: DType = 'int32') =>
  (...shape: number[]): SampleInput =>
    fixed(
      dtype,
      shape,
      Array.from({ length: shape.reduce((size, dim) => size * dim, 1) }, (_, i) => values[i % values.length]!),
    )

const bitwise = (name: string, f: (...bits: bigint[]) => bigint): Operator<None> =>
  binary(name, (a, b, _, dtype) => onBits(dtype, f, a, b), 'zero', {
    since: 18,
    before: 'nothing',
    samples: [wholes([5, -3, 12, 255, -128]), wholes([6, 10, -1])],
    check: requireInteger,
  })
/** The bits that both whole numbers have. */
export const BitwiseAnd = bitwise('BitwiseAnd', (...[a, b]) => a! & b!)
/** The bits that one whole number or both have. */
export const BitwiseOr = bitwise('BitwiseOr', (...[a, b]) => a! | b!)
/** The bits that one whole number has and the other has not. */
export const BitwiseXor = bitwise('BitwiseXor', (...[a, b]) => a! ^ b!)
/** The other bits. */
export const BitwiseNot: Operator<None> = operator({
  name: 'BitwiseNot',
  domain: ONNX_DOMAIN,
  since: 18,
  before: 'nothing',
  attributes: none,
  arity: [1, 1],
  elementwise: true,
  infer(inputs) {
    requireInteger(inputs)
    return [inputs[0]!]
  },
  gradient: 'zero',
  evaluate: ([x]) => [{ ...x!, data: x!.data.map((value) => onBits(x!.dtype, (...[bits]) => ~bits!, value)) }],
  samples: [{ inputs: [wholes([5, -3, 12])(2, 3)] }, { inputs: [wholes([5, 255, 12], 'uint8')(3)] }],
})

const shiftAttributes = { direction: required('string') }
/** The bits of a moved by b places, to the LEFT or to the RIGHT; a negative b moves all of them out. */
export const BitShift: Operator<typeof shiftAttributes> = binary(
  'BitShift',
  (a, b, { direction }, dtype) => {
    const places = BigInt(b < 0 ? bitsOf(dtype) : b)
    return onBits(dtype, (...[bits]) => (direction === 'LEFT' ? bits! << places : bits! >> places), a)
  },
  'zero',
  {
    since: 11,
    attributes: shiftAttributes,
    samples: [wholes([5, 255, 12], 'uint8'), wholes([1, 3, 0], 'uint8')],
    sampled: { direction: 'RIGHT' },
    check(inputs, { direction }) {
      requireInteger(inputs)
      if (direction !== 'LEFT' && direction !== 'RIGHT')
        throw new GraphError(`direction '${direction}' is not known; use 'LEFT' or 'RIGHT'`)
    },
  },
)

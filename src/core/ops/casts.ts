// Element types: ONNX's numbers for them, and the operators that change them.

import { composite } from '../graph/composite.js'
import { floatCodes, type PowerRounding } from '../graph/floats.js'
import {
  type AttributesOf,
  int,
  ONNX_DOMAIN,
  type Operator,
  older,
  operator,
  required,
  string,
} from '../graph/operator.js'
import { booleans, fixed, normal } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import {
  arrays,
  bitsOf,
  bytesOf,
  type DType,
  dtypes,
  isFloat,
  isInteger,
  isSmallFloat,
  narrow,
  type SmallDType,
  tensorOf,
  widen,
  wrapped,
} from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { map } from './reference.js'

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
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
  float6e2m3: 27,
  float6e3m2: 28,
}
export const dtypeOf = (code: number): DType | undefined => dtypes.find((dtype) => onnxTypes[dtype] === code)

/** @throws GraphError for an element type not known here */
export function requireDType(code: number): DType {
  const dtype = dtypeOf(code)
  if (dtype) return dtype
  const known = Object.entries(onnxTypes).map(([name, code]) => `${code} (${name})`)
  throw new GraphError(`to=${code} is no element type known here; known are ${known.join(', ')}`)
}

/** The version of ONNX's operators that the types came with that version 13 lacks. */
export const typeSince: Readonly<Record<SmallDType, number>> = {
  float8e4m3fn: 19,
  float8e4m3fnuz: 19,
  float8e5m2: 19,
  float8e5m2fnuz: 19,
  int4: 21,
  uint4: 21,
  float4e2m1: 23,
  float8e8m0: 24,
  int2: 25,
  uint2: 25,
  float6e2m3: 28,
  float6e3m2: 28,
}

/** What floats of 8 bits are asked for: what becomes of numbers that are too large, and how powers of two are rounded. */
const castAttributes = { saturate: int(1), round_mode: string('up') } as const
/** How {@link cast} rounds to floats of 8 bits and fewer. */
export type CastOptions = Partial<AttributesOf<typeof castAttributes>>

const isPowerRounding = (mode: string): mode is PowerRounding => ['up', 'down', 'nearest'].includes(mode)

/**
 * A number in another dtype: whole numbers truncate toward zero and wrap around, bool is "not zero"; floats of 8 bits and fewer
 * are rounded, the others left as they are.
 */
export function castNumber(value: number, to: DType, { saturate = 1, round_mode = 'up' }: CastOptions = {}): number {
  if (to === 'bool') return Number(value !== 0)
  if (isFloat(to)) return value
  if (isSmallFloat(to)) {
    const { encode, decode } = floatCodes[to]
    return decode(encode(value, saturate !== 0, isPowerRounding(round_mode) ? round_mode : 'up'))
  }
  const whole = Math.trunc(value)
  if (to === 'uint64' && whole < 0) throw new GraphError(`${whole} wraps around to a uint64 beyond 2^53`)
  return bitsOf(to) < 64 ? wrapped(whole, to) : whole
}

const castToAttributes = { to: required('int'), ...castAttributes } as const
/**
 * The same numbers in another dtype: floats truncate toward zero, bool is "not zero". The gradient of a cast between floats is that
 * of what comes out, as if nothing were rounded or held to a range, as in PyTorch; which also rounds it to small floats.
 */
export const Cast: Operator<typeof castToAttributes> = operator({
  name: 'Cast',
  domain: ONNX_DOMAIN,
  since: 24,
  // The types that the attributes are for came with them: to others they say nothing.
  before: {
    instead([x], { to, saturate, round_mode }, version) {
      if ((saturate === 1 || version >= 19) && round_mode === 'up') return undefined
      return [apply1(Cast, [x], { to, ...(version >= 19 ? { saturate } : {}) })]
    },
  },
  older: [
    older({ until: 18, attributes: { to: required('int') }, read: () => undefined }),
    older({ until: 23, attributes: { to: required('int'), saturate: int(1) }, read: () => undefined }),
  ],
  attributes: castToAttributes,
  arity: [1, 1],
  elementwise: true,
  infer([x], { to, round_mode }) {
    if (!isPowerRounding(round_mode))
      throw new GraphError(`round_mode '${round_mode}' is not known; use 'up', 'down' or 'nearest'`)
    return [{ dtype: requireDType(to), shape: x!.shape }]
  },
  dims([x], { to }, known) {
    const dtype = requireDType(to)
    if (!isInteger(dtype) || !isInteger(x!.dtype)) return [undefined]
    return [known(x)?.map((dim) => (isKnown(dim) && bitsOf(dtype) < 64 ? castNumber(dim, dtype) : dim))]
  },
  gradient: {
    // Whole numbers have a gradient where they stand for floats; that of small floats is one of more bits.
    rule: ({ grad, inputs: [x], outputs: [y] }) => [
      isInteger(y!.dtype) || y!.dtype === 'bool' ? undefined : isFloat(x!.dtype) ? cast(grad, x!.dtype) : grad,
    ],
  },
  evaluate: ([x], { to, ...options }) => [map(x!, (value) => castNumber(value, dtypeOf(to)!, options), dtypeOf(to)!)],
  samples: [
    { inputs: [normal(2, 3)], attributes: { to: onnxTypes.float64 } },
    { inputs: [fixed('uint8', [3], [0, 7, 255])], attributes: { to: onnxTypes.float32 } },
    { inputs: [fixed('float32', [4], [-2.7, -0.2, 0, 3.9])], attributes: { to: onnxTypes.int64 } },
    { inputs: [booleans(4)], attributes: { to: onnxTypes.int64 } },
  ],
})
/** x in another type of elements: whole numbers truncate toward zero, bool is "not zero". */
export const cast = (x: Value, dtype: DType, options: CastOptions = {}): Value =>
  apply1(Cast, [x], { to: onnxTypes[dtype], ...options })

/** The numbers of one value in the dtype of another. */
export const CastLike = composite({
  name: 'CastLike',
  domain: ONNX_DOMAIN,
  since: 24,
  older: [
    older({ until: 18, attributes: {}, read: () => undefined }),
    older({ until: 23, attributes: { saturate: int(1) }, read: () => undefined }),
  ],
  attributes: castAttributes,
  arity: [2, 2],
  differentiable: { inputs: [0] },
  body: ([x, like], attributes) => [cast(x!, like!.dtype, attributes)],
  samples: [
    { inputs: [normal(2, 3), normal(1)] },
    { inputs: [fixed('int64', [3], [0, -7, 255]), normal()] },
    { inputs: [fixed('float32', [4], [-2.7, -0.2, 0, 3.9]), fixed('int32', [1], [0])] },
  ],
})

const bitCastAttributes = { to: required('int') }
/** The bits of each number read as one of another dtype of the same width. */
export const BitCast: Operator<typeof bitCastAttributes> = operator({
  name: 'BitCast',
  domain: ONNX_DOMAIN,
  since: 26,
  before: 'nothing',
  attributes: bitCastAttributes,
  arity: [1, 1],
  elementwise: true,
  infer([x], { to }) {
    const dtype = requireDType(to)
    if (bitsOf(dtype) !== bitsOf(x!.dtype))
      throw new GraphError(`${x!.dtype} has ${bitsOf(x!.dtype)} bits a number, ${dtype} ${bitsOf(dtype)}`)
    return [{ dtype, shape: x!.shape }]
  },
  gradient: 'zero',
  evaluate([x], { to }) {
    const dtype = requireDType(to)
    const bytes = bytesOf(narrow({ ...x!, data: x!.data.slice() }).data).slice()
    if (dtype === 'bool')
      bytes.forEach((byte, i) => {
        bytes[i] = Number(byte !== 0)
      })
    if (bitsOf(dtype) < 8)
      bytes.forEach((byte, i) => {
        bytes[i] = wrapped(byte, dtype)
      })
    return [widen(tensorOf(dtype, x!.shape, new arrays[dtype](bytes.buffer)))]
  },
  samples: [
    { inputs: [fixed('float32', [3], [1, -2.5, 0])], attributes: { to: onnxTypes.int32 } },
    { inputs: [fixed('uint8', [3], [1, 128, 255])], attributes: { to: onnxTypes.int8 } },
  ],
})

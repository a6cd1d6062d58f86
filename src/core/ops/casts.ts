// Element types: ONNX's numbers for them, and the operators that change them.

import { composite } from '../graph/composite.js'
import { ONNX_DOMAIN, type Operator, operator, required } from '../graph/operator.js'
import { booleans, fixed, normal } from '../graph/sample.js'
import {
  arrays,
  bytesOf,
  type DType,
  dtypes,
  isFloat,
  isInteger,
  narrow,
  tensorOf,
  widen,
  widthOf,
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
}
export const dtypeOf = (code: number): DType | undefined => dtypes.find((dtype) => onnxTypes[dtype] === code)

/** @throws GraphError for an element type not known here */
export function requireDType(code: number): DType {
  const dtype = dtypeOf(code)
  if (dtype) return dtype
  const known = Object.entries(onnxTypes).map(([name, code]) => `${code} (${name})`)
  throw new GraphError(`to=${code} is no element type known here; known are ${known.join(', ')}`)
}

/** The array that a whole number of fewer than 64 bits wraps around in. */
const wrapping = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
}

/** A number in another dtype: whole numbers truncate toward zero and wrap around, bool is "not zero". */
export function castNumber(value: number, to: DType): number {
  if (to === 'bool') return Number(value !== 0)
  if (isFloat(to)) return value
  const whole = Math.trunc(value)
  if (to === 'uint64' && whole < 0) throw new GraphError(`${whole} wraps around to a uint64 beyond 2^53`)
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
  infer: ([x], { to }) => [{ dtype: requireDType(to), shape: x!.shape }],
  dims: ([x], { to }, known) => [isInteger(dtypeOf(to)!) && isInteger(x!.dtype) ? known(x) : undefined],
  gradient: {
    // Whole numbers have a gradient where they stand for floats.
    rule: ({ grad, inputs: [x], outputs: [y] }) => [
      isFloat(y!.dtype) ? (isFloat(x!.dtype) ? cast(grad, x!.dtype) : grad) : undefined,
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

/** The numbers of one value in the dtype of another. */
export const CastLike = composite({
  name: 'CastLike',
  domain: ONNX_DOMAIN,
  since: 15,
  attributes: {},
  arity: [2, 2],
  differentiable: { inputs: [0] },
  body: ([x, like]) => [cast(x!, like!.dtype)],
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
    if (widthOf(dtype) !== widthOf(x!.dtype))
      throw new GraphError(`${x!.dtype} has ${widthOf(x!.dtype)} bytes a number, ${dtype} ${widthOf(dtype)}`)
    return [{ dtype, shape: x!.shape }]
  },
  gradient: 'zero',
  evaluate([x], { to }) {
    const dtype = requireDType(to)
    const bytes = bytesOf(narrow({ ...x!, data: x!.data.slice() }).data)
    const data = new arrays[dtype](bytes.slice().buffer)
    const read = dtype === 'bool' ? new Uint8Array(data.length).map((_, i) => Number(bytes[i] !== 0)) : data
    return [widen(tensorOf(dtype, x!.shape, read))]
  },
  samples: [
    { inputs: [fixed('float32', [3], [1, -2.5, 0])], attributes: { to: onnxTypes.int32 } },
    { inputs: [fixed('uint8', [3], [1, 128, 255])], attributes: { to: onnxTypes.int8 } },
  ],
})

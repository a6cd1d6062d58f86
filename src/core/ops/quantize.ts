// Quantization: floats as numbers of few bits with a scale and a zero point, and back.

import { composite, evaluateBody } from '../graph/composite.js'
import { floatCodes } from '../graph/floats.js'
import { type AttributesOf, int, ONNX_DOMAIN, type Operator, older } from '../graph/operator.js'
import { fixed, held, normal } from '../graph/sample.js'
import { isKnown, normalizeAxis, sizeOf } from '../graph/shape.js'
import {
  bitsOf,
  type DType,
  isFloat,
  isInteger,
  isSmall,
  isSmallFloat,
  type Numbers,
  tensor,
  wholeRange,
  widen,
} from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { dtypeOf, typeSince } from './casts.js'
import {
  add,
  and,
  cast,
  clip,
  div,
  greaterOrEqual,
  lessOrEqual,
  max,
  min,
  mul,
  neg,
  round,
  sub,
  where,
} from './elementwise.js'
import { reduceMax, reduceMin, reduceSum } from './reduction.js'
import { map } from './reference.js'
import { expand, requireAxes, reshapeTo, unsqueeze } from './shape.js'
import { pad, slice } from './slice.js'

/** Where scales and zero points stand: at an axis, or one for each block along it. */
interface Grain {
  readonly axis: number
  readonly block_size: number
}

/** One scale for all. */
export const isWhole = (scale: Value): boolean => sizeOf(scale.shape) === 1 && scale.shape.length < 2

/** The blocks along an axis: how many, and how long the axis is. */
function blocksOf(x: Value, scale: Value, { axis, block_size }: Grain) {
  const [along] = requireAxes([axis], x.shape.length) as [number]
  const [length, count] = [x.shape[along]!, scale.shape[along]!]
  if (scale.shape.length !== x.shape.length) throw new GraphError('blocks need a scale with as many dimensions as x')
  if (!isKnown(length) || !isKnown(count)) throw new GraphError('blocks need an axis of known length')
  if (Math.ceil(length / block_size) !== count)
    throw new GraphError(`${count} scales for an axis of ${length} in blocks of ${block_size}`)
  return { along, length, count }
}

/** A scale or a zero point in a shape that broadcasts to x. */
function spread(scale: Value, x: Value, grain: Grain): Value {
  const rank = x.shape.length
  if (grain.block_size > 0 && !isWhole(scale)) {
    const { along, length, count } = blocksOf(x, scale, grain)
    const repeats = [...x.shape.map(() => 1), 1].map((_, i) => (i === along + 1 ? grain.block_size : 1))
    const repeated = expand(unsqueeze(scale, along + 1), repeats)
    const full = reshapeTo(
      repeated,
      scale.shape.map((dim, i) => (i === along ? count * grain.block_size : dim)),
      scale,
    )
    return count * grain.block_size === length ? full : slice(full, [along], [0], [length])
  }
  if (isWhole(scale) || rank === 1) return scale
  if (scale.shape.length !== 1) throw new GraphError('needs a scalar scale, or one number a place of the axis')
  const along = normalizeAxis(grain.axis, rank)
  if (along === undefined) throw new GraphError(`axis ${grain.axis} is out of range for ${rank} dimensions`)
  const behind = Array.from({ length: rank - 1 - along }, (_, i) => i + 1)
  return behind.length > 0 ? unsqueeze(scale, ...behind) : scale
}

/** The adjoint of `spread`: the sum over what one scale stands for. */
function gathered(grad: Value, scale: Value, grain: Grain): Value {
  const rank = grad.shape.length
  if (isWhole(scale) || rank === 1) return grad
  if (grain.block_size > 0) {
    const { along, length, count } = blocksOf(grad, scale, grain)
    const rest = count * grain.block_size - length
    const full = rest > 0 ? pad(grad, [along], [0], [rest]) : grad
    const parts = grad.shape.flatMap((dim, i) => (i === along ? [count, grain.block_size] : [dim]))
    return reduceSum(reshapeTo(full, parts, grad), [along + 1], { keepdims: 0 })
  }
  const [along] = requireAxes([grain.axis], rank)
  return reduceSum(
    grad,
    grad.shape.flatMap((_, axis) => (axis === along ? [] : [axis])),
    { keepdims: 0 },
  )
}

/** What is quantized to: whole numbers of 16 bits and fewer, and small floats that have a sign. */
function rangeOf(dtype: DType): readonly [number, number] {
  if (isSmallFloat(dtype) && dtype !== 'float8e8m0') return [-floatCodes[dtype].max, floatCodes[dtype].max]
  if (isInteger(dtype) && bitsOf(dtype) <= 16) return wholeRange(dtype)
  throw new GraphError(`${dtype} is not quantized to; use whole numbers of 16 bits at most, or floats of 8 at most`)
}

const inType = (x: Value, dtype: DType): Value => (x.dtype === dtype ? x : cast(x, dtype))
/** A gradient in the type of what it belongs to; of more bits where that is a small float. */
const gradientOf = (x: Value, grad: Value): Value => (isFloat(x.dtype) ? inType(grad, x.dtype) : grad)

/** A zero point in floats, where there is one. */
const zeroOf = (zero: Value | undefined, x: Value, dtype: DType, grain: Grain): Value | undefined =>
  zero && spread(cast(zero, dtype), x, grain)

/** The type that an attribute names; undefined where it is not given. */
function namedType(name: string, code: number): DType | undefined {
  const dtype = dtypeOf(code)
  if (code !== 0 && !dtype) throw new GraphError(`${name}=${code} is no element type known here`)
  return dtype
}
function namedFloat(name: string, code: number): DType | undefined {
  const dtype = namedType(name, code)
  if (dtype && !isFloat(dtype)) throw new GraphError(`${name}=${code} is ${dtype}; expected a float of 16 bits or more`)
  return dtype
}

/** The version that the operators take a type with. */
const takenSince = (dtype: DType | undefined): number =>
  dtype === undefined || ['float32', 'uint8', 'int8', 'int32'].includes(dtype)
    ? 10
    : isSmall(dtype)
      ? Math.max(typeSince[dtype], 19)
      : isFloat(dtype)
        ? 19
        : 21

const grainAttributes = { axis: int(1), block_size: int(0) }
const quantizeAttributes = { ...grainAttributes, output_dtype: int(0), saturate: int(1), precision: int(0) }
type QuantizeAttributes = AttributesOf<typeof quantizeAttributes>

function quantizedType(zero: Value | undefined, output_dtype: number): DType {
  const asked = namedType('output_dtype', output_dtype)
  if (asked && zero && zero.dtype !== asked)
    throw new GraphError(`output_dtype is ${asked}, the zero point ${zero.dtype}`)
  return asked ?? zero?.dtype ?? 'uint8'
}

/** What x is divided by its scale in. */
const divisionType = (x: Pick<Value, 'dtype'>, scale: Pick<Value, 'dtype'>, precision: number): DType =>
  namedFloat('precision', precision) ?? (isFloat(scale.dtype) ? scale.dtype : isFloat(x.dtype) ? x.dtype : 'float32')

/** x/scale, rounded where whole numbers come out, plus the zero point: before it is held to the range. */
function levels([x, scale, zero]: readonly Value[], { output_dtype, precision, ...grain }: QuantizeAttributes): Value {
  const dtype = divisionType(x!, scale!, precision)
  const ratio = div(inType(x!, dtype), spread(inType(scale!, dtype), x!, grain))
  const level = isInteger(quantizedType(zero, output_dtype)) ? round(ratio) : ratio
  const shift = zeroOf(zero, x!, dtype, grain)
  return shift ? add(level, shift) : level
}

function quantized(inputs: readonly Value[], attributes: QuantizeAttributes): Value {
  const dtype = quantizedType(inputs[2], attributes.output_dtype)
  const range = rangeOf(dtype)
  const level = levels(inputs, attributes)
  return isInteger(dtype) ? cast(clip(level, ...range), dtype) : cast(level, dtype, { saturate: attributes.saturate })
}

const exactly = composite({
  name: 'QuantizeLinear',
  domain: ONNX_DOMAIN,
  since: 23,
  before: {
    instead([x, scale, zero], attributes, version) {
      const { block_size, output_dtype, precision, saturate } = attributes
      const isMixed = x!.dtype !== 'int32' && x!.dtype !== scale!.dtype
      const needed = Math.max(
        ...[x!.dtype, scale!.dtype, quantizedType(zero, output_dtype)].map(takenSince),
        precision > 0 || isMixed ? 23 : block_size > 0 || output_dtype > 0 ? 21 : saturate === 1 ? 10 : 19,
      )
      return version < needed ? [quantized([x, scale, zero] as readonly Value[], attributes)] : undefined
    },
  },
  older: [
    older({ until: 18, attributes: { axis: int(1) }, read: () => undefined }),
    older({ until: 20, attributes: { axis: int(1), saturate: int(1) }, read: () => undefined }),
    older({
      until: 22,
      attributes: { ...grainAttributes, output_dtype: int(0), saturate: int(1) },
      read: () => undefined,
    }),
  ],
  attributes: quantizeAttributes,
  arity: [2, 3],
  straightThrough: true,
  check([x]) {
    if (!isFloat(x!.dtype) && x!.dtype !== 'int32') throw new GraphError(`needs floats, got ${x!.dtype}; cast it first`)
  },
  body: (inputs, attributes) => [quantized(inputs, attributes)],
  gradient: {
    rule({ grad, inputs, attributes }) {
      const [x, scale, zero] = inputs
      const [low, high] = rangeOf(quantizedType(zero, attributes.output_dtype))
      const level = levels(inputs, attributes)
      const inside = and(greaterOrEqual(level, low), lessOrEqual(level, high))
      const divisor = spread(inType(scale!, level.dtype), x!, attributes)
      const dx = div(where(inside, inType(grad, level.dtype), 0), divisor)
      const ratio = div(inType(x!, level.dtype), divisor)
      return [gradientOf(x!, dx), gradientOf(scale!, gathered(neg(mul(dx, ratio)), scale!, attributes)), undefined]
    },
  },
  samples: [
    { inputs: [normal(2, 3), held('float32', [], [0.05]), held('uint8', [], [128])] },
    { inputs: [normal(2, 3), fixed('float32', [3], [0.05, 0.1, 0.2]), fixed('int8', [3], [0, 1, -2])] },
    { inputs: [normal(2, 3), fixed('float32', [2], [0.05, 0.1])], attributes: { axis: 0 } },
  ],
})

/**
 * x/scale, rounded half to even, plus the zero point, held to the range of the result; to small floats it is a cast of the ratio.
 * Its gradient is the straight-through estimate: as if nothing were rounded, and nothing outside of the range (Jacob et al. 2018;
 * for the scale Esser et al. 2020).
 */
export const QuantizeLinear: Operator<typeof quantizeAttributes> = {
  ...exactly,
  // What is rounded is of the dtype of the division, as in every runtime: of more digits halves would go elsewhere.
  evaluate([x, scale, zero], attributes) {
    const dtype = divisionType(x!, scale!, attributes.precision)
    const [ratio] = evaluateBody([rounded(x!, dtype), rounded(scale!, dtype)], ([x, scale]) => [
      div(x!, spread(scale!, x!, attributes)),
    ])
    const ones = map(scale!, () => 1, dtype)
    return exactly.evaluate([rounded(ratio!, dtype), ones, zero!], { ...attributes, precision: 0 })
  },
}
const rounded = ({ shape, data }: Numbers, dtype: DType): Numbers => widen(tensor(dtype, shape, data))

const dequantizeAttributes = { ...grainAttributes, output_dtype: int(0) }
type DequantizeAttributes = AttributesOf<typeof dequantizeAttributes>

function dequantizedType(scale: Value, output_dtype: number): DType {
  const dtype = namedFloat('output_dtype', output_dtype) ?? scale.dtype
  if (isFloat(dtype)) return dtype
  throw new GraphError(`the scale is ${dtype}, in which nothing is computed; give output_dtype`)
}

/** (x − zero point) · scale */
export const DequantizeLinear: Operator<typeof dequantizeAttributes> = composite({
  name: 'DequantizeLinear',
  domain: ONNX_DOMAIN,
  since: 23,
  before: {
    instead([x, scale, zero], attributes, version) {
      const { block_size, output_dtype } = attributes
      const needed = Math.max(
        ...[x!.dtype, scale!.dtype].map(takenSince),
        output_dtype > 0 ? 23 : block_size > 0 ? 21 : 10,
      )
      return version < needed ? [dequantized([x, scale, zero] as readonly Value[], attributes)] : undefined
    },
  },
  older: [
    older({ until: 20, attributes: { axis: int(1) }, read: () => undefined }),
    older({ until: 22, attributes: grainAttributes, read: () => undefined }),
  ],
  attributes: dequantizeAttributes,
  arity: [2, 3],
  body: (inputs, attributes) => [dequantized(inputs, attributes)],
  gradient: {
    rule: ({ grad, inputs: [x, scale, zero], attributes }) => [
      gradientOf(x!, mul(grad, spread(inType(scale!, grad.dtype), x!, attributes))),
      gradientOf(scale!, gathered(mul(grad, centred(x!, zero, grad.dtype, attributes)), scale!, attributes)),
      undefined,
    ],
  },
  samples: [
    {
      inputs: [fixed('uint8', [2, 3], [0, 7, 255, 128, 3, 4]), fixed('float32', [], [0.05]), fixed('uint8', [], [128])],
    },
    {
      inputs: [
        fixed('int8', [2, 3], [0, 7, -128, 12, 3, 4]),
        fixed('float32', [3], [0.05, 0.1, 0.2]),
        fixed('int8', [3], [0, 1, -2]),
      ],
    },
    {
      inputs: [fixed('uint8', [2, 3], [0, 7, 255, 128, 3, 4]), fixed('float32', [2], [0.05, 0.1])],
      attributes: { axis: 0 },
    },
    {
      inputs: [fixed('uint8', [2, 3], [0, 7, 255, 128, 3, 4]), fixed('float32', [2, 2], [0.05, 0.1, 2, 3])],
      attributes: { axis: 1, block_size: 2 },
    },
  ],
})

function centred(x: Value, zero: Value | undefined, dtype: DType, grain: Grain): Value {
  const shift = zeroOf(zero, x, dtype, grain)
  return shift ? sub(cast(x, dtype), shift) : cast(x, dtype)
}
function dequantized([x, scale, zero]: readonly Value[], attributes: DequantizeAttributes): Value {
  const dtype = dequantizedType(scale!, attributes.output_dtype)
  return mul(centred(x!, zero, dtype, attributes), spread(inType(scale!, dtype), x!, attributes))
}

/** x as uint8, with the scale and the zero point that its range, 0 included, asks for: y, scale, zero point. */
export const DynamicQuantizeLinear = composite({
  name: 'DynamicQuantizeLinear',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: {},
  arity: [1, 1],
  straightThrough: true,
  body([x]) {
    const [low, high] = rangeOf('uint8')
    const least = min(reduceMin(x!, undefined, { keepdims: 0 }), 0)
    const most = max(reduceMax(x!, undefined, { keepdims: 0 }), 0)
    const scale = div(sub(most, least), high - low)
    const zero = cast(clip(round(sub(low, div(least, scale))), low, high), 'uint8')
    return [apply1(QuantizeLinear, [x!, scale, zero]), scale, zero]
  },
  samples: [{ inputs: [fixed('float32', [2, 3], [0, 2, -3, -2.5, 1.34, 0.5])] }],
})

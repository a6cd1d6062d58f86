// Quantization: floats as whole numbers of 8 or 16 bits with a scale and a zero point, and back.

import { composite, evaluateBody } from '../graph/composite.js'
import { int, ONNX_DOMAIN, type Operator } from '../graph/operator.js'
import { fixed, held, normal } from '../graph/sample.js'
import { isKnown, normalizeAxis, sizeOf } from '../graph/shape.js'
import { type DType, isFloat, type Numbers, tensor, widen } from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { dtypeOf } from './casts.js'
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

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65_535],
  int16: [-32_768, 32_767],
}

function rangeOf(dtype: DType): readonly [number, number] {
  const range = ranges[dtype]
  if (!range) throw new GraphError(`${dtype} is not quantized to; use ${Object.keys(ranges).join(', ')}`)
  return range
}

/** A zero point in floats, where there is one. */
const zeroOf = (zero: Value | undefined, x: Value, dtype: DType, grain: Grain): Value | undefined =>
  zero && spread(cast(zero, dtype), x, grain)

const isLate = (...values: readonly (Value | undefined)[]): boolean =>
  values.some((value) => value && !['float32', 'uint8', 'int8', 'int32'].includes(value.dtype))

const grainAttributes = { axis: int(1), block_size: int(0) }
const quantizeAttributes = { ...grainAttributes, output_dtype: int(0) }

function quantizedType(zero: Value | undefined, output_dtype: number): DType {
  const asked = output_dtype === 0 ? undefined : dtypeOf(output_dtype)
  if (output_dtype !== 0 && !asked) throw new GraphError(`output_dtype=${output_dtype} is no element type known here`)
  if (asked && zero && zero.dtype !== asked)
    throw new GraphError(`output_dtype is ${asked}, the zero point ${zero.dtype}`)
  return asked ?? zero?.dtype ?? 'uint8'
}

/** x/scale, rounded, plus the zero point: before it is held to the range. */
function levels(x: Value, scale: Value, zero: Value | undefined, grain: Grain): Value {
  const level = round(div(x, spread(cast(scale, x.dtype), x, grain)))
  const shift = zeroOf(zero, x, x.dtype, grain)
  return shift ? add(level, shift) : level
}

function quantized([x, scale, zero]: readonly Value[], { output_dtype, ...grain }: Grain & { output_dtype: number }) {
  const dtype = quantizedType(zero, output_dtype)
  return cast(clip(levels(x!, scale!, zero, grain), ...rangeOf(dtype)), dtype)
}

const exactly = composite({
  name: 'QuantizeLinear',
  domain: ONNX_DOMAIN,
  since: 21,
  before: {
    lacks: ['block_size', 'output_dtype'],
    instead(inputs, attributes) {
      const { block_size, output_dtype } = attributes
      return block_size > 0 || output_dtype > 0 || isLate(...inputs)
        ? [quantized(inputs as readonly Value[], attributes)]
        : undefined
    },
  },
  attributes: quantizeAttributes,
  arity: [2, 3],
  straightThrough: true,
  check([x]) {
    if (!isFloat(x!.dtype) && x!.dtype !== 'int32') throw new GraphError(`needs floats, got ${x!.dtype}; cast it first`)
  },
  body: (inputs, attributes) => [quantized(inputs, attributes)],
  gradient: {
    rule({ grad, inputs: [x, scale, zero], attributes: { output_dtype, ...grain } }) {
      const [low, high] = rangeOf(quantizedType(zero, output_dtype))
      const level = levels(x!, scale!, zero, grain)
      const inside = and(greaterOrEqual(level, low), lessOrEqual(level, high))
      const divisor = spread(cast(scale!, x!.dtype), x!, grain)
      const dx = div(where(inside, cast(grad, x!.dtype), 0), divisor)
      return [dx, cast(gathered(neg(mul(dx, div(x!, divisor))), scale!, grain), scale!.dtype), undefined]
    },
  },
  samples: [
    { inputs: [normal(2, 3), held('float32', [], [0.05]), held('uint8', [], [128])] },
    { inputs: [normal(2, 3), fixed('float32', [3], [0.05, 0.1, 0.2]), fixed('int8', [3], [0, 1, -2])] },
    { inputs: [normal(2, 3), fixed('float32', [2], [0.05, 0.1])], attributes: { axis: 0 } },
  ],
})

/**
 * x/scale, rounded half to even, plus the zero point, held to the range of the result. Its gradient is the straight-through
 * estimate: as if nothing were rounded, and nothing outside of the range (Jacob et al. 2018; for the scale Esser et al. 2020).
 */
export const QuantizeLinear: Operator<typeof quantizeAttributes> = {
  ...exactly,
  // What is rounded to whole numbers is of the dtype of x, as in every runtime: of more digits halves would go elsewhere.
  evaluate([x, scale, zero], attributes) {
    const [ratio] = evaluateBody([rounded(x!), rounded(scale!)], ([x, scale]) => [
      div(x!, spread(cast(scale!, x!.dtype), x!, attributes)),
    ])
    return exactly.evaluate([rounded(ratio!), map(scale!, () => 1), zero!], attributes)
  },
}
const rounded = (value: Numbers): Numbers => widen(tensor(value.dtype, value.shape, value.data))

/** (x − zero point) · scale */
export const DequantizeLinear = composite({
  name: 'DequantizeLinear',
  domain: ONNX_DOMAIN,
  since: 21,
  before: {
    lacks: ['block_size'],
    instead: (inputs, attributes) =>
      attributes.block_size > 0 || isLate(...inputs)
        ? [dequantized(inputs as readonly Value[], attributes)]
        : undefined,
  },
  attributes: grainAttributes,
  arity: [2, 3],
  body: (inputs, grain) => [dequantized(inputs, grain)],
  gradient: {
    rule: ({ grad, inputs: [x, scale, zero], attributes: grain }) => [
      mul(grad, spread(scale!, x!, grain)),
      gathered(mul(grad, centred(x!, zero, scale!.dtype, grain)), scale!, grain),
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
const dequantized = ([x, scale, zero]: readonly Value[], grain: Grain): Value =>
  mul(centred(x!, zero, scale!.dtype, grain), spread(scale!, x!, grain))

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

// Random draws. The numbers differ from runtime to runtime, the distribution does not.

import { composite } from '../graph/composite.js'
import { float, int, ONNX_DOMAIN, operator, optional, required } from '../graph/operator.js'
import { fixed, normal, unit } from '../graph/sample.js'
import { sizeOf } from '../graph/shape.js'
import { type DType, isFloat, type Numbers, numbers } from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { type RandomStream, randomStream } from '../random.js'
import { cast, dtypeOf, less, onnxTypes } from './elementwise.js'
import { requireFloat } from './layerNorm.js'

/** The float type of what is drawn: that of the attribute, or of the operand that the draw is like. */
function drawnType(code: number | undefined, like?: DType): DType {
  const dtype = code === undefined ? like : dtypeOf(code)
  if (dtype && isFloat(dtype)) return dtype
  throw new GraphError(
    code === undefined
      ? `draws floating-point numbers: say dtype where the input is ${like}`
      : `dtype=${code} must be 1 (float32), 10 (float16), 11 (float64) or 16 (bfloat16)`,
  )
}

function inferDraw({ shape, dtype }: { shape: readonly number[]; dtype: number }) {
  const type = drawnType(dtype)
  if (shape.some((dim) => !Number.isInteger(dim) || dim < 0)) throw new GraphError('shape must hold whole numbers')
  return [{ dtype: type, shape }]
}

/** Without a seed a runtime draws other numbers each time; these are the same each time. */
function draw(
  dtype: DType,
  shape: readonly number[],
  seed: number | undefined,
  next: (random: RandomStream) => number,
): readonly Numbers[] {
  const random = randomStream(seed ?? 0)
  const count = Number(sizeOf(shape))
  return [
    numbers(
      dtype,
      shape,
      Float64Array.from({ length: count }, () => next(random)),
    ),
  ]
}

interface Normal {
  readonly mean: number
  readonly scale: number
}
const nextNormal =
  ({ mean, scale }: Normal) =>
  (random: RandomStream) =>
    mean + scale * random.normal()
interface Uniform {
  readonly low: number
  readonly high: number
}
const nextUniform =
  ({ low, high }: Uniform) =>
  (random: RandomStream) =>
    low + (high - low) * random.uniform()

const seed = optional('float')
const attributes = { shape: required('ints'), seed, dtype: int(onnxTypes.float32) }
const likeAttributes = { seed, dtype: optional('int') }
const normalAttributes = { mean: float(0), scale: float(1) }
const uniformAttributes = { low: float(0), high: float(1) }

/** Draws from a normal distribution; `scale` is its standard deviation. */
export const RandomNormal = operator({
  name: 'RandomNormal',
  domain: ONNX_DOMAIN,
  since: 1,
  random: true,
  attributes: { ...attributes, ...normalAttributes },
  arity: [0, 0],
  infer: (_, attributes) => inferDraw(attributes),
  gradient: 'zero',
  evaluate: (_, { dtype, shape, seed, ...rest }) => draw(dtypeOf(dtype)!, shape, seed, nextNormal(rest)),
  samples: [{ inputs: [], attributes: { shape: [40, 50], seed: 3, mean: 0.5, scale: 0.25 } }],
})
/** Numbers of a normal distribution, mean 0 and scale 1 unless given, drawn from the seed when the graph runs. */
export const randomNormal = (
  shape: readonly number[],
  seed: number,
  options: { mean?: number; scale?: number } = {},
): Value => apply1(RandomNormal, [], { shape, seed, ...options })

/** Draws from [low, high), each number as likely as any other. */
export const RandomUniform = operator({
  name: 'RandomUniform',
  domain: ONNX_DOMAIN,
  since: 1,
  random: true,
  attributes: { ...attributes, ...uniformAttributes },
  arity: [0, 0],
  infer: (_, attributes) => inferDraw(attributes),
  gradient: 'zero',
  evaluate: (_, { dtype, shape, seed, ...rest }) => draw(dtypeOf(dtype)!, shape, seed, nextUniform(rest)),
  samples: [{ inputs: [], attributes: { shape: [40, 50], seed: 3, low: -2, high: 1 } }],
})
/** Numbers between low and high, 0 and 1 unless given, drawn from the seed when the graph runs. */
export const randomUniform = (
  shape: readonly number[],
  seed: number,
  options: { low?: number; high?: number } = {},
): Value => apply1(RandomUniform, [], { shape, seed, ...options })

/** RandomNormal of the shape of x, and of its type unless `dtype` says another. */
export const RandomNormalLike = operator({
  name: 'RandomNormalLike',
  domain: ONNX_DOMAIN,
  since: 1,
  random: true,
  attributes: { ...likeAttributes, ...normalAttributes },
  arity: [1, 1],
  infer: ([x], { dtype }) => [{ dtype: drawnType(dtype, x!.dtype), shape: x!.shape }],
  gradient: 'zero',
  evaluate: ([x], { dtype, seed, ...rest }) => draw(drawnType(dtype, x!.dtype), x!.shape, seed, nextNormal(rest)),
  samples: [
    { inputs: [normal(40, 50)], attributes: { seed: 3, mean: 0.5, scale: 0.25 } },
    {
      inputs: [fixed('int64', [2000], new Array<number>(2000).fill(7))],
      attributes: { dtype: onnxTypes.float32, seed: 4 },
    },
  ],
})

/** RandomUniform of the shape of x, and of its type unless `dtype` says another. */
export const RandomUniformLike = operator({
  name: 'RandomUniformLike',
  domain: ONNX_DOMAIN,
  since: 1,
  random: true,
  attributes: { ...likeAttributes, ...uniformAttributes },
  arity: [1, 1],
  infer: ([x], { dtype }) => [{ dtype: drawnType(dtype, x!.dtype), shape: x!.shape }],
  gradient: 'zero',
  evaluate: ([x], { dtype, seed, ...rest }) => draw(drawnType(dtype, x!.dtype), x!.shape, seed, nextUniform(rest)),
  samples: [{ inputs: [normal(40, 50)], attributes: { seed: 3, low: -2, high: 1 } }],
})
/** Numbers between low and high in the shape of x, drawn when the graph runs. */
export const randomUniformLike = (
  x: Value,
  options: { seed?: number | undefined; dtype?: DType; low?: number; high?: number } = {},
): Value => {
  const { dtype, ...rest } = options
  return apply1(RandomUniformLike, [x], { ...rest, dtype: dtype && onnxTypes[dtype] })
}

/**
 * 1 with the probability that x says, else 0. Always written as its body: the function of the onnx package, which runtimes take,
 * has the two exchanged.
 */
export const Bernoulli = composite({
  name: 'Bernoulli',
  domain: ONNX_DOMAIN,
  since: 22,
  random: true,
  attributes: likeAttributes,
  arity: [1, 1],
  check([x], { dtype }) {
    requireFloat(x!)
    if (dtype !== undefined && !dtypeOf(dtype)) throw new GraphError(`dtype=${dtype} is no element type known here`)
  },
  body([x], { seed, dtype }) {
    const drawn = less(randomUniformLike(x!, { seed }), x!)
    return [cast(drawn, dtype === undefined ? x!.dtype : dtypeOf(dtype)!)]
  },
  gradient: 'zero',
  samples: [
    { inputs: [unit(40, 50)], attributes: { seed: 3 } },
    { inputs: [unit(2000)], attributes: { dtype: onnxTypes.int64, seed: 4 } },
  ],
})

/** The place of the class that a number from [0, 1) falls on. */
function classAt(fraction: number, logits: Float64Array): number {
  const top = Math.max(...logits)
  const parts = logits.map((logit) => Math.exp(logit - top))
  let left = fraction * parts.reduce((sum, part) => sum + part, 0)
  const place = parts.findIndex((part) => {
    left -= part
    return left < 0
  })
  return place < 0 ? parts.findLastIndex((part) => part > 0) : place
}

/** For each row of unnormalized log-probabilities so many classes, drawn by softmax of the row. */
export const Multinomial = operator({
  name: 'Multinomial',
  domain: ONNX_DOMAIN,
  since: 7,
  random: true,
  attributes: { seed, dtype: int(onnxTypes.int32), sample_size: int(1) },
  arity: [1, 1],
  infer([x], { dtype, sample_size }) {
    requireFloat(x!)
    if (x!.shape.length !== 2) throw new GraphError('needs log-probabilities [batch, classes]')
    const type = dtypeOf(dtype)
    if (type !== 'int32' && type !== 'int64') throw new GraphError(`dtype=${dtype} must be 6 (int32) or 7 (int64)`)
    return [{ dtype: type, shape: [x!.shape[0]!, sample_size] }]
  },
  gradient: 'zero',
  evaluate([x], { dtype, sample_size, seed }) {
    const [batch, classes] = x!.shape as readonly [number, number]
    const random = randomStream(seed ?? 0)
    const places = Float64Array.from({ length: batch * sample_size }, (_, i) => {
      const row = Math.floor(i / sample_size)
      return classAt(random.uniform(), x!.data.subarray(row * classes, (row + 1) * classes))
    })
    return [numbers(dtypeOf(dtype)!, [batch, sample_size], places)]
  },
  samples: [{ inputs: [normal(2, 5)], attributes: { sample_size: 2000, seed: 3 } }],
})

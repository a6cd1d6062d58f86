// Random draws. The numbers differ from runtime to runtime, the distribution does not.

import { float, int, ONNX_DOMAIN, operator, required } from '../graph/operator.js'
import { sizeOf } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { type RandomStream, randomStream } from '../random.js'
import { dtypeOf, onnxTypes } from './elementwise.js'

function inferDraw({ shape, dtype }: { shape: readonly number[]; dtype: number }) {
  const type = dtypeOf(dtype)
  if (type !== 'float32' && type !== 'float64')
    throw new GraphError(`dtype=${dtype} must be 1 (float32) or 11 (float64)`)
  if (shape.some((dim) => !Number.isInteger(dim) || dim < 0)) throw new GraphError('shape must hold whole numbers')
  return [{ dtype: type, shape }]
}

function draw(
  { shape, dtype, seed }: { shape: readonly number[]; dtype: number; seed: number },
  next: (random: RandomStream) => number,
): readonly Numbers[] {
  const random = randomStream(seed)
  return [
    numbers(
      dtypeOf(dtype)!,
      shape,
      Float64Array.from({ length: Number(sizeOf(shape)) }, () => next(random)),
    ),
  ]
}

const attributes = { shape: required('ints'), seed: required('float'), dtype: int(onnxTypes.float32) }

/** Draws from a normal distribution; `scale` is its standard deviation. */
export const RandomNormal = operator({
  name: 'RandomNormal',
  domain: ONNX_DOMAIN,
  since: 1,
  attributes: { ...attributes, mean: float(0), scale: float(1) },
  arity: [0, 0],
  infer: (_, attributes) => inferDraw(attributes),
  gradient: 'zero',
  evaluate: (_, attributes) => draw(attributes, (random) => attributes.mean + attributes.scale * random.normal()),
  samples: [{ inputs: [], attributes: { shape: [40, 50], seed: 3, mean: 0.5, scale: 0.25 } }],
})
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
  attributes: { ...attributes, low: float(0), high: float(1) },
  arity: [0, 0],
  infer: (_, attributes) => inferDraw(attributes),
  gradient: 'zero',
  evaluate: (_, { low, high, ...rest }) => draw(rest, (random) => low + (high - low) * random.uniform()),
  samples: [{ inputs: [], attributes: { shape: [40, 50], seed: 3, low: -2, high: 1 } }],
})
export const randomUniform = (
  shape: readonly number[],
  seed: number,
  options: { low?: number; high?: number } = {},
): Value => apply1(RandomUniform, [], { shape, seed, ...options })

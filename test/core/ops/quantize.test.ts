// The straight-through estimate: a gradient through whole numbers.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply, apply1, constant, input, type Value } from '../../../src/core/graph/value.js'
import {
  DequantizeLinear,
  DynamicQuantizeLinear,
  DynamicQuantizeLSTM,
  LSTM,
  mul,
  onnxTypes,
  QLinearMatMul,
  QuantizeLinear,
  reduceSum,
} from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'

const x = input('x', 'float32', [4])
const weights = constant('float32', [1, 2, 3, 4])
const zero = constant('uint8', 128)
const total = (y: Value) => reduceSum(mul(y, weights), undefined, { keepdims: 0 })
const at = (values: readonly Value[], fed: readonly number[], ...scale: readonly Value[]) =>
  evaluateValues(
    values,
    new Map([[x, numbers('float32', [4], fed)], ...scale.map((s) => [s, numbers('float32', [], [0.1])] as const)]),
  ).map(({ data }) => [...data])

it('passes what is not clipped, and the scale has the gradient of learned step sizes', () => {
  const scale = input('scale', 'float32', [])
  const y = apply1(DequantizeLinear, [apply1(QuantizeLinear, [x, scale, zero]), scale, zero])
  const [dx, ds] = at(gradients(total(y), [x, scale]), [0.52, -0.23, 100, -100], scale)
  expect(dx).toEqual([1, 2, 0, 0])
  // round(x/s) − x/s inside, the end of the range outside.
  expect(ds![0]).toBeCloseTo(1 * (5 - 5.2) + 2 * (-2 + 2.3) + 3 * 127 + 4 * -128)
})

it('goes through a quantized product and a range that follows the data', () => {
  const [q, scale, middle] = apply(DynamicQuantizeLinear, [x])
  const [dx] = at(gradients(total(apply1(DequantizeLinear, [q!, scale!, middle!])), [x]), [0.5, 0.1, -0.2, 0.3])
  expect(dx!.every(Number.isFinite)).toBe(true)
  expect(dx![1]).toBeCloseTo(2)
  expect(dx![3]).toBeCloseTo(4)
  const one = constant('float32', 1)
  const step = constant('float32', 0.1)
  const w = constant('uint8', [130, 129, 128, 127], [4, 1])
  const product = apply1(QLinearMatMul, [apply1(QuantizeLinear, [x, step, zero]), step, zero, w, one, zero, step, zero])
  const y = apply1(DequantizeLinear, [product, step, zero])
  expect(
    at(gradients(reduceSum(y, undefined, { keepdims: 0 }), [x]), [0.5, 0.1, -0.2, 0.3])[0]!.map(Math.round),
  ).toEqual([2, 1, 0, -1])
})

it('of an LSTM of 8 bits is about that of the LSTM with the same weights', () => {
  const random = randomStream(5, 'lstm')
  const [steps, features, hidden] = [3, 4, 5]
  const whole = (count: number) => Float64Array.from({ length: count }, () => random.below(255) - 127)
  const x = input('x', 'float32', [steps, 1, features])
  const held = (rows: number, scale: number) => {
    const values = whole(rows * 4 * hidden)
    // [rows, gates · hidden] as whole numbers, [gates · hidden, rows] as floats.
    const float = Float64Array.from(values, (_, i) => scale * values[(i % rows) * 4 * hidden + Math.floor(i / rows)]!)
    return {
      quantized: constant('int8', values, [1, rows, 4 * hidden]),
      dense: constant('float32', float, [1, 4 * hidden, rows]),
      scale: constant('float32', [scale]),
    }
  }
  const [w, r] = [held(features, 0.004), held(hidden, 0.003)]
  const none = constant('int8', [0])
  const attributes = { hidden_size: hidden }
  const [y] = apply(
    DynamicQuantizeLSTM,
    [x, w.quantized, r.quantized, ...new Array(5).fill(undefined), w.scale, none, r.scale, none],
    attributes,
  )
  const [smooth] = apply(LSTM, [x, w.dense, r.dense], attributes)
  const fed = new Map([[x, numbers('float32', x.shape as number[], Float64Array.from({ length: 12 }, random.normal))]])
  const sum = (value: Value) => reduceSum(value, undefined, { keepdims: 0 })
  const [found, expected] = evaluateValues(
    [y!, smooth!].flatMap((value) => gradients(sum(value), [x])),
    fed,
  )
  const largest = Math.max(...expected!.data.map(Math.abs))
  expect(largest).toBeGreaterThan(0.01)
  found!.data.forEach((value, i) => {
    expect(Math.abs(value - expected!.data[i]!)).toBeLessThan(0.02 * largest)
  })
})

it('goes to few bits, with a scale for each block, and to small floats', () => {
  const row = [1, -9, 0.3, 5]
  const scale = constant('float32', [0.5, 2])
  const int4 = apply1(QuantizeLinear, [x, scale], { axis: 0, block_size: 2, output_dtype: onnxTypes.int4 })
  expect(at([int4], row)).toEqual([[2, -8, 0, 2]])
  const back = apply1(DequantizeLinear, [int4, scale], { axis: 0, block_size: 2 })
  expect(at([back, ...gradients(total(back), [x])], row)).toEqual([
    [1, -4, 0, 4],
    [1, 0, 3, 4],
  ])
  // Steps of 1/8 from 1 on, and 448 the most.
  const one = constant('float32', 1)
  const float8 = (saturate: number) =>
    apply1(QuantizeLinear, [x, one], { output_dtype: onnxTypes.float8e4m3fn, saturate })
  expect(at([float8(1), float8(0)], [1.06, 1e6, -1.07, 0])).toEqual([
    [1, 448, -1.125, 0],
    [1, Number.NaN, -1.125, 0],
  ])
  const wide = apply1(DequantizeLinear, [float8(1), one])
  expect(at(gradients(total(wide), [x]), [1.06, 1e6, -1.07, 0])).toEqual([[1, 0, 3, 4]])
})

it('divides in the type that is asked for', () => {
  // 2049 has no half: it is 2048 there.
  const scale = constant('float32', 1)
  const levels = (precision: number) => apply1(QuantizeLinear, [x, scale], { output_dtype: onnxTypes.int16, precision })
  expect(at([levels(0), levels(onnxTypes.float16)], [2049, 1, 2, 3])).toEqual([
    [2049, 1, 2, 3],
    [2048, 1, 2, 3],
  ])
  expect(() => levels(onnxTypes.int8)).toThrow('precision=3 is int8; expected a float of 16 bits or more')
})

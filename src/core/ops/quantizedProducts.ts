// Matrix products and convolutions of quantized values.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, optional } from '../graph/operator.js'
import { fixed, held } from '../graph/sample.js'
import type { DType } from '../graph/tensor.js'
import { apply1, type Value } from '../graph/value.js'
import { type ConvOptions, conv } from './conv.js'
import { add, cast, mul, sub } from './elementwise.js'
import { matmul } from './matmul.js'
import { isWhole, QuantizeLinear } from './quantize.js'
import { unsqueeze } from './shape.js'
import { autoPad } from './window.js'

/** Whole numbers of 8 bits less their zero point, which is one for all, or a row (a vector), or in the shape of x. */
function shifted(x: Value, zero: Value | undefined, dtype: DType, isRows: boolean): Value {
  const wide = cast(x, dtype)
  return zero ? sub(wide, perLine(cast(zero, dtype), isRows)) : wide
}
const perLine = (value: Value, isRows: boolean): Value =>
  isRows && value.shape.length === 1 && value.shape[0] !== 1 ? unsqueeze(value, 1) : value

/** The matrix product of (A − its zero point) and (B − its zero point), in int32. */
export const MatMulInteger = composite({
  name: 'MatMulInteger',
  domain: ONNX_DOMAIN,
  since: 10,
  attributes: {},
  arity: [2, 4],
  body: ([a, b, zeroA, zeroB]) => [matmul(shifted(a!, zeroA, 'int32', true), shifted(b!, zeroB, 'int32', false))],
  samples: [
    { inputs: [fixed('uint8', [2, 3], [0, 7, 255, 128, 3, 4]), fixed('uint8', [3, 2], [1, 2, 3, 4, 5, 6])] },
    {
      inputs: [
        fixed('uint8', [2, 3], [0, 7, 255, 128, 3, 4]),
        fixed('int8', [3, 2], [1, -2, 3, 4, -5, 6]),
        fixed('uint8', [], [12]),
        fixed('int8', [], [1]),
      ],
    },
  ],
})

/** The matrix product of two quantized matrices, quantized. */
export const QLinearMatMul = composite({
  name: 'QLinearMatMul',
  domain: ONNX_DOMAIN,
  since: 10,
  attributes: {},
  arity: [8, 8],
  straightThrough: true,
  body([a, scaleA, zeroA, b, scaleB, zeroB, scale, zero]) {
    const left = mul(shifted(a!, zeroA, scaleA!.dtype, true), perLine(scaleA!, true))
    const right = mul(shifted(b!, zeroB, scaleB!.dtype, false), perLine(scaleB!, false))
    return [apply1(QuantizeLinear, [matmul(left, right), scale!, zero!])]
  },
  samples: [
    {
      inputs: [
        fixed('uint8', [2, 4], [208, 236, 0, 238, 3, 214, 255, 29]),
        fixed('float32', [], [0.0066]),
        fixed('uint8', [], [113]),
        fixed('uint8', [4, 3], [152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247]),
        fixed('float32', [], [0.00705]),
        fixed('uint8', [], [114]),
        fixed('float32', [], [0.0107]),
        fixed('uint8', [], [118]),
      ],
    },
  ],
})

const convAttributes = {
  group: int(1),
  kernel_shape: optional('ints'),
  strides: optional('ints'),
  pads: optional('ints'),
  dilations: optional('ints'),
  auto_pad: autoPad,
} as const

/** One number an output channel in the shape of the weights; a scalar as it is. */
const perChannel = (value: Value, w: Value): Value =>
  isWhole(value) ? value : unsqueeze(value, ...w.shape.slice(1).map((_, i) => i + 1))

/** The whole numbers of a convolution less their zero points, as floats; what is padded is the zero point. */
function convolved(
  x: Value,
  w: Value,
  zeroX: Value | undefined,
  zeroW: Value | undefined,
  attributes: ConvOptions,
): Value {
  const kernel = cast(w, 'float32')
  const weights = zeroW ? sub(kernel, perChannel(cast(zeroW, 'float32'), w)) : kernel
  return conv(shifted(x, zeroX, 'float32', false), weights, attributes)
}

/** The convolution of (x − its zero point) with (w − its zero point), in int32. */
export const ConvInteger = composite({
  name: 'ConvInteger',
  domain: ONNX_DOMAIN,
  since: 10,
  attributes: convAttributes,
  arity: [2, 4],
  body: ([x, w, zeroX, zeroW], attributes) => [cast(convolved(x!, w!, zeroX, zeroW, attributes), 'int32')],
  samples: [
    {
      inputs: [
        fixed('uint8', [1, 1, 3, 3], [2, 3, 4, 5, 6, 7, 8, 9, 10]),
        fixed('uint8', [1, 1, 2, 2], [1, 1, 1, 1]),
        fixed('uint8', [], [1]),
      ],
      attributes: { pads: [1, 1, 1, 1] },
    },
  ],
})

/** The convolution of a quantized x with quantized weights, quantized; the bias has the scale of both together. */
export const QLinearConv = composite({
  name: 'QLinearConv',
  domain: ONNX_DOMAIN,
  since: 10,
  attributes: convAttributes,
  arity: [8, 9],
  straightThrough: true,
  body([x, scaleX, zeroX, w, scaleW, zeroW, scale, zero, bias], attributes) {
    const sums = convolved(x!, w!, zeroX, zeroW, attributes)
    const channels = (value: Value) =>
      isWhole(value) ? value : unsqueeze(value, ...sums.shape.slice(2).map((_, i) => i + 1))
    const total = bias ? add(sums, channels(cast(bias, 'float32'))) : sums
    return [apply1(QuantizeLinear, [mul(total, mul(channels(scaleW!), scaleX!)), scale!, zero!])]
  },
  samples: [
    {
      inputs: [
        fixed('uint8', [1, 1, 3, 3], [255, 174, 162, 25, 203, 168, 58, 15, 59]),
        fixed('float32', [], [0.00369]),
        fixed('uint8', [], [132]),
        fixed('uint8', [2, 1, 1, 1], [0, 200]),
        held('float32', [2], [0.00172, 0.0031]),
        held('uint8', [2], [255, 100]),
        fixed('float32', [], [0.00162]),
        fixed('uint8', [], [123]),
        held('int32', [2], [100, -200]),
      ],
    },
  ],
})

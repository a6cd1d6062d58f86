// ONNX Runtime's LSTM with weights of 8 bits, as its dynamic quantization writes it.

import { composite } from '../graph/composite.js'
import { int, optional } from '../graph/operator.js'
import { fixed, normal } from '../graph/sample.js'
import { apply, GraphError, type Value } from '../graph/value.js'
import { cast, mul, sub } from './elementwise.js'
import { DequantizeLinear, DynamicQuantizeLinear } from './quantize.js'
import { recurrent, recurrentAttributes } from './recurrent.js'
import { longShort, operandsOf } from './rnn.js'
import { transpose, unsqueeze } from './shape.js'

const { layout: _, ...shared } = recurrentAttributes
const attributes = { ...shared, activations: optional('strings'), input_forget: int(0) }

/** What 8 bits keep of x. */
const rounded = (x: Value): Value => apply(DequantizeLinear, apply(DynamicQuantizeLinear, [x], {}), {})[0]!

/** [directions, gates · hidden, …] of weights that stand as [directions, …, gates · hidden]. */
function dequantized(weights: Value, scale: Value, zero: Value): Value {
  const spread = (value: Value) => (value.shape.length === 1 ? unsqueeze(value, 1, 2) : unsqueeze(value, 1))
  const centred = sub(cast(weights, 'float32'), cast(spread(zero), 'float32'))
  return transpose(mul(centred, spread(scale)), [0, 2, 1])
}

/**
 * LSTM whose weights are whole numbers with a scale and a zero point for each direction or each of its gates' rows, and whose inputs and
 * states are held to 8 bits before they are multiplied (DynamicQuantizeLSTM in ONNX Runtime's contrib operators). The gradient takes
 * that rounding for the identity.
 */
export const DynamicQuantizeLSTM = composite({
  name: 'DynamicQuantizeLSTM',
  domain: 'com.microsoft',
  since: 1,
  attributes,
  arity: [3, 12],
  requiredOutputs: 0,
  straightThrough: true,
  check([x, , , , , , , , ...scales]) {
    if (scales.filter((value) => value).length < 4) throw new GraphError('needs scales and zero points of w and r')
    if (x!.dtype !== 'float32') throw new GraphError(`needs a float32 input, got ${x!.dtype}`)
    if (scales.some((value) => ![1, 2].includes(value!.shape.length)))
      throw new GraphError('needs scales and zero points [directions] or [directions, gates · hidden]')
  },
  body([x, w, r, b, lengths, h, c, peepholes, wScale, wZero, rScale, rZero], given) {
    const [dense, recurrence] = [dequantized(w!, wScale!, wZero!), dequantized(r!, rScale!, rZero!)]
    const operands = operandsOf(2, [x, dense, recurrence, b, lengths, h, c, peepholes])
    return recurrent(operands, { ...given, layout: 0 }, longShort(given.input_forget !== 0, rounded))
  },
  samples: [
    {
      inputs: [
        normal(2, 1, 2),
        fixed('int8', [1, 2, 8], [9, -20, 31, 7, -64, 90, 12, -3, 44, 5, -77, 60, 21, -11, 3, 127]),
        fixed('int8', [1, 2, 8], [-8, 15, 70, -40, 33, 2, -90, 19, 55, -6, 28, 81, -13, 47, -29, 10]),
        normal(1, 16),
        undefined,
        undefined,
        undefined,
        undefined,
        fixed('float32', [1], [0.0125]),
        fixed('int8', [1], [0]),
        fixed('float32', [1], [0.015]),
        fixed('int8', [1], [0]),
      ],
      attributes: { hidden_size: 2 },
    },
  ],
})

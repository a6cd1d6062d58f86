// com.microsoft.InPlaceAccumulatorV2, of ONNX Runtime's training builds: how a model of the training API changes a tensor
// that the session keeps. Inputs and outputs: orttraining/orttraining/core/graph/training_op_defs.cc.

import { operator } from '../../core/graph/operator.js'
import { fixed, normal } from '../../core/graph/sample.js'
import { sameShape } from '../../core/graph/shape.js'
import { numbers } from '../../core/graph/tensor.js'
import { apply1, GraphError, type Value } from '../../core/graph/value.js'

/**
 * Adds a value to a buffer, or with `overwrite` bool [1] takes its place. The runtime changes the memory of the buffer
 * itself, an input of the graph; here, where values never change, the new buffer is the second output.
 */
export const InPlaceAccumulatorV2 = operator({
  name: 'InPlaceAccumulatorV2',
  domain: 'com.microsoft',
  since: 1,
  attributes: {},
  arity: [3, 3],
  requiredOutputs: 1,
  infer([buffer, value, overwrite]) {
    if (buffer!.dtype !== value!.dtype || !sameShape(buffer!.shape, value!.shape))
      throw new GraphError('needs a value of the type of the buffer')
    if (overwrite!.dtype !== 'bool' || !sameShape(overwrite!.shape, [1])) throw new GraphError('needs a flag bool[1]')
    return [{ dtype: 'bool', shape: [1] }, buffer!]
  },
  gradient: { forbidden: 'accumulate what gradients gives, and differentiate before' },
  evaluate([buffer, value, overwrite]) {
    const next = overwrite!.data[0] ? value!.data : value!.data.map((v, i) => buffer!.data[i]! + v)
    return [numbers('bool', [1], [1]), numbers(buffer!.dtype, buffer!.shape, next)]
  },
  samples: [
    { inputs: [normal(2, 3), normal(2, 3), fixed('bool', [1], [0])] },
    { inputs: [normal(2, 3), normal(2, 3), fixed('bool', [1], [1])] },
  ],
})

/** The flag that the buffer has changed, bool [1]. */
export const accumulate = (buffer: Value, value: Value, overwrite: Value): Value =>
  apply1(InPlaceAccumulatorV2, [buffer, value, overwrite])

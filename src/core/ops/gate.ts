// Stochastic depth.

import { composite } from '../graph/composite.js'
import { float, TRAINING_DOMAIN } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { mul } from './elementwise.js'

/**
 * A residual function's switch. With one input (stochastic depth, inference) x is scaled by its survival probability; with
 * two it is multiplied by the gate, a scalar: 1 keeps the function, 0 drops it. In training the driver draws it for each
 * mini-batch; in an inference graph it belongs to one function, and training leaves it out.
 */
export const Gate = composite({
  name: 'Gate',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x', 'gate'],
    outputs: ['y'],
    text:
      'Stochastic depth (Huang et al. 2016): in training y = x · gate, where 1 keeps a residual function and 0 drops it; without ' +
      'a gate y = x · survival, the mean of that.',
  },
  attributes: { survival: float(1) },
  arity: [1, 2],
  elementwise: true,
  check([x, gate], { survival }) {
    if (!(survival > 0 && survival <= 1)) throw new GraphError(`survival ${survival} must be in (0, 1]`)
    if (gate && (gate.shape.length !== 0 || gate.dtype !== x!.dtype))
      throw new GraphError('needs a scalar gate of the dtype of x')
  },
  body: ([x, gate], { survival }) => [mul(x!, gate ?? survival)],
  samples: [
    { inputs: [normal(2, 3)], attributes: { survival: 0.7 } },
    { inputs: [normal(2, 3), normal()], attributes: { survival: 0.7 } },
  ],
})
/**
 * x behind the gate of a residual function, for stochastic depth (Huang et al. 2016): times survival in inference, else
 * times `open`, 0 or 1. The shape of x.
 */
export function gate(x: Value, survival: number, open?: Value): Value {
  return apply1(Gate, open ? [x, open] : [x], { survival })
}

// Sums of all elements up to each.

import { knownIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { fixed, normal, scalarInt } from '../graph/sample.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply1, constant, type Value } from '../graph/value.js'
import { roundedTo } from './pointwise.js'
import { lines } from './reference.js'
import { requireAxes } from './shape.js'

export const cumulativeAttributes = { exclusive: int(0), reverse: int(0) }

/** Folds each line of x along an axis, in which an element holds what was folded up to it. */
export function cumulate(
  x: Numbers,
  axis: Numbers,
  { exclusive, reverse }: { readonly exclusive: number; readonly reverse: number },
  start: number,
  step: (total: number, value: number) => number,
): Numbers {
  const [along] = requireAxes([...axis.data], x.shape.length)
  const line = lines(x, along!)
  const data = new Float64Array(x.data.length)
  for (const first of line.starts) {
    let total = start
    for (let k = 0; k < line.length; k++) {
      const at = first + (reverse ? line.length - 1 - k : k) * line.step
      const next = roundedTo(x.dtype, step(total, x.data[at]!))
      data[at] = exclusive ? total : next
      total = next
    }
  }
  return numbers(x.dtype, x.shape, data)
}

/** Sums of all elements up to each along an axis; its gradient runs the other way. */
export const CumSum: Operator<typeof cumulativeAttributes> = operator({
  name: 'CumSum',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: cumulativeAttributes,
  arity: [2, 2],
  infer([x, axis]) {
    requireAxes(knownIn(axis) ?? [], x!.shape.length)
    return [x!]
  },
  gradient: {
    rule: ({ grad, inputs: [, axis], attributes: { exclusive, reverse } }) => [
      apply1(CumSum, [grad, axis!], { exclusive, reverse: 1 - reverse }),
    ],
  },
  evaluate: ([x, axis], attributes) => [cumulate(x!, axis!, attributes, 0, (total, value) => total + value)],
  samples: [
    { inputs: [normal(3, 4), scalarInt(1)] },
    { inputs: [normal(2, 3, 2), scalarInt(-2)], attributes: { exclusive: 1 } },
    { inputs: [normal(5), scalarInt(0)], attributes: { reverse: 1 } },
    { inputs: [normal(2, 3), fixed('int64', [], [1])] },
  ],
})
/** The sums of all elements up to each along an axis. */
export const cumSum = (x: Value, axis: number): Value => apply1(CumSum, [x, constant('int64', axis)])

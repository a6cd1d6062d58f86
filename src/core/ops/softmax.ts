// Operators that give the numbers along an axis shares of one: Softmax, LogSoftmax, Hardmax.

import { int, type Older, ONNX_DOMAIN, type Operator, older, operator } from '../graph/operator.js'
import { distinct, normal } from '../graph/sample.js'
import { sameShape, sizeOf } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply1, constantOf, nodeOf, type Value } from '../graph/value.js'
import { argPlaces } from './argument.js'
import { Where, where } from './choice.js'
import { IsNaN } from './comparison.js'
import { exp, mul, sub } from './elementwise.js'
import { reduceMax, reduceSum, sum } from './reduction.js'
import { fold, lines, map } from './reference.js'
import { flatten, requireAxes, reshapeAs } from './shape.js'

/** x − log Σ e^x along an axis, from the shifted x so that nothing overflows. */
function logSoftmaxOf(x: Numbers, axis: number): Numbers {
  const axes = requireAxes([axis], x.shape.length)
  const inner = Number(sizeOf(x.shape.slice(axes[0]! + 1)))
  const length = x.shape[axes[0]!]!
  const group = (i: number) => Math.floor(i / (length * inner)) * inner + (i % inner)
  const top = fold(x, axes, Number.NEGATIVE_INFINITY, Math.max)
  const shifted = numbers(
    x.dtype,
    x.shape,
    x.data.map((value, i) => value - top.data[group(i)]!),
  )
  const total = sum(map(shifted, Math.exp), axes)
  return numbers(
    x.dtype,
    x.shape,
    shifted.data.map((value, i) => value - Math.log(total.data[group(i)]!)),
  )
}

const softmaxAttributes = { axis: int(-1) }
type SoftmaxOperator = Operator<typeof softmaxAttributes>

/** Before version 13 all axes from `axis` on count as one. */
const coerced = (record: () => SoftmaxOperator): Older =>
  older({
    until: 12,
    attributes: { axis: int(1) },
    read([x], { axis }) {
      const [along] = requireAxes([axis], x!.shape.length)
      if (along === x!.shape.length - 1) return [apply1(record(), [x])]
      return [reshapeAs(apply1(record(), [flatten(x!, along)]), x!)]
    },
  })

function alongAxis(
  name: string,
  evaluate: (x: Numbers, axis: number) => Numbers,
  gradient: ((grad: Value, y: Value, axis: number) => Value) | 'zero',
  sample = normal,
): SoftmaxOperator {
  const record: SoftmaxOperator = operator({
    name,
    domain: ONNX_DOMAIN,
    since: 13,
    older: [coerced(() => record)],
    attributes: softmaxAttributes,
    arity: [1, 1],
    infer([x], { axis }) {
      requireAxes([axis], x!.shape.length)
      return [x!]
    },
    gradient:
      gradient === 'zero'
        ? 'zero'
        : { rule: ({ grad, outputs: [y], attributes: { axis } }) => [gradient(grad, y!, axis)] },
    evaluate: ([x], { axis }) => [evaluate(x!, requireAxes([axis], x!.shape.length)[0]!)],
    samples: [{ inputs: [sample(3, 4)] }, { inputs: [sample(2, 3, 2)], attributes: { axis: 1 } }],
  })
  return record
}

/** e^x / Σe^x; dx = y(dy − Σ dy·y) */
export const Softmax: SoftmaxOperator = alongAxis(
  'Softmax',
  (x, axis) => map(logSoftmaxOf(x, axis), Math.exp),
  (grad, y, axis) => mul(y, sub(grad, reduceSum(mul(grad, y), [axis]))),
)
/** e^x / Σe^x along an axis, the last one unless given. */
export const softmax = (x: Value, axis = -1): Value => apply1(Softmax, [x], { axis })

/**
 * Where(IsNaN(s), 0, s) of a softmax s, which exporters write for attention that may be masked altogether, asks before the softmax
 * instead: through the numbers that are none every gradient would be none. What is masked altogether has the gradient 0, as in
 * PyTorch's `_safe_softmax`. Any other value is returned as it is.
 */
export function safeSoftmax(value: Value): Value {
  const choice = nodeOf(value)
  const [condition, zero, chosen] = choice?.inputs ?? []
  const [asks, makes] = [nodeOf(condition), nodeOf(chosen)]
  if (choice?.operator !== Where || asks?.operator !== IsNaN || makes?.operator !== Softmax) return value
  if (asks.inputs[0] !== chosen || constantOf(zero)?.join() !== '0' || !sameShape(value.shape, chosen!.shape))
    return value
  const [x] = makes.inputs as readonly [Value]
  const { axis } = makes.attributes as { readonly axis: number }
  const top = reduceMax(x, [axis])
  // −∞ − −∞ is no number.
  const isMasked = apply1(IsNaN, [sub(top, top)])
  return where(isMasked, 0, softmax(where(isMasked, 0, x), axis))
}

/** log softmax; dx = dy − e^y Σdy */
export const LogSoftmax: SoftmaxOperator = alongAxis('LogSoftmax', logSoftmaxOf, (grad, y, axis) =>
  sub(grad, mul(exp(y), reduceSum(grad, [axis]))),
)
/** x − ln Σe^x along an axis, the last one unless given. */
export const logSoftmax = (x: Value, axis = -1): Value => apply1(LogSoftmax, [x], { axis })

/** 1 at the first of the largest elements along an axis, 0 elsewhere. */
export const Hardmax: SoftmaxOperator = alongAxis(
  'Hardmax',
  (x, axis) => {
    const { starts, step } = lines(x, axis)
    const data = new Float64Array(x.data.length)
    for (const [line, place] of argPlaces(x, axis).entries()) data[starts[line]! + place * step] = 1
    return numbers(x.dtype, x.shape, data)
  },
  'zero',
  distinct,
)

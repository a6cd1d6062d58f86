// Control flow: graphs inside operators.

import { closure } from '../graph/closure.js'
import { evaluate } from '../graph/evaluate.js'
import { type Body, ONNX_DOMAIN, operator, required } from '../graph/operator.js'
import { fixed, normal, scalar } from '../graph/sample.js'
import { sameShape } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply, constant, constantOf, formatType, GraphError, input, type Value } from '../graph/value.js'
import { add, mul } from './elementwise.js'

/** Body inputs before the carried values: the iteration, from 0, and the condition. */
const GIVEN = 2

function split({ graph, captured }: Body) {
  const inputs = graph.inputs.slice(0, graph.inputs.length - captured)
  const [condition, ...outputs] = [...graph.outputs.values()]
  return { inputs, condition, outputs, carried: inputs.length - GIVEN }
}

function requireBoolean(condition: Value | undefined, what: string): void {
  if (condition?.dtype !== 'bool' || condition.shape.length > 1) throw new GraphError(`${what} must be one bool`)
}

/**
 * Runs a body up to so many times, while its condition holds. Inputs: trip count int64 [], condition bool [], both
 * optional, the carried values, and what the body captures. Body: iteration int64 [], condition bool [], carried values →
 * condition, next carried values, and what is stacked over iterations. Outputs: the last carried values, then the stacks.
 */
export const Loop = operator({
  name: 'Loop',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { body: required('graph') },
  arity: [0, Number.POSITIVE_INFINITY],
  infer([count, condition, ...operands], { body }) {
    const { inputs, condition: next, outputs, carried } = split(body)
    if (count && (count.dtype !== 'int64' || count.shape.length > 1))
      throw new GraphError('the trip count must be one int64')
    if (condition) requireBoolean(condition, 'the condition')
    requireBoolean(next, 'the first output of the body, its condition,')
    if (carried < 0 || outputs.length < carried || operands.length !== carried + body.captured)
      throw new GraphError(
        'the body takes the iteration, the condition and the carried values, and gives as many next values',
      )
    const expected = body.graph.inputs.slice(GIVEN)
    operands.forEach((operand, i) => {
      const taken = expected[i]!
      const next = i < carried ? outputs[i]! : taken
      const agree = [operand, next].every(({ dtype, shape }) => dtype === taken.dtype && sameShape(shape, taken.shape))
      if (!agree)
        throw new GraphError(
          `the body takes ${formatType(taken)}, gets ${formatType(operand)} and gives ${formatType(next)}: ` +
            'a carried value keeps its type',
        )
    })
    const trips = constantOf(count)?.[0] ?? 'iterations'
    const given = inputs.slice(GIVEN).map(({ dtype, shape }) => ({ dtype, shape }))
    const stacks = outputs.slice(carried).map(({ dtype, shape }) => ({ dtype, shape: [trips, ...shape] }))
    return [...given, ...stacks]
  },
  gradient: { forbidden: 'differentiate what the body computes, and put the gradients into the loop' },
  evaluate([count, condition, ...operands], { body }) {
    const { carried } = split(body)
    const names = body.graph.inputs.map(({ origin }) => ('name' in origin ? origin.name : ''))
    const around = operands.slice(carried)
    const stacks: Numbers[][] = [...body.graph.outputs].slice(1 + carried).map(() => [])
    let values = operands.slice(0, carried)
    let goOn = condition ?? numbers('bool', [], [1])
    const trips = count?.data[0] ?? Number.POSITIVE_INFINITY
    let trip = 0
    for (; trip < trips && goOn.data[0]; trip++) {
      const given = [numbers('int64', [], [trip]), goOn, ...values, ...around]
      const results = evaluate(body.graph, new Map(names.map((name, i) => [name, given[i]!])))
      const [next, ...rest] = results.values()
      goOn = next!
      values = rest.slice(0, carried)
      stacks.forEach((stack, i) => {
        stack.push(rest[carried + i]!)
      })
    }
    return [...values, ...stacks.map((stack) => stacked(stack, trip))]
  },
  samples: [
    (() => {
      const iteration = input('iteration', 'int64', [])
      const condition = input('condition', 'bool', [])
      const x = input('x', 'float32', [3])
      const slope = input('slope', 'float32', [])
      const next = add(mul(x, slope), 1)
      const outputs = new Map([
        ['condition.next', condition],
        ['x.next', next],
        ['squares', mul(next, next)],
      ])
      const { body } = closure('body', [iteration, condition, x], outputs)
      return { inputs: [fixed('int64', [], [4]), undefined, normal(3), scalar(0.5)], attributes: { body } }
    })(),
  ],
})

function stacked(parts: readonly Numbers[], count: number): Numbers {
  const [first] = parts
  if (!first) throw new GraphError('a loop without iterations has nothing to stack')
  const data = new Float64Array(count * first.data.length)
  parts.forEach((part, i) => {
    data.set(part.data, i * first.data.length)
  })
  return numbers(first.dtype, [count, ...first.shape], data)
}

type Named = Readonly<Record<string, Value>>

export interface LoopResult<C> {
  /** The values that go from iteration to iteration. */
  readonly carried: C
  /** What each iteration gives, stacked along a new first axis. */
  readonly stacked: Named
}

/**
 * Repeats `step`. Whatever it uses from outside that does not depend on the iteration is computed once.
 * @param count int64 []
 * @param step from the iteration, int64 [], and the carried values to the next ones and what is to be stacked
 */
export function loop<C extends Named>(
  count: Value,
  initial: C,
  step: (iteration: Value, carried: C) => LoopResult<C>,
): LoopResult<C> {
  const iteration = input('iteration', 'int64', [])
  const condition = input('condition', 'bool', [])
  const names = Object.keys(initial)
  const taken = names.map((name) => input(name, initial[name]!.dtype, initial[name]!.shape))
  const named = (values: readonly Value[]) => Object.fromEntries(names.map((name, i) => [name, values[i]!])) as C
  const { carried, stacked } = step(iteration, named(taken))
  const outputs = new Map([
    ['condition.next', constant('bool', 1)],
    ...names.map((name): [string, Value] => [`${name}.next`, carried[name]!]),
    ...Object.entries(stacked),
  ])
  const { body, captured } = closure('body', [iteration, condition, ...taken], outputs)
  const results = apply(Loop, [count, undefined, ...Object.values(initial), ...captured], { body })
  return {
    carried: named(results),
    stacked: Object.fromEntries(Object.keys(stacked).map((name, i) => [name, results[names.length + i]!])),
  }
}

// Control flow: Loop.

import { closure } from '../graph/closure.js'
import { dimsIn } from '../graph/dims.js'
import { type Body, ONNX_DOMAIN, type Operator, operator, required, type Type } from '../graph/operator.js'
import { fixed, normal, type Sample, scalar } from '../graph/sample.js'
import { type Dim, isKnown, isUnknown, type Shape, sameShape, unifyShapes, unknownDim } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { apply, constant, constantOf, formatType, GraphError, input, type Value } from '../graph/value.js'
import { numbersOf } from './body.js'
import { add, less, mul } from './elementwise.js'
import { gather } from './indexing.js'
import { loopGradient } from './loopGradient.js'

/** Body inputs before the carried values: the iteration, from 0, and the condition. */
export const GIVEN = 2

/** The parts of a loop's body. */
export function partsOf({ graph, captured }: Body) {
  const own = graph.inputs.length - captured
  const [condition, ...outputs] = [...graph.outputs.values()]
  return {
    inputs: graph.inputs.slice(0, own),
    captured: graph.inputs.slice(own),
    condition,
    outputs,
    carried: own - GIVEN,
  }
}

const isOne = ({ shape }: Value) =>
  shape.length === 0 || (shape.length === 1 && (shape[0] === 1 || !isKnown(shape[0]!)))

function requireBoolean(condition: Value | undefined, what: string): void {
  if (condition?.dtype !== 'bool' || !isOne(condition)) throw new GraphError(`${what} must be one bool`)
}

/** Whether a body never ends the loop: its condition is true, or the one that it got. */
function isSteady(body: Body): boolean {
  let { condition } = partsOf(body)
  while (condition?.origin.kind === 'node' && condition.origin.node.operator.name === 'Identity')
    condition = condition.origin.node.inputs[0]
  return condition === body.graph.inputs[1] || constantOf(condition)?.[0] === 1
}

/** How many iterations there are: a number or a symbol where nothing ends the loop before. */
export function tripsOf(count: Value | undefined, condition: Value | undefined, body: Body): Dim {
  const goesOn = !condition || constantOf(condition)?.[0] === 1
  const known = goesOn && isSteady(body) ? dimsIn(count)?.[0] : undefined
  return known === undefined ? unknownDim() : isKnown(known) ? Math.max(0, known) : known
}

const attributes = { body: required('graph') }

/**
 * Runs a body up to so many times, while its condition holds. Inputs: trip count int64 [], condition bool [], both
 * optional, the carried values, and what the body captures. Body: iteration int64 [], condition bool [], carried values →
 * condition, next carried values, and what is stacked over iterations. Outputs: the last carried values, then the stacks.
 *
 * The gradient runs the loop again, which stacks the carried values, and then backwards over these.
 */
export const Loop: Operator<typeof attributes> = operator({
  name: 'Loop',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes,
  arity: [0, Number.POSITIVE_INFINITY],
  graphs: {
    given: (_, [, , ...operands]) => [
      { dtype: 'int64', shape: [] },
      { dtype: 'bool', shape: [] },
      ...operands.filter((value) => value !== undefined),
    ],
    widen(body, given) {
      const { outputs, carried } = partsOf(body)
      let changed = false
      const wider = given.map((type, i): Type => {
        const next = i >= GIVEN && i < GIVEN + carried ? outputs[i - GIVEN] : undefined
        if (next?.shape.length !== type.shape.length || next.dtype !== type.dtype) return type
        const shape = type.shape.map((dim, axis) => (dim === next.shape[axis] || isUnknown(dim) ? dim : unknownDim()))
        changed ||= !sameShape(shape, type.shape)
        return { ...type, shape }
      })
      return changed ? wider : undefined
    },
  },
  infer([count, condition, ...operands], { body }) {
    const { inputs, condition: next, outputs, carried } = partsOf(body)
    if (count && (count.dtype !== 'int64' || !isOne(count))) throw new GraphError('the trip count must be one int64')
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
      const agree = [operand, next].every(
        ({ dtype, shape }) => dtype === taken.dtype && unifyShapes(shape, taken.shape),
      )
      if (!agree)
        throw new GraphError(
          `the body takes ${formatType(taken)}, gets ${formatType(operand)} and gives ${formatType(next)}: ` +
            'a carried value keeps its type',
        )
    })
    const around = new Set(operands.flatMap(({ shape }) => shape))
    const outside = (shape: Shape, stays: (axis: number) => boolean) =>
      shape.map((dim, axis) => (!isUnknown(dim) || (around.has(dim) && stays(axis)) ? dim : unknownDim()))
    const last = inputs.slice(GIVEN).map(({ dtype, shape }, i) => {
      const [first, next] = [operands[i]!.shape, outputs[i]!.shape]
      return { dtype, shape: outside(shape, (axis) => first[axis] === shape[axis] && next[axis] === shape[axis]) }
    })
    const trips = tripsOf(count, condition, body)
    const stacks = outputs
      .slice(carried)
      .map(({ dtype, shape }) => ({ dtype, shape: [trips, ...outside(shape, () => true)] }))
    return [...last, ...stacks]
  },
  gradient: { rule: loopGradient },
  evaluate([count, condition, ...operands], { body }) {
    const { carried } = partsOf(body)
    const around = operands.slice(carried)
    const results = [...body.graph.outputs.values()].slice(1 + carried)
    const stacks: Numbers[][] = results.map(() => [])
    let values = operands.slice(0, carried)
    let goOn = condition ?? numbers('bool', [], [1])
    const trips = count?.data[0] ?? Number.POSITIVE_INFINITY
    let trip = 0
    for (; trip < trips && goOn.data[0]; trip++) {
      const [next, ...rest] = numbersOf(body, [numbers('int64', [], [trip]), goOn, ...values, ...around])
      goOn = next!
      values = rest.slice(0, carried)
      stacks.forEach((stack, i) => {
        stack.push(rest[carried + i]!)
      })
    }
    return [...values, ...stacks.map((stack, i) => stacked(stack, results[i]!))]
  },
  // Made when they are asked for: their bodies use operators of files that this one is loaded before.
  get samples() {
    return [steadySample(), endingSample()] as const
  },
})

function sampleInputs() {
  return [input('iteration', 'int64', []), input('condition', 'bool', []), input('x', 'float32', [3])] as const
}

/** x ← x·slope + 1, and the squares of what comes. */
function steadySample(): Sample<{ readonly body: Body }> {
  const [iteration, condition, x] = sampleInputs()
  const next = add(mul(x, input('slope', 'float32', [])), 1)
  const outputs = new Map([
    ['condition.next', condition],
    ['x.next', next],
    ['squares', mul(next, next)],
  ])
  const { body } = closure('body', [iteration, condition, x], outputs)
  return { inputs: [fixed('int64', [], [4]), undefined, normal(3), scalar(0.5)], attributes: { body } }
}

/** Ends by its condition, and takes a row of a captured matrix in each iteration. */
function endingSample(): Sample<{ readonly body: Body }> {
  const [iteration, condition, x] = sampleInputs()
  const [y, w, rows] = [input('y', 'float32', []), input('w', 'float32', [3]), input('rows', 'float32', [4, 3])]
  const next = mul(add(mul(x, w), gather(rows, iteration)), w)
  const outputs = new Map([
    ['condition.next', less(iteration, 2)],
    ['x.next', next],
    ['y.next', add(y, 1)],
    ['products', mul(next, mul(x, y))],
  ])
  const { body } = closure('body', [iteration, condition, x, y], outputs)
  const inputs = [fixed('int64', [], [9]), fixed('bool', [], [1]), normal(3), normal(), normal(3), normal(4, 3)]
  return { inputs, attributes: { body } }
}

function stacked(parts: readonly Numbers[], { dtype, shape }: Type): Numbers {
  const row = parts[0]?.shape ?? shape.map((dim) => (isKnown(dim) ? dim : 0))
  const length = row.reduce((count, dim) => count * dim, 1)
  const data = new Float64Array(parts.length * length)
  parts.forEach((part, i) => {
    data.set(part.data, i * length)
  })
  return numbers(dtype, [parts.length, ...row], data)
}

type Named = Readonly<Record<string, Value>>

/** What {@link loop} gives. */
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

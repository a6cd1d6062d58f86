// The gradient of a Loop: the loop again, which keeps what its iterations began with, and a loop backwards over that.

import { draws } from '../graph/closure.js'
import { graph } from '../graph/graph.js'
import type { Body, GradientContext } from '../graph/operator.js'
import { isUnknown, sameShape } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { apply, constant, GraphError, input, type Node, type Value } from '../graph/value.js'
import { applied } from './body.js'
import { add, sub } from './elementwise.js'
import { gather } from './indexing.js'
import { GIVEN, Loop, loop, partsOf, tripsOf } from './loop.js'
import { padBy } from './pad.js'
import { fillAs, int64, reshape, shapeOf, size, unsqueeze } from './shape.js'
import { concat, flip } from './slice.js'

/** Whether a node takes the row of the iteration out of a captured value. */
const takesRow = ({ operator, inputs, attributes }: Node, value: Value, iteration: Value): boolean =>
  operator.name === 'Gather' && inputs[0] === value && inputs[1] === iteration && attributes.axis === 0

interface Captured {
  /** Used, but not only by the row of the iteration. */
  readonly whole: ReadonlySet<Value>
  /** Of which each iteration takes its row, and nothing else: the gradient is a row an iteration too. */
  readonly rows: ReadonlySet<Value>
}

/** The captured values by how the body uses them; what it does not use is in neither. */
function usesOf({ graph }: Body, captured: readonly Value[]): Captured {
  const [iteration] = graph.inputs
  const users = (value: Value) => graph.nodes.filter((node) => node.inputs.includes(value))
  const whole = captured.filter(
    (value) =>
      [...graph.outputs.values()].includes(value) || users(value).some((node) => !takesRow(node, value, iteration!)),
  )
  const rows = captured.filter((value) => !whole.includes(value) && users(value).length > 0)
  return { whole: new Set(whole), rows: new Set(rows) }
}

interface Run {
  /** How many iterations there were, int64 []. */
  readonly count: Value
  /** What each iteration began with, stacked. */
  readonly states: readonly Value[]
}

/** The loop once more, for the carried values on its way. */
function runAgain([count, condition]: readonly (Value | undefined)[], operands: readonly Value[], body: Body): Run {
  const { carried } = partsOf(body)
  const trips = tripsOf(count, condition, body)
  const isFixed = count !== undefined && !isUnknown(trips)
  if (isFixed && carried === 0) return { count: reshape(count, []), states: [] }
  const given = body.graph.inputs.map((value, i) => input(`in${i}`, value.dtype, value.shape))
  const results = applied(body, given).slice(0, 1 + carried)
  const outputs = new Map(
    [...results, given[0]!, ...given.slice(GIVEN, GIVEN + carried)].map((value, i) => [`out${i}`, value]),
  )
  const again = { graph: graph('again', given, outputs), captured: body.captured }
  const [iterations, ...states] = apply(Loop, [count, condition, ...operands], { body: again }).slice(carried)
  return { count: isFixed ? reshape(count, []) : size(iterations!), states }
}

export function loopGradient(context: GradientContext<{ readonly body: Body }>): readonly (Value | undefined)[] {
  const { attributes, grads, pullBack } = context
  const { body } = attributes
  if (draws(body)) throw new GraphError('its body draws at random, and run again it draws other numbers')
  const [count, condition, ...operands] = context.inputs as readonly [Value | undefined, Value | undefined, ...Value[]]
  const { inputs, captured, outputs, carried } = partsOf(body)
  const [iteration] = inputs
  const taken = inputs.slice(GIVEN)
  taken.forEach(({ shape }, i) => {
    if (!sameShape(shape, operands[i]!.shape))
      throw new GraphError(
        `the carried value ${i} changes its shape, so that what iterations begin with has no one shape`,
      )
  })
  const around = operands.slice(carried)
  const uses = usesOf(body, captured)
  const run = runAgain([count, condition], operands, body)
  const floats = <T extends { readonly dtype: Value['dtype'] }>(values: readonly T[]) =>
    values.flatMap(({ dtype }, i) => (isFloat(dtype) ? [i] : []))
  const moving = floats(taken)
  const whole = floats(captured).filter((i) => uses.whole.has(captured[i]!))
  const byRow = floats(captured).filter((i) => uses.rows.has(captured[i]!))
  const initial = Object.fromEntries([
    ...moving.map((i) => [`carried${i}`, grads[i] ?? fillAs(0, operands[i]!)]),
    ...whole.map((i) => [`around${i}`, fillAs(0, around[i]!)]),
  ]) as Readonly<Record<string, Value>>
  const back = loop(run.count, initial, (step, sums) => {
    const at = sub(sub(run.count, 1), step)
    const states = run.states.map((state) => gather(state, at))
    const own = new Map(byRow.map((i) => [captured[i]!, gather(around[i]!, at)]))
    const values = [at, constant('bool', 1), ...states, ...around]
    const [, ...results] = applied(body, values, (node) => {
      const row = node.inputs[0] && own.get(node.inputs[0])
      return row && takesRow(node, node.inputs[0]!, iteration!) ? [row] : undefined
    })
    const seeds = outputs.map(({ dtype }, i) => {
      if (i < carried) return isFloat(dtype) ? sums[`carried${i}`] : undefined
      return grads[i] && gather(grads[i], at)
    })
    const wrt = [...moving.map((i) => states[i]!), ...whole.map((i) => around[i]!), ...own.values()]
    const found = pullBack(results, wrt, seeds)
    const nextOf = (i: number, sum: Value | undefined) => {
      const arrived = found[i]
      if (!sum) return arrived ?? fillAs(0, wrt[i]!)
      return arrived ? add(sum, arrived) : sum
    }
    return {
      carried: Object.fromEntries([
        ...moving.map((i, k) => [`carried${i}`, nextOf(k, undefined)]),
        ...whole.map((i, k) => [`around${i}`, nextOf(moving.length + k, sums[`around${i}`])]),
      ]) as Readonly<Record<string, Value>>,
      stacked: Object.fromEntries(
        byRow.map((i, k) => [`row${i}`, nextOf(moving.length + whole.length + k, undefined)]),
      ),
    }
  })
  return [
    undefined,
    undefined,
    ...taken.map((_, i) => back.carried[`carried${i}`]),
    ...captured.map((_, i) => {
      const reversed = back.stacked[`row${i}`]
      return reversed ? lengthened(flip(reversed, 0), around[i]!) : back.carried[`around${i}`]
    }),
  ]
}

/** Zeros for the rows that no iteration took. */
function lengthened(rows: Value, like: Value): Value {
  if (rows.shape[0] === like.shape[0]) return rows
  const zeros = (count: number) => int64(new Array<number>(count).fill(0))
  const first = (value: Value) => gather(shapeOf(value), constant('int64', 0))
  const rank = rows.shape.length
  return padBy(rows, concat([zeros(rank), unsqueeze(sub(first(like), first(rows)), 0), zeros(rank - 1)], 0))
}

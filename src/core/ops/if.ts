// Control flow: If.

import { bodiesOf, type Closure, closure, draws } from '../graph/closure.js'
import { dimsIn, knownIn } from '../graph/dims.js'
import {
  type Body,
  type GradientContext,
  isBody,
  ONNX_DOMAIN,
  type Operator,
  operator,
  required,
} from '../graph/operator.js'
import { fixed, normal, type Sample } from '../graph/sample.js'
import { isKnown, isUnknown, type Shape, unifyShapes, unknownDim } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { apply, formatType, GraphError, input, nodeOf, type Value } from '../graph/value.js'
import { applied, numbersOf } from './body.js'
import { add, mul } from './elementwise.js'
import { fillAs, Squeeze } from './shape.js'

const attributes = { then_branch: required('graph'), else_branch: required('graph') }
interface Branches {
  readonly then_branch: Body
  readonly else_branch: Body
}

/** What is the same in both shapes; dimensions that only the run knows elsewhere. */
const met = (a: Shape, b: Shape): Shape =>
  a.map((dim, i) => (dim === b[i] && (isKnown(dim) || !isUnknown(dim)) ? dim : unknownDim()))

const outputsOf = ({ graph }: Body): readonly Value[] => [...graph.outputs.values()]

/**
 * Whether a branch is taken where a size is 1, and drops the axis of that size: exporters write `x.squeeze(axis)` as
 * If(size == 1, Squeeze(x, axis), x). Squeeze fails where the size is another one, so it never gives what the other branch should.
 */
function dropsWhatIsOne(condition: Value | undefined, branch: Body): boolean {
  const compared = nodeOf(condition)
  if (compared?.operator.name !== 'Equal') return false
  const [a, b] = compared.inputs.map(dimsIn)
  const size = b?.[0] === 1 ? a?.[0] : a?.[0] === 1 ? b?.[0] : undefined
  return outputsOf(branch).some((output) => {
    const node = nodeOf(output)
    const axes = node?.operator === Squeeze ? knownIn(node.inputs[1]) : undefined
    const { shape } = node?.inputs[0] ?? output
    return axes?.some((axis) => size !== undefined && shape.at(axis) === size) ?? false
  })
}

/**
 * The outputs of one of two graphs, as the condition says. The graphs have no inputs, but capture values from around them. The
 * gradient is one of two graphs too: those of the gradients of each.
 */
export const If: Operator<typeof attributes> = operator({
  name: 'If',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes,
  arity: [1, Number.POSITIVE_INFINITY],
  graphs: {
    given: () => [],
    only([condition]) {
      const known = knownIn(condition)
      return known && (known[0] ? 'then_branch' : 'else_branch')
    },
    implied([condition], { then_branch, else_branch }) {
      if (!isBody(then_branch) || !isBody(else_branch)) return undefined
      const ranks = [then_branch, else_branch].map((branch) => outputsOf(branch).map(({ shape }) => shape.length))
      return ranks[0]!.join() !== ranks[1]!.join() && dropsWhatIsOne(condition, then_branch) ? 'then_branch' : undefined
    },
  },
  infer([condition, ...operands], { then_branch, else_branch }) {
    if (condition!.dtype !== 'bool') throw new GraphError('the condition must be one bool')
    const bodies = [then_branch, else_branch]
    const own = bodies.some(({ graph, captured }) => graph.inputs.length !== captured)
    if (own || operands.length !== then_branch.captured + else_branch.captured)
      throw new GraphError('its branches take no inputs')
    bodies
      .flatMap(({ graph }) => graph.inputs)
      .forEach((taken, i) => {
        const operand = operands[i]!
        if (operand.dtype !== taken.dtype || !unifyShapes(operand.shape, taken.shape))
          throw new GraphError(`a branch takes ${formatType(taken)} and gets ${formatType(operand)}`)
      })
    const [first, second] = bodies.map(outputsOf) as [Value[], Value[]]
    if (first.length !== second.length)
      throw new GraphError(`its branches give ${first.length} and ${second.length} values`)
    return first.map((a, i) => {
      const b = second[i]!
      if (a.dtype !== b.dtype || a.shape.length !== b.shape.length)
        throw new GraphError(
          `its branches give ${formatType(a)} and ${formatType(b)}: needs one dtype and as many dimensions`,
        )
      return { dtype: a.dtype, shape: met(a.shape, b.shape) }
    })
  },
  gradient: { rule: gradient },
  evaluate([condition, ...operands], { then_branch, else_branch }) {
    return condition!.data[0]
      ? numbersOf(then_branch, operands.slice(0, then_branch.captured))
      : numbersOf(else_branch, operands.slice(then_branch.captured))
  },
  samples: [sampleOf(1), sampleOf(0)],
})

function sampleOf(condition: number): Sample<Branches> {
  const [x, w, v] = [input('x', 'float32', [2, 3]), input('w', 'float32', [3]), input('v', 'float32', [1, 3])]
  const branch = (name: string, y: Value) => closure(name, [], new Map([[`${name}.y`, y]]), new Set(), true).body
  return {
    inputs: [fixed('bool', [], [condition]), normal(2, 3), normal(3), normal(3), normal(1, 3)],
    attributes: {
      then_branch: branch('then', mul(mul(x, w), x)),
      else_branch: branch('else', mul(v, add(w, 1))),
    },
  }
}

function gradient(context: GradientContext<Branches>): readonly (Value | undefined)[] {
  const { inputs, attributes } = context
  const { then_branch, else_branch } = attributes
  if (draws(then_branch) || draws(else_branch))
    throw new GraphError('a branch draws at random, and computed again it draws other numbers')
  const wanted = [...new Set(inputs.slice(1).filter((value) => isFloat(value.dtype)))]
  const parts = bodiesOf({ attributes: { then_branch, else_branch }, inputs }).map(([name, body, captured]) =>
    branchGradient(name, body, captured as readonly Value[], wanted, context),
  )
  const reached = wanted.filter((_, i) => parts.some(({ reached }) => reached.has(i)))
  if (reached.length === 0) return inputs.map(() => undefined)
  const [first, second] = parts.map(({ made }) => made) as [Closure, Closure]
  const results = apply(If, [inputs[0], ...first.captured, ...second.captured], {
    then_branch: first.body,
    else_branch: second.body,
  })
  // What both branches capture comes twice, and has one gradient.
  return inputs.map((value, i) =>
    i > 0 && reached.includes(value) && inputs.indexOf(value, 1) === i ? results[wanted.indexOf(value)] : undefined,
  )
}

/** A branch that gives the gradients of one at all the wanted values, zeros at those that it does not use. */
function branchGradient(
  name: string,
  body: Body,
  captured: readonly Value[],
  wanted: readonly Value[],
  { grads, pullBack }: GradientContext<Branches>,
): { readonly made: Closure; readonly reached: ReadonlySet<number> } {
  const taken = new Map<Value, Value>()
  const inside = (value: Value, like = value): Value => {
    const known = taken.get(value) ?? input(`in${taken.size}`, value.dtype, like.shape)
    taken.set(value, known)
    return known
  }
  const own = captured.map((value, i) => inside(value, body.graph.inputs[i]))
  const results = applied(body, own)
  const seeds = results.map((result, i) => grads[i] && inside(grads[i], result))
  const places = [...new Set(own)]
  const found = new Map(pullBack(results, places, seeds).map((gradient, i) => [places[i]!, gradient]))
  const reached = new Set<number>()
  const outputs = new Map(
    wanted.map((value, i): [string, Value] => {
      const arrived = taken.has(value) ? found.get(taken.get(value)!) : undefined
      if (arrived) reached.add(i)
      return [`${name}.${i}`, arrived ?? fillAs(0, inside(value))]
    }),
  )
  const operands = [...taken.keys()]
  const { body: made, captured: more } = closure(name, [...taken.values()], outputs)
  return {
    made: { body: { graph: made.graph, captured: made.graph.inputs.length }, captured: [...operands, ...more] },
    reached,
  }
}

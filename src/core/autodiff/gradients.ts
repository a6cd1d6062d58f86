// Reverse-mode differentiation over any graph. Rules hold the maths of one operator; what all need is done here once:
// pruning, summing over broadcast axes, accumulating, and checking types.

import { ancestors } from '../graph/graph.js'
import type { Gradient } from '../graph/operator.js'
import { broadcastShapes, isKnown, sameShape, unifyShapes } from '../graph/shape.js'
import { isFloat, isSmallFloat } from '../graph/tensor.js'
import {
  apply1,
  constant,
  describeCall,
  formatType,
  GraphError,
  type Node,
  nodeOf,
  rootScope,
  type Value,
} from '../graph/value.js'
import { add, equal } from '../ops/elementwise.js'
import { nonZero } from '../ops/indexing.js'
import { ReduceSum, reduceSum } from '../ops/reduction.js'
import { fillAs, Reshape, reshape, reshapeTo, shapeOf } from '../ops/shape.js'

/** Sums a gradient over the axes along which its value was broadcast. */
function unbroadcast(gradient: Value, value: Value): Value {
  if (sameShape(gradient.shape, value.shape)) return gradient
  const met = broadcastShapes(gradient.shape, value.shape)
  if (!met || !unifyShapes(met, gradient.shape)) return gradient
  const added = gradient.shape.length - value.shape.length
  // Of a symbol beside another dimension only the run knows whether it is 1.
  const open = value.shape.some((dim, i) => !isKnown(dim) && dim !== gradient.shape[added + i])
  const axes = gradient.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < added || (value.shape[axis - added] === 1 && gradient.shape[axis] !== 1))
  if (!open) return axes.length > 0 ? reshapeTo(reduceSum(gradient, axes), value.shape, value) : gradient
  const known =
    added > 0
      ? reduceSum(
          gradient,
          axes.filter((axis) => axis < added),
          { keepdims: 0 },
        )
      : gradient
  const ones = reshape(nonZero(equal(shapeOf(value), 1)), [-1])
  return apply1(Reshape, [apply1(ReduceSum, [known, ones], { noop_with_empty_axes: 1 }), shapeOf(value)])
}

/**
 * Whether a gradient flows through a value: floats have one, and whole numbers that stand for floats. That of whole numbers and of
 * small floats is a float of more bits.
 */
const carries = (value: Value): boolean =>
  isFloat(value.dtype) || isSmallFloat(value.dtype) || nodeOf(value)?.operator.straightThrough === true

type SeenAs = (value: Value, after: Value) => Value

/** One gradient an input, undefined where nothing flows. */
function inputGradients(
  node: Node,
  grads: readonly (Value | undefined)[],
  seenAs: SeenAs,
): readonly (Value | undefined)[] {
  const { operator, attributes } = node
  const gradient: Gradient<never> = operator.gradient
  const flat = grads.findIndex((grad, i) => grad && !(operator.differentiable?.outputs?.includes(i) ?? true))
  if (flat >= 0)
    throw new GraphError(`no gradient flows through its output ${operator.doc?.outputs[flat] ?? flat}; stop it there`)
  if (gradient === 'zero') return node.inputs.map(() => undefined)
  if (typeof gradient === 'object' && 'forbidden' in gradient)
    throw new GraphError(`it is not differentiable; ${gradient.forbidden}`)
  const after = grads.find((grad) => grad !== undefined)!
  const inputs = node.inputs.map((value) => value && seenAs(value, after))
  if (gradient === 'body')
    return throughBody(operator.body!(inputs as readonly Value[], attributes as never), inputs, grads)
  const rule: Extract<Gradient<typeof attributes>, { rule: unknown }>['rule'] = gradient.rule
  const first = node.outputs[0]!
  const found = rule({
    inputs: inputs as readonly Value[],
    outputs: node.outputs.map((value) => seenAs(value, after)),
    attributes,
    grads,
    pullBack: throughBody,
    // A rule that reads `grad` when only a later output has one sees zeros.
    get grad() {
      return grads[0] ?? fillAs(0, first)
    },
  })
  // A rule may leave out whole numbers at the end (axes, a shape), into which nothing flows, and has a place for each optional
  // input, given or not.
  const fewest = inputs.findLastIndex((value) => value && carries(value)) + 1
  if (found.length < fewest || found.slice(inputs.length).some((gradient) => gradient))
    throw new GraphError(`its rule gave ${found.length} gradients for ${inputs.length} inputs; mend the rule`)
  return found
}

/** Of a composite: its body is computed again from the inputs and differentiated; so is what a graph inside an operator gives. */
function throughBody(
  outputs: readonly Value[],
  inputs: readonly (Value | undefined)[],
  grads: readonly (Value | undefined)[],
): readonly (Value | undefined)[] {
  const wrt = inputs.filter((value) => value && carries(value)) as readonly Value[]
  const seeds = outputs.flatMap((output, i): [Value, Value][] => (grads[i] ? [[output, grads[i]]] : []))
  // Whole numbers beside them may come from the same node: the gradient stops at them all the same.
  const from = new Set(wrt)
  const found = backward(ancestors(outputs, from), seeds, wrt, { from })
  return inputs.map((value) => value && found.get(value))
}

/** How {@link gradients} derives. */
export interface GradientOptions {
  /** The gradient at y, of y's type; 1 when y is a scalar. */
  readonly seed?: Value
  /**
   * What rules see in place of a value of the forward pass: the same numbers computed again, so that they need not be
   * kept until then. `after` is a gradient that is there when the value is first needed. Undefined: the value itself.
   */
  readonly recompute?: (value: Value, after: Value) => Value | undefined
  /** Is told of each node that no gradient passes, instead of the last of them being thrown. Zeros go on behind it. */
  readonly refused?: (error: GraphError, node: Node, reason: string) => void
}

/**
 * d(y)/d(x) for each x of `wrt`, as values of the same graph: they print, evaluate and differentiate like any other.
 * @param y a scalar, or any value with `seed`
 * @returns one gradient for each of `wrt`, with its type; zeros where y does not depend on it
 * @throws GraphError when a forbidden operator lies on the way, y is no scalar and no seed is given, or the seed has not
 * the type of y
 */
export function gradients(
  y: Value,
  wrt: readonly Value[],
  { seed, ...options }: GradientOptions = {},
): readonly Value[] {
  if (!seed && y.shape.length > 0) {
    throw new GraphError(`gradients: needs a scalar, got ${formatType(y)}; sum it, or give the gradient at y as seed`)
  }
  return vectorJacobian([[y, seed ?? constant(y.dtype, 1)]], wrt, options)
}

/** Values, and at each the gradient (or the tangent) that is given there, of its type. */
export type Seeds = readonly (readonly [Value, Value])[]

/**
 * The vector-Jacobian product of several values: the sum of seedᵀ · d(y)/d(x) over all y, for each x of `wrt`.
 * @returns one gradient for each of `wrt`, with its type; zeros where no y depends on it
 * @throws GraphError when a forbidden operator lies on the way, or a seed has not the type of its y
 */
export function vectorJacobian(
  seeds: Seeds,
  wrt: readonly Value[],
  options: Omit<GradientOptions, 'seed'> = {},
): readonly Value[] {
  for (const [y, seed] of seeds)
    if (seed.dtype !== y.dtype || !unifyShapes(seed.shape, y.shape)) {
      throw new GraphError(`gradients: the seed is ${formatType(seed)}, y is ${formatType(y)}; give the gradient at y`)
    }
  const found = backward(ancestors(seeds.map(([y]) => y)), seeds, wrt, options)
  return wrt.map((x) => found.get(x) ?? fillAs(0, x))
}

/**
 * Carries gradients back through nodes.
 * @param seeds values, and the gradient at each
 * @param options.from values at which gradients stop
 * @returns what has arrived at each of `wrt`, where anything has
 */
function backward(
  nodes: readonly Node[],
  seeds: Seeds,
  wrt: readonly Value[],
  {
    recompute = () => undefined,
    refused = (error) => {
      throw error
    },
    from,
  }: Omit<GradientOptions, 'seed'> & { readonly from?: ReadonlySet<Value> },
): ReadonlyMap<Value, Value> {
  const recomputed = new Map<Value, Value>()
  const seenAs: SeenAs = (value, after) => {
    const known = recomputed.get(value) ?? recompute(value, after) ?? value
    recomputed.set(value, known)
    return known
  }
  // Values that depend on one of `wrt`: the only ones through which a gradient has to pass.
  const active = new Set<Value>(wrt)
  for (const node of nodes) {
    if (node.inputs.some((input) => input && active.has(input))) for (const output of node.outputs) active.add(output)
  }
  const arrived = new Map<Value, Value>()
  const arrive = (value: Value, gradient: Value): void => {
    const earlier = arrived.get(value)
    arrived.set(value, earlier ? add(earlier, gradient) : gradient)
  }
  for (const [value, gradient] of seeds) arrive(value, gradient)
  for (const node of [...nodes].reverse()) {
    const grads = node.outputs.map((output) => (from?.has(output) ? undefined : arrived.get(output)))
    if (!node.outputs.some((output) => active.has(output)) || grads.every((grad) => !grad)) continue
    const pass = () => {
      inputGradients(node, grads, seenAs).forEach((gradient, i) => {
        const value = node.inputs[i]
        if (!gradient || !value || !active.has(value) || !carries(value)) return
        const exact = unbroadcast(gradient, value)
        const isOfType = isFloat(value.dtype) ? exact.dtype === value.dtype : isFloat(exact.dtype)
        if (!isOfType || !unifyShapes(exact.shape, value.shape)) {
          throw new GraphError(
            `its rule gave ${formatType(exact)} for input ${i}, which is ${formatType(value)}; mend the rule`,
          )
        }
        // One shape, said in other symbols.
        arrive(value, sameShape(exact.shape, value.shape) ? exact : apply1(Reshape, [exact, shapeOf(value)]))
      })
    }
    try {
      rootScope(node.scope === '' ? 'grad' : `${node.scope}/grad`, pass)
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      const where = node.scope === '' ? '' : ` in ${node.scope}`
      const call = describeCall(node.inputs, node.attributes)
      const whole = `gradient of ${node.operator.name}${where}: ${error.message} (${call})`
      refused(new GraphError(whole), node, error.message)
      for (const value of node.inputs) if (value && active.has(value) && carries(value)) arrive(value, fillAs(0, value))
    }
  }
  return arrived
}

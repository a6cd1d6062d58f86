// Reverse-mode differentiation over any graph. Rules hold the maths of one operator; what all need is done here once:
// pruning, summing over broadcast axes, accumulating, and checking types.

import { nodesBehind } from '../graph/graph.js'
import type { Gradient } from '../graph/operator.js'
import { broadcastShapes, sameShape } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { constant, describeCall, formatType, GraphError, type Node, rootScope, type Value } from '../graph/value.js'
import { add } from '../ops/elementwise.js'
import { reduceSum } from '../ops/reduction.js'
import { fillAs, reshapeTo } from '../ops/shape.js'

/** Sums a gradient over the axes along which its value was broadcast. */
function unbroadcast(gradient: Value, value: Value): Value {
  if (sameShape(gradient.shape, value.shape)) return gradient
  if (!sameShape(broadcastShapes(gradient.shape, value.shape) ?? [], gradient.shape)) return gradient
  const added = gradient.shape.length - value.shape.length
  const axes = gradient.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < added || (value.shape[axis - added] === 1 && gradient.shape[axis] !== 1))
  return reshapeTo(reduceSum(gradient, axes), value.shape)
}

type SeenAs = (value: Value, after: Value) => Value

function inputGradients(
  node: Node,
  grads: readonly (Value | undefined)[],
  seenAs: SeenAs,
): readonly (Value | undefined)[] {
  const gradient: Gradient<never> = node.operator.gradient
  if (gradient === 'zero') return []
  if ('forbidden' in gradient) throw new GraphError(`it is not differentiable; ${gradient.forbidden}`)
  const rule: Extract<Gradient<typeof node.attributes>, { rule: unknown }>['rule'] = gradient.rule
  const first = node.outputs[0]!
  const after = grads.find((grad) => grad !== undefined)!
  return rule({
    inputs: node.inputs.map((value) => value && seenAs(value, after)) as readonly Value[],
    outputs: node.outputs.map((value) => seenAs(value, after)),
    attributes: node.attributes,
    grads,
    // A rule that reads `grad` when only a later output has one sees zeros.
    get grad() {
      return grads[0] ?? fillAs(0, first)
    },
  })
}

export interface GradientOptions {
  /** The gradient at y, of y's type; 1 when y is a scalar. */
  readonly seed?: Value
  /**
   * What rules see in place of a value of the forward pass: the same numbers computed again, so that they need not be
   * kept until then. `after` is a gradient that is there when the value is first needed. Undefined: the value itself.
   */
  readonly recompute?: (value: Value, after: Value) => Value | undefined
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
  { seed, recompute }: GradientOptions = {},
): readonly Value[] {
  if (!seed && y.shape.length > 0) {
    throw new GraphError(`gradients: needs a scalar, got ${formatType(y)}; sum it, or give the gradient at y as seed`)
  }
  if (seed && (seed.dtype !== y.dtype || !sameShape(seed.shape, y.shape))) {
    throw new GraphError(`gradients: the seed is ${formatType(seed)}, y is ${formatType(y)}; give the gradient at y`)
  }
  const recomputed = new Map<Value, Value>()
  const seenAs: SeenAs = (value, after) => {
    const known = recomputed.get(value) ?? recompute?.(value, after) ?? value
    recomputed.set(value, known)
    return known
  }
  const nodes = nodesBehind([y])
  // Values that depend on one of `wrt`: the only ones through which a gradient has to pass.
  const active = new Set<Value>(wrt)
  for (const node of nodes) {
    if (node.inputs.some((input) => input && active.has(input))) for (const output of node.outputs) active.add(output)
  }
  const arrived = new Map<Value, Value>([[y, seed ?? constant(y.dtype, 1)]])
  for (const node of [...nodes].reverse()) {
    const grads = node.outputs.map((output) => arrived.get(output))
    if (!node.outputs.some((output) => active.has(output)) || grads.every((grad) => !grad)) continue
    const backward = () => {
      inputGradients(node, grads, seenAs).forEach((gradient, i) => {
        const value = node.inputs[i]
        if (!gradient || !value || !active.has(value) || !isFloat(value.dtype)) return
        const exact = unbroadcast(gradient, value)
        if (exact.dtype !== value.dtype || !sameShape(exact.shape, value.shape)) {
          throw new GraphError(
            `its rule gave ${formatType(exact)} for input ${i}, which is ${formatType(value)}; mend the rule`,
          )
        }
        const earlier = arrived.get(value)
        arrived.set(value, earlier ? add(earlier, exact) : exact)
      })
    }
    try {
      rootScope(node.scope === '' ? 'grad' : `${node.scope}/grad`, backward)
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      const where = node.scope === '' ? '' : ` in ${node.scope}`
      throw new GraphError(
        `gradient of ${node.operator.name}${where}: ${error.message} (${describeCall(node.inputs, node.attributes)})`,
      )
    }
  }
  return wrt.map((x) => arrived.get(x) ?? fillAs(0, x))
}

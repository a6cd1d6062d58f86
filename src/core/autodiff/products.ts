// Products with the Jacobian and the Hessian, from reverse mode alone.

import { ancestors } from '../graph/graph.js'
import { rewriteOutputs } from '../graph/rewrite.js'
import { input, type Value } from '../graph/value.js'
import { fillAs } from '../ops/shape.js'
import { type GradientOptions, type Seeds, vectorJacobian } from './gradients.js'

type Options = Omit<GradientOptions, 'seed' | 'recompute'>

/**
 * The Jacobian-vector product d(y)/d(x) · tangent, summed over all x, for each y. By reverse mode twice: the vector-Jacobian product
 * is linear in its seed, so that its gradient by the seed, in the direction of the tangents, is the product, whatever the seed is.
 * Nothing of the first pass is left that is not needed.
 * @param tangents each x and the tangent at it
 * @returns one tangent for each y, of its type
 * @throws GraphError as `vectorJacobian`, and for operators that are differentiated once only
 */
export function jacobianVector(ys: readonly Value[], tangents: Seeds, options: Options = {}): readonly Value[] {
  const seeds = ys.map((y) => [y, input('seed', y.dtype, y.shape)] as const)
  const pulled = vectorJacobian(
    seeds,
    tangents.map(([x]) => x),
    options,
  )
  const found = vectorJacobian(
    pulled.map((gradient, i) => [gradient, tangents[i]![1]] as const),
    seeds.map(([, seed]) => seed),
    options,
  )
  const leaves = new Map(seeds.map(([y, seed]) => [seed, fillAs(0, y)] as const))
  const outputs = new Map(found.map((tangent, i) => [String(i), tangent]))
  return [...rewriteOutputs({ nodes: ancestors(found), outputs }, () => undefined, { leaves }).values()]
}

/** What {@link hessianVector} gives. */
export interface SecondOrder {
  /** The gradient at each x: of Σ seed · y. */
  readonly gradients: readonly Value[]
  /** At each x the product of the Hessian of Σ seed · y with the tangents. */
  readonly products: readonly Value[]
}

/**
 * The Hessian-vector product of Σ seed · y: the gradient of <gradient, tangent>.
 * @param tangents each x and the tangent at it
 * @throws GraphError as `jacobianVector`
 */
export function hessianVector(seeds: Seeds, tangents: Seeds, options: Options = {}): SecondOrder {
  const xs = tangents.map(([x]) => x)
  const gradients = vectorJacobian(seeds, xs, options)
  const directions = gradients.map((gradient, i) => [gradient, tangents[i]![1]] as const)
  return { gradients, products: vectorJacobian(directions, xs, options) }
}

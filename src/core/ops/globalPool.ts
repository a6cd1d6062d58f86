// Pools over all spatial axes, which stay with size 1.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, operator } from '../graph/operator.js'
import { awayFromZero, distinct, normal } from '../graph/sample.js'
import { isKnown, type Shape, sizeOf } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { powered, rooted } from './averagePool.js'
import { cast, div } from './elementwise.js'
import { gather } from './indexing.js'
import { reduceProd } from './product.js'
import { reduceMax, reduceSum } from './reduction.js'
import { expandAs, shapeOf } from './shape.js'

function requireSpatialAxes({ shape }: Value): number[] {
  if (shape.length < 3) throw new GraphError('needs an input [N, C, …] with one spatial axis at least')
  return shape.slice(2).map((_, axis) => axis + 2)
}
const pooled = (x: Shape): Shape => x.map((dim, axis) => (axis < 2 ? dim : 1))

/** How many places a plane has: a number, or a scalar of the graph. */
function planeSize(x: Value): Value | number {
  const area = sizeOf(x.shape.slice(2))
  if (isKnown(area)) return area
  const sizes = gather(shapeOf(x), constant('int64', requireSpatialAxes(x)))
  return cast(reduceProd(sizes, undefined, { keepdims: 0 }), x.dtype)
}

/** The mean over the spatial axes. */
export const GlobalAveragePool = operator({
  name: 'GlobalAveragePool',
  domain: ONNX_DOMAIN,
  since: 1,
  attributes: {},
  arity: [1, 1],
  infer([x]) {
    requireSpatialAxes(x!)
    return [{ dtype: x!.dtype, shape: pooled(x!.shape) }]
  },
  gradient: { rule: ({ grad, inputs: [x] }) => [expandAs(div(grad, planeSize(x!)), x!)] },
  evaluate([x]) {
    const [n, c, ...spatial] = x!.shape as readonly [number, number, ...number[]]
    const area = Number(sizeOf(spatial))
    const means = Float64Array.from({ length: n * c }, (_, plane) => {
      const values = x!.data.subarray(plane * area, (plane + 1) * area)
      return values.reduce((sum, value) => sum + value, 0) / area
    })
    return [numbers(x!.dtype, pooled(x!.shape) as readonly number[], means)]
  },
  samples: [{ inputs: [normal(2, 3, 4, 5)] }, { inputs: [normal(2, 3, 4)] }, { inputs: [normal(1, 2, 2, 3, 2)] }],
})
/** The mean over all axes behind the first two: [N, C, …] → [N, C, 1, …]. */
export const globalAveragePool = (x: Value): Value => apply1(GlobalAveragePool, [x])

/** The largest over the spatial axes; at ties the gradient is shared evenly, as ReduceMax does. */
export const GlobalMaxPool = composite({
  name: 'GlobalMaxPool',
  domain: ONNX_DOMAIN,
  since: 1,
  attributes: {},
  arity: [1, 1],
  body: ([x]) => [reduceMax(x!, requireSpatialAxes(x!))],
  samples: [{ inputs: [distinct(2, 3, 2, 3)] }, { inputs: [distinct(2, 3, 4)] }],
})
/** The largest over all axes behind the first two: [N, C, …] → [N, C, 1, …]. Ties share the gradient evenly. */
export const globalMaxPool = (x: Value): Value => apply1(GlobalMaxPool, [x])

/** The p-norm over the spatial axes, (Σ|x|^p)^(1/p). */
export const GlobalLpPool = composite({
  name: 'GlobalLpPool',
  domain: ONNX_DOMAIN,
  since: 2,
  attributes: { p: int(2) },
  arity: [1, 1],
  body: ([x], { p }) => [rooted(reduceSum(powered(x!, p), requireSpatialAxes(x!)), p)],
  samples: [{ inputs: [awayFromZero(2, 3, 2, 3)] }, { inputs: [awayFromZero(2, 3, 4)], attributes: { p: 3 } }],
})

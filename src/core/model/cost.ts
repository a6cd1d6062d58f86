// What a network costs: numbers that tables of the literature give.

import type { Graph } from '../graph/graph.js'
import { isKnown, type Shape } from '../graph/shape.js'
import { Conv, Gemm } from '../ops/index.js'

const product = (shape: Shape): number => shape.filter(isKnown).reduce((total, dim) => total * dim, 1)

/** Trainable numbers: weights, scales, shifts and biases, without running statistics. */
export const parameterCount = (graph: Graph): number =>
  graph.parameters.filter(({ origin }) => origin.trainable).reduce((sum, { shape }) => sum + product(shape), 0)

/** Multiply-adds of the convolutions and matrix products for one image. */
export function multiplyAdds(graph: Graph): number {
  return graph.nodes.reduce((sum, { operator, inputs, outputs, attributes }) => {
    const [, weight] = inputs
    // An output element of a convolution takes every weight of its filter; one of Gemm, every row of the weights.
    if (operator === Conv) return sum + product(outputs[0]!.shape) * product(weight!.shape.slice(1))
    if (operator === Gemm)
      return sum + product(outputs[0]!.shape) * product([weight!.shape[attributes.transB ? 1 : 0]!])
    return sum
  }, 0)
}

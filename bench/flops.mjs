// Floating-point operations of a training step, counted from its graph: those of convolutions and matrix products,
// a multiplication and an addition each, forward and backward, and nothing that is computed a second time.

import { sgd, trainingStep } from 'rdm-onnx'

/** What one element of `each` costs in multiply-adds, by operator: the inputs, the output and the attributes. */
const multiplyAdds = {
  // An output takes every weight of its filter; backward, each element of dy goes as often into dx and into dw.
  Conv: ([, w], y, { size }) => size(y.shape) * size(w.shape.slice(1)),
  ConvInputGrad: ([dy, w], _, { size }) => size(dy.shape) * size(w.shape.slice(1)),
  ConvWeightGrad: ([, dy], dw, { size }) => size(dy.shape) * size(dw.shape.slice(1)),
  Gemm: ([a], y, { size, attributes }) => size(y.shape) * size([a.shape[attributes.transA ? 0 : 1]]),
  MatMul: ([a], y, { size }) => size(y.shape) * size([a.shape.at(-1)]),
}

/** FLOPs of one step of a network (an inference graph) with a batch of this size. */
export function stepFlops(network, batch) {
  // A dimension is a number or a product such as 16*batch.
  const factors = (dim) => String(dim).split('*')
  const size = (shape) => shape.flatMap(factors).reduce((total, f) => total * (f === 'batch' ? batch : Number(f)), 1)
  const { graph } = trainingStep(network, { optimizer: sgd({ momentum: 0.9 }), recompute: false })
  return graph.nodes.reduce((total, { operator, inputs, outputs, attributes }) => {
    const count = multiplyAdds[operator.name]
    return count ? total + 2 * count(inputs, outputs[0], { size, attributes }) : total
  }, 0)
}

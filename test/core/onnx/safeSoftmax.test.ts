// Attention that may be masked altogether, as exporters write it: what it computes stays, and its gradient is PyTorch's
// (torch.ops.aten._safe_softmax in float64).
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply1, constant, input } from '../../../src/core/graph/value.js'
import { exportGraph } from '../../../src/core/model/write.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { IsNaN, softmax, where } from '../../../src/core/ops/index.js'

const masked = Number.NEGATIVE_INFINITY
const scores = numbers('float32', [3, 3], [1, 2, -0.5, masked, masked, masked, 0.25, masked, 1])
const seed = constant('float32', [1, -2, 3, 4, 5, 6, -1, 2, 0.5], [3, 3])
const shares = [
  0.25371618163502524, 0.6896720861245036, 0.056611732240471294, 0, 0, 0, 0.320821300824607, 0, 0.679178699175393,
]
const slopes = [
  0.49621627973572024, -0.7201605621823522, 0.2239442824466319, 0, 0, 0, -0.32684249064272103, 0, 0.32684249064272103,
]

/** Read from a file in which the numbers that are none become `instead`. */
function reread(instead: number) {
  const x = input('x', 'float32', [3, 3])
  const y = softmax(x)
  const bytes = exportGraph(graph('g', [x], { y: where(apply1(IsNaN, [y]), instead, y) }))
  const { inputs, outputs } = readNetwork(bytes)
  const [result, slope] = evaluateValues(
    [outputs.get('y')!, gradients(outputs.get('y')!, inputs, { seed })[0]!],
    new Map([[inputs[0]!, scores]]),
  )
  return { y: [...result!.data], dx: [...slope!.data] }
}

it('has zeros for what is masked altogether, in its gradient too', () => {
  const { y, dx } = reread(0)
  for (const [i, value] of y.entries()) expect(value).toBeCloseTo(shares[i]!, 14)
  for (const [i, value] of dx.entries()) expect(value).toBeCloseTo(slopes[i]!, 14)
})

it('leaves another number in their place alone', () => {
  const { y, dx } = reread(0.5)
  expect(y.slice(3, 6)).toEqual([0.5, 0.5, 0.5])
  expect(dx.slice(3, 6)).toEqual([NaN, NaN, NaN])
})

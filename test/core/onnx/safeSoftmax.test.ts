// Attention that may be masked altogether, as exporters write it: what it computes stays, and its gradient is PyTorch's
// (torch.ops.aten._safe_softmax in float64).
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant } from '../../../src/core/graph/value.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { onnx } from '../../support/models.js'

const masked = Number.NEGATIVE_INFINITY
const scores = numbers('float32', [3, 3], [1, 2, -0.5, masked, masked, masked, 0.25, masked, 1])
const seed = constant('float32', [1, -2, 3, 4, 5, 6, -1, 2, 0.5], [3, 3])
const shares = [
  0.25371618163502524, 0.6896720861245036, 0.056611732240471294, 0, 0, 0, 0.320821300824607, 0, 0.679178699175393,
]
const slopes = [
  0.49621627973572024, -0.7201605621823522, 0.2239442824466319, 0, 0, 0, -0.32684249064272103, 0, 0.32684249064272103,
]

const { TENSOR } = onnx.AttributeProto.AttributeType
const tensorType = { elemType: 1, shape: { dim: [{ dimValue: 3 }, { dimValue: 3 }] } }

/** A file in which the numbers that are none become `instead`, a constant of these dimensions. */
function reread(instead: number, dims: readonly number[]) {
  const value = { name: 'value', type: TENSOR, t: { dataType: 1, dims: [...dims], floatData: [instead] } }
  const { inputs, outputs } = readModel(
    onnx.ModelProto.create({
      irVersion: 9,
      opsetImport: [{ domain: '', version: 20 }],
      graph: {
        name: 'g',
        input: [{ name: 'x', type: { tensorType } }],
        node: [
          { opType: 'Softmax', input: ['x'], output: ['shares'] },
          { opType: 'IsNaN', input: ['shares'], output: ['none'] },
          { opType: 'Constant', attribute: [value], output: ['instead'] },
          { opType: 'Where', input: ['none', 'instead', 'shares'], output: ['y'] },
        ],
        output: [{ name: 'y', type: { tensorType } }],
      },
    }),
  ).inference
  const [result, slope] = evaluateValues(
    [outputs.get('y')!, gradients(outputs.get('y')!, inputs, { seed })[0]!],
    new Map([[inputs[0]!, scores]]),
  )
  return { y: [...result!.data], dx: [...slope!.data] }
}

it.each([[[]], [[1]]])('has zeros for what is masked altogether, in its gradient too: a zero of shape %j', (dims) => {
  const { y, dx } = reread(0, dims)
  for (const [i, value] of y.entries()) expect(value).toBeCloseTo(shares[i]!, 14)
  for (const [i, value] of dx.entries()) expect(value).toBeCloseTo(slopes[i]!, 14)
})

it('leaves another number in their place alone', () => {
  const { y, dx } = reread(0.5, [])
  expect(y.slice(3, 6)).toEqual([0.5, 0.5, 0.5])
  expect(dx.slice(3, 6)).toEqual([NaN, NaN, NaN])
})

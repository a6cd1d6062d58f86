// The text of every error that an operator's rules throw: operator, broken rule, input types, attributes.
import { describe, expect, it } from 'vitest'
import type { Attributes, Operator } from '../../../src/core/graph/operator.js'
import type { Shape } from '../../../src/core/graph/shape.js'
import type { DType } from '../../../src/core/graph/tensor.js'
import { apply, constant, GraphError, input, scope, type Value } from '../../../src/core/graph/value.js'
import * as ops from '../../../src/core/ops/index.js'

const x = (...shape: (number | string)[]): Value => input('x', 'float32', shape)
const of = (dtype: DType, ...shape: Shape): Value => input('x', dtype, shape)
const ints = (...values: number[]): Value => constant('int64', values)
const flowing = of('int64', 2)
const image = x(2, 3, 6, 6)
const kernel = x(4, 3, 3, 3)

type Row = readonly [
  message: string,
  operator: Operator,
  inputs: readonly (Value | undefined)[],
  attributes?: Attributes,
]

const rows: readonly Row[] = [
  // Elementwise
  ['Relu: needs a floating-point input, got int64; cast it first (inputs int64[2])', ops.Relu, [flowing]],
  ['HardSigmoid: needs a floating-point input, got bool; cast it first', ops.HardSigmoid, [of('bool', 2)]],
  ['Add: needs operands of one dtype; cast one of them (inputs float32[2], int64[2])', ops.Add, [x(2), flowing]],
  [
    'Mul: shapes do not broadcast: each pair of dimensions must be equal, or one of them 1 (inputs float32[2, 3], float32[2])',
    ops.Mul,
    [x(2, 3), x(2)],
  ],
  ['ReluGrad: shapes do not broadcast', ops.ReluGrad, [x(2), x(3)]],
  ['Where: needs a bool condition; compare or cast first', ops.Where, [x(2), x(2), x(2)]],
  ['Where: needs operands of one dtype', ops.Where, [of('bool', 2), x(2), flowing]],
  ['Where: the condition and the operands do not broadcast', ops.Where, [of('bool', 3), x(2), x(2)]],
  ['Cast: to=99 is no element type known here; known are 1 (float32), 2 (uint8), ', ops.Cast, [x(2)], { to: 99 }],
  // Convolution
  [
    'Conv: x has 3 channels, the weights take 2 in 1 group (inputs float32[2, 3, 6, 6], float32[4, 2, 3, 3])',
    ops.Conv,
    [image, x(4, 2, 3, 3)],
  ],
  ['x has 3 channels, the weights take 2 in 2 groups', ops.Conv, [image, x(4, 2, 3, 3)], { group: 2 }],
  ['Conv: 5 output channels do not divide into 3 groups', ops.Conv, [image, x(5, 1, 3, 3)], { group: 3 }],
  ['Conv: group must be a whole number from 1', ops.Conv, [image, kernel], { group: 0 }],
  ['Conv: kernel_shape must be two whole numbers from 1', ops.Conv, [image, kernel], { kernel_shape: [3] }],
  ['Conv: kernel_shape says 5×5, the weights are 3×3', ops.Conv, [image, kernel], { kernel_shape: [5, 5] }],
  [
    'Conv: strides must be two whole numbers from 1 (inputs float32[2, 3, 6, 6], float32[4, 3, 3, 3]; strides=[0,1])',
    ops.Conv,
    [image, kernel],
    { strides: [0, 1] },
  ],
  ['Conv: dilations must be two whole numbers from 1', ops.Conv, [image, kernel], { dilations: [1.5, 1] }],
  [
    'Conv: pads must be four whole numbers from 0: top, left, bottom, right',
    ops.Conv,
    [image, kernel],
    { pads: [1, 1] },
  ],
  ['Conv: pads must be four whole numbers from 0', ops.Conv, [image, kernel], { pads: [1, 1, -1, 1] }],
  ["Conv: needs known height and width, got 'h'", ops.Conv, [x(2, 3, 'h', 6), kernel]],
  ['Conv: needs a known kernel size', ops.Conv, [image, x(4, 3, 'k', 3)]],
  [
    'Conv: a window that spans 7 does not fit an axis of 6 with these pads',
    ops.Conv,
    [image, kernel],
    { dilations: [3, 1] },
  ],
  ['Conv: needs four-dimensional inputs: [N, C, H, W] and [O, C/group, kh, kw]', ops.Conv, [x(2, 3, 6), kernel]],
  ['Conv: needs floating-point inputs of one dtype', ops.Conv, [image, of('float64', 4, 3, 3, 3)]],
  ['Conv: needs floating-point inputs of one dtype', ops.Conv, [of('uint8', 2, 3, 6, 6), of('uint8', 4, 3, 3, 3)]],
  ['Conv: the bias needs one number an output channel', ops.Conv, [image, kernel, x(3)]],
  ['ConvTranspose: the input has 3 channels, the weights take 4', ops.ConvTranspose, [image, kernel]],
  ['ConvTranspose: group must be a whole number from 1', ops.ConvTranspose, [x(2, 4, 6, 6), kernel], { group: 0.5 }],
  [
    'ConvTranspose: 4 input channels do not divide into 3 groups',
    ops.ConvTranspose,
    [x(2, 4, 6, 6), kernel],
    { group: 3 },
  ],
  [
    'output_padding must be two whole numbers from 0',
    ops.ConvTranspose,
    [x(2, 4, 6, 6), kernel],
    { output_padding: [1] },
  ],
  ["ConvTranspose: needs known height and width, got 'w'", ops.ConvTranspose, [x(2, 4, 6, 'w'), kernel]],
  ['the pads leave nothing of an axis of 1', ops.ConvInputGrad, [x(2, 4, 1, 1), kernel], { pads: [2, 2, 2, 2] }],
  ['ConvWeightGrad: needs kernel_shape, two whole numbers from 1', ops.ConvWeightGrad, [image, x(2, 4, 4, 4)]],
  [
    'ConvWeightGrad: 3 channels do not divide into 2 groups',
    ops.ConvWeightGrad,
    [image, x(2, 4, 4, 4)],
    { kernel_shape: [3, 3], group: 2 },
  ],
  [
    'ConvWeightGrad: dy should be [2,4,4,4] for this x',
    ops.ConvWeightGrad,
    [image, x(2, 4, 5, 5)],
    { kernel_shape: [3, 3] },
  ],
  // Pooling
  ['MaxPool: needs a four-dimensional input [N, C, H, W]', ops.MaxPool, [x(2, 3)], { kernel_shape: [2, 2] }],
  ['MaxPool: needs kernel_shape, two whole numbers from 1', ops.MaxPool, [image]],
  ['AveragePool: kernel_shape must be two whole numbers from 1', ops.AveragePool, [image], { kernel_shape: [0, 2] }],
  [
    'AveragePool: pads must be smaller than the kernel',
    ops.AveragePool,
    [image],
    { kernel_shape: [2, 3], pads: [0, 0, 2, 0] },
  ],
  [
    'MaxPool: ceil_mode=1 is not supported; pad the input instead',
    ops.MaxPool,
    [image],
    { kernel_shape: [2, 2], ceil_mode: 1 },
  ],
  ['GlobalAveragePool: needs a four-dimensional input [N, C, H, W]', ops.GlobalAveragePool, [x(2, 3)]],
  // Matrix products
  ['MatMul: operands need at least one dimension', ops.MatMul, [x(), x(2)]],
  ['MatMul: inner dimensions differ: 3 columns meet 4 rows', ops.MatMul, [x(2, 3), x(4, 2)]],
  ['MatMul: batch dimensions do not broadcast', ops.MatMul, [x(2, 2, 3), x(3, 3, 2)]],
  ['MatMul: needs operands of one dtype; cast one of them', ops.MatMul, [x(2, 2), of('float64', 2, 2)]],
  ['Gemm: needs floating-point operands of one dtype', ops.Gemm, [of('int64', 2, 2), of('int64', 2, 2)]],
  ['Gemm: needs two-dimensional A and B', ops.Gemm, [x(2, 2, 2), x(2, 2)]],
  ['Gemm: inner dimensions differ: 3 columns meet 2 rows', ops.Gemm, [x(2, 3), x(2, 4)]],
  ['Gemm: C does not broadcast to [2,4]', ops.Gemm, [x(2, 3), x(3, 4), x(3)]],
  // Normalization
  ['BatchNormalization: needs an input [N, C, …]', ops.BatchNormalization, [x(3), x(3), x(3), x(3), x(3)]],
  [
    'BatchNormTraining: needs a floating-point input',
    ops.BatchNormTraining,
    [of('int64', 2, 3), x(3), x(3), x(3), x(3)],
  ],
  [
    'scale, shift, mean and variance need one number for each of 3 channels',
    ops.BatchNormalization,
    [image, x(3), x(3), x(4), x(3)],
  ],
  ['BatchNormGrad: dy and x need the same shape', ops.BatchNormGrad, [x(2, 4), x(2, 3), x(3), x(3), x(3)]],
  // Training
  ['SoftmaxCrossEntropy: needs logits [batch, classes]', ops.SoftmaxCrossEntropy, [x(4), flowing]],
  ['SoftmaxCrossEntropy: needs int64 labels [4], one an image', ops.SoftmaxCrossEntropy, [x(4, 3), flowing]],
  ['needs int64 labels [batch], one an image', ops.SoftmaxCrossEntropy, [x('batch', 3), of('int32', 'batch')]],
  [
    'SoftmaxCrossEntropyGrad: needs a scalar loss gradient of the dtype of the probabilities',
    ops.SoftmaxCrossEntropyGrad,
    [x(1), x(2, 3), flowing],
  ],
  ['SoftmaxCrossEntropyGrad: needs a scalar', ops.SoftmaxCrossEntropyGrad, [of('float64'), x(2, 3), flowing]],
  ['Gate: survival 0 must be in (0, 1] (inputs float32[2]; survival=0)', ops.Gate, [x(2)], { survival: 0 }],
  ['Gate: survival 1.5 must be in (0, 1]', ops.Gate, [x(2)], { survival: 1.5 }],
  ['Gate: needs a scalar gate of the dtype of x', ops.Gate, [x(2), x(2)]],
  ['Gate: needs a scalar gate of the dtype of x', ops.Gate, [x(2), of('float64')]],
  // Random
  [
    'RandomNormal: dtype=7 must be 1 (float32) or 11 (float64)',
    ops.RandomNormal,
    [],
    { shape: [2], seed: 1, dtype: 7 },
  ],
  ['RandomUniform: shape must hold whole numbers', ops.RandomUniform, [], { shape: [-1], seed: 1 }],
  // Indexing
  ['Gather: indices must be int64 or int32, got float32', ops.Gather, [x(2, 3), x(2)]],
  ['Gather: axis 2 is out of range for 2 dimensions', ops.Gather, [x(2, 3), flowing], { axis: 2 }],
  ['GatherElements: indices need as many dimensions as the data', ops.GatherElements, [x(2, 3), flowing]],
  [
    "ScatterElements: reduction 'mean' is not supported; use one of none, add, mul, max, min",
    ops.ScatterElements,
    [x(3), flowing, x(2)],
    { reduction: 'mean' },
  ],
  [
    'ScatterElements: indices and updates need the same shape',
    ops.ScatterElements,
    [x(3), flowing, x(1)],
    { reduction: 'add' },
  ],
  ['OneHot: axis 2 is out of range for 2 dimensions', ops.OneHot, [flowing, constant('int64', 3), x(2)], { axis: 2 }],
  ['OneHot: depth must be one whole number', ops.OneHot, [flowing, ints(3, 4), x(2)]],
  // Moving elements
  ['Reshape: the target shape must have a known length', ops.Reshape, [x(4), of('int64', 'n')]],
  ['Reshape: the target shape must be a vector', ops.Reshape, [x(4), of('int64')]],
  ['Reshape: 0 at position 1 copies a dimension that the input does not have', ops.Reshape, [x(4), ints(4, 0)]],
  ['Reshape: at most one dimension of the target may be −1', ops.Reshape, [x(4), ints(-1, -1)]],
  ['Reshape: target of 6 elements for an input of 4', ops.Reshape, [x(4), ints(2, 3)]],
  ['Reshape: 4 elements do not divide by 3 to fill the −1', ops.Reshape, [x(4), ints(3, -1)]],
  ['Flatten: axis 3 is out of range for 2 dimensions', ops.Flatten, [x(2, 3)], { axis: 3 }],
  ['Transpose: perm must hold each axis 0 … 1 once', ops.Transpose, [x(2, 3)], { perm: [0, 0] }],
  ['Transpose: perm must hold each axis 0 … 1 once', ops.Transpose, [x(2, 3)], { perm: [-1, 0] }],
  ['Transpose: perm must hold each axis 0 … 1 once', ops.Transpose, [x(2, 3)], { perm: [0] }],
  ['Unsqueeze: axes must be known, or at least how many', ops.Unsqueeze, [x(2), of('int64', 'n')]],
  ['Unsqueeze: axis 0 is given twice', ops.Unsqueeze, [x(2), ints(0, -3)]],
  ['Squeeze: axis 1 has size 3, only size 1 can be dropped', ops.Squeeze, [x(1, 3), ints(1)]],
  ['Expand: cannot be expanded to [2,3] (inputs float32[4], int64[2])', ops.Expand, [x(4), ints(2, 3)]],
  ['Slice: starts, ends, axes and steps must be whole numbers', ops.Slice, [x(4), x(1), ints(2)]],
  ['starts, ends, axes and steps need one number each for the same axes', ops.Slice, [x(4), ints(1), ints(2, 3)]],
  ['Slice: step 0 must be a whole number other than 0', ops.Slice, [x(4), ints(1), ints(3), ints(0), ints(0)]],
  ['Slice: axis 0 is given twice', ops.Slice, [x(4), ints(1, 1), ints(3, 3), ints(0, -1)]],
  ['Pad: needs two pads an axis, got 3 for 2 axes', ops.Pad, [x(2, 3), ints(1, 1, 1)]],
  [
    "Pad: mode 'mirror' is not supported; use one of constant, reflect, edge, wrap",
    ops.Pad,
    [x(2), ints(1, 1)],
    { mode: 'mirror' },
  ],
  ['Pad: negative pads crop more of axis 0 than its 2', ops.Pad, [x(2), ints(-1, -2)]],
  [
    'Concat: all inputs must agree in dtype and in every dimension but axis 1',
    ops.Concat,
    [x(2, 3), x(3, 3)],
    { axis: 1 },
  ],
  ['Concat: all inputs must agree', ops.Concat, [x(2), flowing], { axis: 0 }],
  ['Concat: all inputs must agree', ops.Concat, [x(2), x(2, 1)], { axis: 0 }],
  // Reductions
  ['ReduceSum: axes must be a constant of the graph', ops.ReduceSum, [x(2), flowing]],
  ['ReduceMean: axis 1 is out of range for 1 dimensions', ops.ReduceMean, [x(2), ints(1)]],
  ['ReduceMax: needs numbers to fold, got bool; cast it first', ops.ReduceMax, [of('bool', 2)]],
  ['ReduceMean: axis 0 is given twice', ops.ReduceMean, [x(2), ints(0, -1)]],
  ['ArgMax: axis -3 is out of range for 2 dimensions', ops.ArgMax, [x(2, 3)], { axis: -3 }],
  ['Softmax: axis 2 is out of range for 2 dimensions', ops.Softmax, [x(2, 3)], { axis: 2 }],
]

describe('operators refuse what breaks their rules', () => {
  it.each(rows.map((row) => ({ message: row[0], row })))('$message', ({ row }) => {
    const [message, operator, inputs, attributes = {}] = row
    const call = () => apply(operator, inputs, attributes as never)
    expect(call).toThrow(GraphError)
    expect(call).toThrow(message)
    // Whatever the rule, the call can be found by it: operator, types, attributes.
    expect(call).toThrow(new RegExp(`^${operator.name}: .*\\(inputs .*\\)$`))
    for (const name of Object.keys(attributes)) expect(call).toThrow(`${name}=`)
  })

  it('names the scope of the call', () => {
    expect(() => scope('stage1', () => scope('conv', () => ops.conv(image, x(4, 2, 3, 3))))).toThrow(
      /^Conv in stage1\.conv: x has 3 channels/,
    )
  })

  it('two numbers make no value', () => {
    expect(() => ops.add(1, 2)).toThrow(
      'both operands are numbers (1, 2); one must be a value of the graph, as constant() makes',
    )
  })

  it('reshapeTo takes one symbol that no value has', () => {
    expect(ops.reshapeTo(x('batch', 'time', 2), ['batch', 'time', 2]).shape).toEqual(['batch', 'time', 2])
    expect(() => ops.reshapeTo(x(6), ['batch', 'time', 2])).toThrow(
      "cannot say the shape [batch,time,2]: 'time' is in none of the values at hand",
    )
  })
})

// Graphs as text: golden prints of small ones, and the same network built twice gives the same text and bytes.
import { describe, expect, it } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { constant, input, parameter, scope } from '../../../src/core/graph/value.js'
import { batchNorm, conv2d, linear } from '../../../src/core/layers/index.js'
import { add, flatten, globalAveragePool, maxPool, mul, pad, relu } from '../../../src/core/ops/index.js'
import { type TinyName, tinyNames, tinyNetwork } from '../../support/networks.js'
import { modelOf } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

const optimizer = { momentum: 0.9, weightDecay: 1e-4, nesterov: false }

describe('printed graphs', () => {
  it('a small convolutional network', () => {
    const x = input('images', 'float32', ['batch', 3, 8, 8])
    const y = scope('stage1', () => relu(batchNorm(conv2d(x, 'conv', { channels: 4, kernel: 3, stride: 2 }), 'bn')))
    const logits = linear(flatten(globalAveragePool(y)), 'out', 2)
    expect(printGraph(graph('small', [x], { logits }))).toMatchInlineSnapshot(`
      "graph small(images: float32[batch, 3, 8, 8]) {
        parameter stage1.conv.weight: float32[4, 3, 3, 3]
        parameter stage1.bn.scale: float32[4]
        parameter stage1.bn.shift: float32[4]
        parameter stage1.bn.running_mean: float32[4]
        parameter stage1.bn.running_variance: float32[4]
        parameter out.weight: float32[2, 4]
        parameter out.bias: float32[2]
        %0 = Conv(images, stage1.conv.weight) {strides=[2,2], pads=[1,1,1,1], dilations=[1,1], group=1}  # stage1.conv float32[batch, 4, 4, 4]
        %1 = BatchNormalization(%0, stage1.bn.scale, stage1.bn.shift, stage1.bn.running_mean, stage1.bn.running_variance) {epsilon=0.00001, momentum=0.9, training_mode=0}  # stage1.bn float32[batch, 4, 4, 4]
        %2 = Relu(%1)  # stage1 float32[batch, 4, 4, 4]
        %3 = GlobalAveragePool(%2)  # float32[batch, 4, 1, 1]
        %4 = Flatten(%3) {axis=1}  # float32[batch, 4]
        %5 = Gemm(%4, out.weight, out.bias) {alpha=1, beta=1, transA=0, transB=1}  # out float32[batch, 2]
        return logits = %5
      }
      "
    `)
  })

  it('a training step of one layer', () => {
    const x = input('x', 'float32', ['batch', 3])
    const step = sgdStep(graph('one', [x], { logits: linear(x, 'out', 2) }), optimizer)
    expect(printGraph(step.graph)).toMatchInlineSnapshot(`
      "graph one.train(x: float32[batch, 3], labels: int64[batch], learning_rate: float32[], momentum: float32[], weight_decay: float32[]) {
        parameter out.weight: float32[2, 3]
        parameter out.bias: float32[2]
        parameter out.weight.momentum: float32[2, 3]
        parameter out.bias.momentum: float32[2]
        %0 = Gemm(x, out.weight, out.bias) {alpha=1, beta=1, transA=0, transB=1}  # out float32[batch, 2]
        %1.0, %1.1 = SoftmaxCrossEntropy(%0, labels)  # train/loss float32[], float32[batch, 2]
        %2 = ArgMax(%0) {axis=1, keepdims=0, select_last_index=0}  # train/accuracy.predicted int64[batch]
        %3 = Equal(%2, labels)  # train/accuracy.hits bool[batch]
        %4 = Cast(%3) {to=7, saturate=1, round_mode=up}  # train/accuracy.hits int64[batch]
        %5 = ReduceSum(%4, [0]) {keepdims=0, noop_with_empty_axes=0}  # train/accuracy.correct int64[]
        %6 = Seed(%1.0)  # train/loss/seed float32[]
        %7 = SoftmaxCrossEntropyGrad(%6, %1.1, labels)  # train/loss/grad float32[batch, 2]
        %8 = Gemm(%7, x) {alpha=1, beta=1, transA=1, transB=0}  # out/grad float32[2, 3]
        %9 = ReduceSum(%7, [0]) {keepdims=1, noop_with_empty_axes=0}  # out/grad float32[1, 2]
        %10 = Reshape(%9, [2]) {allowzero=0}  # out/grad float32[2]
        %11 = WeightGradient(%8)  # update/out.weight float32[2, 3]
        %12 = WeightGradient(%10)  # update/out.bias float32[2]
        %13.0, %13.1 = Sgd(out.weight, %11, out.weight.momentum, learning_rate, momentum, weight_decay)  # update/out.weight float32[2, 3], float32[2, 3]
        %14.0, %14.1 = Sgd(out.bias, %12, out.bias.momentum, learning_rate, momentum, weight_decay)  # update/out.bias float32[2], float32[2]
        return loss = %1.0
        return correct = %5
        return out.weight.next = %13.0
        return out.weight.momentum.next = %13.1
        return out.bias.next = %14.0
        return out.bias.momentum.next = %14.1
      }
      "
    `)
  })

  it('constants, several outputs, and what is left out', () => {
    const x = input('x', 'float32', [1, 1, 4, 4])
    const w = parameter('w', [], { kind: 'constant', value: 1 })
    const pooled = maxPool(pad(x, [2, 3], [1, 1], [1, 1]), { kernel_shape: [2, 2] })
    const scaled = mul(add(pooled, w), constant('float32', [0.1234567, 2, 3, 4, 5], [5]))
    const outputs = { y: scaled, x, again: scaled, many: constant('float32', new Array(9).fill(1)) }
    expect(printGraph(graph('odd', [x], outputs))).toMatchInlineSnapshot(`
      "graph odd(x: float32[1, 1, 4, 4]) {
        parameter w: float32[]
        %0 = Pad(x, [0, 0, 1, 1, 0, 0, 1, 1]) {mode=constant}  # float32[1, 1, 6, 6]
        %1.0, %1.1 = MaxPool(%0) {kernel_shape=[2,2], strides=[1,1], pads=[0,0,0,0], dilations=[1,1], ceil_mode=0}  # float32[1, 1, 5, 5], int64[1, 1, 5, 5]
        %2 = Add(%1.0, w)  # float32[1, 1, 5, 5]
        %3 = Mul(%2, [0.123457, 2, 3, 4, 5])  # float32[1, 1, 5, 5]
        return y = %3
        return x = x
        return again = %3
        return many = float32[9]{…}
      }
      "
    `)
  })
})

describe('the same network built twice', () => {
  it.each<TinyName>(tinyNames)('%s prints and is written the same', (name) => {
    const [a, b] = [1, 2].map(() => sgdStep(tinyNetwork(name), optimizer).graph)
    expect(printGraph(a!)).toBe(printGraph(b!))
    for (const form of ['functions', 'inline'] as const) {
      expect(Buffer.compare(modelOf(a!, form), modelOf(b!, form)), form).toBe(0)
    }
  })
})

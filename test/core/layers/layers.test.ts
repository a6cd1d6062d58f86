// Layers: the parameters they make, their first values, what they compute.
import { describe, expect, it } from 'vitest'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { GraphError, input, type Value } from '../../../src/core/graph/value.js'
import { batchNorm, conv2d, linear, normalizePixels, standardize } from '../../../src/core/layers/index.js'

const image = input('image', 'float32', ['batch', 6, 9, 9])
const features = input('features', 'float32', ['batch', 5])

const parametersOf = (x: Value, y: Value) =>
  Object.fromEntries(
    graph('g', [x], { y }).parameters.map(({ shape, origin: { name, trainable, initializer } }) => [
      name,
      { shape, trainable, initializer },
    ]),
  )

describe('conv2d', () => {
  it('draws weights with variance 2/fan-out, and has no bias unless asked', () => {
    const y = conv2d(image, 'c', { channels: 8, kernel: 3 })
    expect(y.shape).toEqual(['batch', 8, 9, 9])
    expect(parametersOf(image, y)).toEqual({
      'c.weight': { shape: [8, 6, 3, 3], trainable: true, initializer: { kind: 'normal', std: Math.sqrt(2 / 72) } },
    })
  })

  it('takes stride, padding, bias, groups and the uniform initialization', () => {
    const y = conv2d(image, 'c', {
      channels: 4,
      kernel: 5,
      stride: 2,
      padding: 1,
      bias: true,
      groups: 2,
      init: 'uniform',
    })
    expect(y.shape).toEqual(['batch', 4, 4, 4])
    const initializer = { kind: 'uniform', bound: 1 / Math.sqrt(75) }
    expect(parametersOf(image, y)).toEqual({
      'c.weight': { shape: [4, 3, 5, 5], trainable: true, initializer },
      'c.bias': { shape: [4], trainable: true, initializer },
    })
  })

  it('starts a bias at zero with He weights', () => {
    const y = conv2d(image, 'c', { channels: 4, kernel: 1, bias: true })
    expect(parametersOf(image, y)['c.bias']!.initializer).toEqual({ kind: 'constant', value: 0 })
  })
})

describe('linear', () => {
  it('has weights [outputs, inputs] and a bias', () => {
    const y = linear(features, 'out', 3)
    expect(y.shape).toEqual(['batch', 3])
    expect(parametersOf(features, y)).toEqual({
      'out.weight': { shape: [3, 5], trainable: true, initializer: { kind: 'uniform', bound: 1 / Math.sqrt(5) } },
      'out.bias': { shape: [3], trainable: true, initializer: { kind: 'constant', value: 0 } },
    })
    const initializer = { kind: 'uniform', bound: 1 / Math.sqrt(5) }
    const uniform = parametersOf(features, linear(features, 'out', 3, { init: 'uniform' }))
    expect(Object.values(uniform).map((p) => p.initializer)).toEqual([initializer, initializer])
  })
})

describe('batchNorm', () => {
  it('starts as the identity, with statistics that the optimizer leaves alone', () => {
    const y = batchNorm(features, 'bn', { epsilon: 0 })
    const constant = (value: number) => ({ kind: 'constant', value })
    expect(parametersOf(features, y)).toEqual({
      'bn.scale': { shape: [5], trainable: true, initializer: constant(1) },
      'bn.shift': { shape: [5], trainable: true, initializer: constant(0) },
      'bn.running_mean': { shape: [5], trainable: false, initializer: constant(0) },
      'bn.running_variance': { shape: [5], trainable: false, initializer: constant(1) },
    })
  })
})

describe('normalizePixels', () => {
  it('is (pixel/255 − mean)/std for each channel', () => {
    const pixels = input('pixels', 'uint8', ['batch', 2, 1, 2])
    const statistics = { mean: [0.5, 0.25], std: [0.2, 0.4] }
    const given = numbers('uint8', [1, 2, 1, 2], [0, 255, 51, 102])
    const [y] = evaluateValues([normalizePixels(pixels, statistics)], new Map([[pixels, given]]))
    expect(y!.dtype).toBe('float32')
    ;[-2.5, 2.5, -0.125, 0.375].forEach((value, i) => {
      expect(y!.data[i]).toBeCloseTo(value, 12)
    })
  })
})

describe('errors', () => {
  const open = input('open', 'float32', ['batch', 'c', 4, 4])
  const rows: readonly (readonly [message: string, call: () => unknown])[] = [
    ['conv2d: needs a known dimension 1, got [batch,c,4,4]', () => conv2d(open, 'c', { channels: 4, kernel: 3 })],
    ['batchNorm: needs a known dimension 1, got [batch,c,4,4]', () => batchNorm(open, 'bn')],
    ['linear: needs a known dimension 1, got [batch]', () => linear(input('x', 'float32', ['batch']), 'out', 3)],
    [
      'conv2d c: 6 channels do not divide into 4 groups',
      () => conv2d(image, 'c', { channels: 8, kernel: 3, groups: 4 }),
    ],
  ]
  it.each(rows)('%s', (message, call) => {
    expect(call).toThrow(GraphError)
    expect(call).toThrow(message)
  })
})

describe('standardize', () => {
  const statistics = { mean: [1, -2], std: [2, 0.5] }
  const rows = numbers('float32', [2, 2], [3, -2, 1, -1])

  it('is (x − mean)/std of each feature, without parameters', () => {
    const x = input('x', 'float32', ['batch', 2])
    const y = standardize(x, statistics)
    expect(y.shape).toEqual(['batch', 2])
    expect(parametersOf(x, y)).toEqual({})
    expect([...evaluateValues([y], new Map([[x, rows]]))[0]!.data]).toEqual([1, 0, 0, 2])
  })

  it('makes float32 of whole numbers', () => {
    const x = input('x', 'int64', ['batch', 2])
    const y = standardize(x, statistics)
    expect(y.dtype).toBe('float32')
    expect([...evaluateValues([y], new Map([[x, numbers('int64', [1, 2], [5, 0])]]))[0]!.data]).toEqual([2, 4])
  })

  it('refuses statistics of other features, and those that divide by nothing', () => {
    const x = input('x', 'float32', ['batch', 3])
    expect(() => standardize(x, statistics)).toThrow('3 features need as many numbers for mean, got 2')
    expect(() => standardize(x, { mean: [0, 0, 0], std: [1, 0, 1] })).toThrow(
      'feature 1 has mean 0 and standard deviation 0; expected a finite mean and a deviation above 0',
    )
  })
})

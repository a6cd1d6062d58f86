// What is made of networks that others wrote before they train: another head, pixels, a batch of any size, fewer weights.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withOpenBatch } from '../../../src/core/derive/batch.js'
import { derive } from '../../../src/core/derive/derive.js'
import { explained } from '../../../src/core/derive/explain.js'
import { withHead } from '../../../src/core/derive/head.js'
import { withPixels } from '../../../src/core/derive/pixels.js'
import { layersOf, select } from '../../../src/core/derive/selection.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { type Numbers, numbers, widen } from '../../../src/core/graph/tensor.js'
import { input, nameOf, type Parameter, parameter, type Value } from '../../../src/core/graph/value.js'
import { crossEntropy, meanSquaredError } from '../../../src/core/losses/index.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { type NetworkOptions, readNetwork } from '../../../src/core/onnx/network.js'
import { conv, globalAveragePool, matmul, maxPool, relu } from '../../../src/core/ops/index.js'
import { initialize } from '../../../src/core/training/initialize.js'
import { trainingStep } from '../../../src/core/training/step.js'

const root = join(import.meta.dirname, '..', '..', '..')
const read = (name: string, options?: NetworkOptions): Graph =>
  readNetwork(readFileSync(join(root, 'test', 'fixtures', 'networks', `${name}.onnx`)), options)
const wave = (dtype: 'float32' | 'uint8', shape: readonly number[]): Numbers =>
  numbers(
    dtype,
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
      dtype === 'uint8' ? (i * 37) % 256 : Math.fround(Math.sin(0.37 * i)),
    ),
  )
const valuesOf = ({ origin }: Parameter) =>
  origin.initializer.kind === 'given' ? [...origin.initializer.tensor.data] : origin.initializer

describe('a fresh head', () => {
  it.each([
    // Gemm with transposed weights; a product and a bias [1, classes]; a product and a bias, channels last.
    ['resnet18.dynamo', ['fc.weight', 'fc.bias'], 12],
    ['sklearn_mlp_classifier.skl2onnx', ['coefficient2', 'intercepts2'], 8],
    ['vit_tiny.script', ['heads.head.weight', 'heads.head.bias'], 16],
  ])('of %s has so many classes, and all else is the file’s', (name, names, inputs) => {
    const before = read(name)
    const after = withHead(before, 7)
    const others = new Map(before.parameters.map((value) => [nameOf(value), value]))
    const fresh = after.parameters.filter(({ origin }) => origin.initializer.kind !== 'given')
    expect(fresh.map(nameOf).toSorted()).toEqual(names.toSorted())
    // torch.nn.Linear: evenly within 1/√inputs.
    for (const { origin } of fresh)
      expect(origin.initializer).toEqual({ kind: 'uniform', bound: 1 / Math.sqrt(inputs) })
    for (const value of after.parameters)
      if (!fresh.includes(value)) expect(valuesOf(value)).toEqual(valuesOf(others.get(nameOf(value))!))
    const floats = [...after.outputs.values()].filter(({ dtype }) => dtype === 'float32')
    expect(floats.map(({ shape }) => shape)).toEqual([['batch', 7]])
  })

  it('is refused where no linear layer has weights of its own', () => {
    const x = input('x', 'float32', ['batch', 1, 4, 4])
    const pooled = graph('pooled', [x], { y: maxPool(x, { kernel_shape: [2, 2] }) })
    expect(() => withHead(pooled, 3)).toThrow('pooled has no linear layer')
  })
})

describe('pixels at the input', () => {
  const statistics = { mean: [0.5, 0.25, 0.125], std: [0.5, 0.25, 0.2] }
  it.each([
    ['resnet18.dynamo', 'image', false],
    ['keras_cnn.tf2onnx', 'image', true],
  ])('of %s come to what normalized floats come to', (name, taken, isLast) => {
    const shape = isLast ? [2, 16, 16, 3] : [2, 3, 32, 32]
    const network = read(name, { shapes: { [taken]: shape } })
    const [size] = [isLast ? 16 : 32]
    const pixels = wave('uint8', [2, 3, size!, size!])
    const place = (n: number, c: number, at: number) => (n * 3 + c) * size! ** 2 + at
    const floats = wave('float32', shape)
    for (let n = 0; n < 2; n++)
      for (let c = 0; c < 3; c++)
        for (let at = 0; at < size! ** 2; at++) {
          const value = (pixels.data[place(n, c, at)]! / 255 - statistics.mean[c]!) / statistics.std[c]!
          floats.data[isLast ? (n * size! ** 2 + at) * 3 + c : place(n, c, at)] = value
        }
    const expected = [...evaluate(network, new Map([[taken, floats]])).values()][0]!
    const found = [...evaluate(withPixels(network, statistics), new Map([[taken, pixels]])).values()][0]!
    found.data.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.data[i]!, 9)
    })
  })

  it('want images', () => {
    expect(() => withPixels(read('mlp.dynamo'), statistics)).toThrow(
      "the network takes no images of floats to normalize; it takes 'features' float32[batch, 8]",
    )
  })
})

describe('which weights train', () => {
  const network = read('resnet18.dynamo')
  const training = (selected: Graph) => selected.parameters.filter(({ origin }) => origin.trainable).map(nameOf)

  it('by name, and by depth', () => {
    expect(training(select(network, { train: ['fc.*', 'layer4.1.*'], freeze: ['*_bias'] })).toSorted()).toEqual([
      'fc.bias',
      'fc.weight',
      'layer4.1.conv1.weight',
      'layer4.1.conv2.weight',
    ])
    expect(training(select(network, { trainLast: 2 })).toSorted()).toEqual([
      'fc.bias',
      'fc.weight',
      'layer4.1.conv2.weight',
      'layer4.1.conv2.weight_bias',
    ])
    expect(layersOf(network).flat()).toHaveLength(44)
  })

  it('behind frozen weights nothing goes back', () => {
    const gradients = (selected: Graph) =>
      trainingStep(selected, { batchNorm: 'running' }).graph.nodes.filter(({ operator }) => /Grad$/.test(operator.name))
    expect(gradients(network).length).toBeGreaterThan(40)
    const names = gradients(select(network, { train: ['fc.*'] })).map(({ operator }) => operator.name)
    expect(names.filter((name) => /Conv|Pool/.test(name))).toEqual([])
  })

  it('is in the file that derive writes, with the weights of the file', () => {
    const { state } = readTrainableModel(derive(network, { train: ['fc.*'] }))
    expect(Object.keys(state).filter((name) => !name.includes('momentum'))).toEqual(['fc.weight', 'fc.bias'])
    const weight = network.parameters.find((value) => nameOf(value) === 'fc.weight')!
    expect([...state['fc.weight']!.data]).toEqual(valuesOf(weight))
  })
})

describe('what is said of a network', () => {
  it('every obstacle is told, those behind another too; nodes with the same one together', () => {
    expect(explained(read('mobilenet_v3_small.dynamo'), { loss: crossEntropy() }).obstacles).toEqual([])
    const x = input('x', 'float32', ['batch', 1, 'rows', 'columns'])
    const w = parameter('w', [2, 1, 3, 3], { kind: 'constant', value: 1 })
    const pool = (value: Value) => maxPool(value, { kernel_shape: [2, 2], strides: [2, 2] })
    const y = globalAveragePool(pool(relu(pool(conv(x, w)))))
    const { obstacles, openInputs } = explained(graph('open', [x], { y }), { loss: meanSquaredError() })
    expect(openInputs).toEqual(['x=batch,1,rows,columns'])
    expect(obstacles).toHaveLength(2)
    expect(obstacles[0]).toMatch(/^gradient of MaxPool in 2 nodes: needs known height and width$/)
    expect(obstacles[1]).toMatch(/^gradient of Conv: needs known height and width, got 'rows' \(inputs /)
  })

  it('a loss that does not fit hides nothing of what else stands in the way', () => {
    const { compared, obstacles } = explained(read('temporal_convolutions.script'), {
      loss: crossEntropy({ output: 'z' }),
    })
    expect(compared).toEqual([])
    expect(obstacles).toEqual([
      "the network has no output 'z' for a loss; it has 'y'",
      'gradient of Conv in 4 nodes (/out/Conv, /layers.2/Conv, /layers.1/Conv and 1 more): needs known height and width',
    ])
  })

  it.each<[string, readonly string[]]>([
    ['resnet18.dynamo', ['y float32[batch, 10]', 'labels int64[batch], classes 0 to 9']],
    [
      'sklearn_mlp_classifier.skl2onnx',
      ['probabilities float32[batch, 3], a softmax', 'labels int64[batch], classes 0 to 2'],
    ],
    // Its upsampling is to sizes of which one is the batch.
    ['unet_smp.dynamo', ['y float32[batch, 3, 32, 32]', 'labels int64[batch, 32, 32], classes 0 to 2']],
    ['unet_smp.script', ['y float32[batch, 3, 32, 32]', 'labels int64[batch, 32, 32], classes 0 to 2']],
  ])('%s: what its loss compares', (name, expected) => {
    const { compared, obstacles } = explained(read(name), { loss: crossEntropy() })
    expect(compared).toEqual(expected)
    expect(obstacles).toEqual([])
  })

  it.each([
    ['sklearn_logistic.skl2onnx', 'the network has no weights that could train'],
    ['keras_text.tf2onnx', 'for a number take mse, for yes or no binary-cross-entropy'],
  ])('%s cannot train as it is', (name, reason) => {
    const { obstacles } = explained(read(name), { loss: crossEntropy() })
    expect(obstacles).toHaveLength(1)
    expect(obstacles[0]).toContain(reason)
  })
})

describe('a batch of any size', () => {
  // With a batch of 1 the shape arithmetic of the exporter comes to targets of Reshapes that hold it.
  it.each([
    'resnet18.script',
    'shufflenet_v2.script',
    'swin_tiny.script',
    'efficientnet_b0.dynamo',
    'unet_monai.script',
  ])('%s gives what the network of that size gives', (name) => {
    const [image] = read(name).inputs
    const sizes = image!.shape.slice(1) as readonly number[]
    const ofSize = (batch: number) => read(name, { shapes: { [nameOf(image!)]: [batch, ...sizes] } })
    const opened = withOpenBatch(ofSize(1))!
    expect(opened.inputs[0]!.shape[0]).toBe('batch')
    const feeds = new Map([[nameOf(image!), wave('float32', [3, ...sizes])]])
    const expected = [...evaluate(ofSize(3), feeds).values()][0]!
    const found = [...evaluate(opened, feeds).values()][0]!
    expect(found.shape).toEqual(expected.shape)
    found.data.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.data[i]!, 9)
    })
  })

  it.each([
    // Its shape arithmetic compares sizes with -1, and its pooling counts tokens that only the run knows.
    ['bert.script', crossEntropy()],
    ['gpt2.script', crossEntropy({ axis: -1 })],
    ['embedding_bag.script', crossEntropy()],
  ])('is that of the inputs at the end of %s, which trains with a label for each example', (name, loss) => {
    const { signature } = readTrainableModel(derive(read(name), { loss }))
    expect(signature.targets[0]!.shape[0]).toBe('batch')
  })

  it('is not made of a network that holds for one size alone', () => {
    const x = input('x', 'float32', [4, 2])
    const w = parameter('w', [3, 4], { kind: 'constant', value: 1 })
    // Its class token is expanded to the batch.
    expect(withOpenBatch(read('vit_tiny.script', { shapes: { image: [1, 3, 16, 16] } })) === undefined).toBe(true)
    expect(withOpenBatch(graph('mixing', [x], { y: matmul(w, x) })) === undefined).toBe(true)
  })
})

describe('a file of ours, derived again', () => {
  const pixels = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] }
  const network = read('resnet18.dynamo')
  const parametersOf = ({ parameters }: Graph) => parameters.map(nameOf).toSorted()

  it('has the same weights: the mean and deviation of pixels do not train', () => {
    const again = readNetwork(derive(network, { pixels }))
    expect(parametersOf(again)).toEqual(parametersOf(network))
  })

  it('its initialization by itself gives every first value of the state', () => {
    const options = { pixels, average: { decay: 0.9 } }
    const { state } = readTrainableModel(derive(network, options))
    const alone = readNetwork(derive(network, { ...options, part: 'init' }))
    const held = [...initialize([alone], 1)].map(([name, value]) => [name, widen(value)] as const)
    const given = evaluate(alone, new Map(held))
    expect([...given.keys()].toSorted()).toEqual(
      Object.keys(state)
        .map((name) => `${name}.initial`)
        .toSorted(),
    )
    for (const [name, { data }] of Object.entries(state))
      expect([...given.get(`${name}.initial`)!.data]).toEqual(Array.from(data, Number))
  })
})

// Derivatives of networks that others wrote: against central differences in float64, and PyTorch's numbers.
import { describe, expect, it } from 'vitest'
import { type DerivativeOptions, derivativeGraph, exportDerivative } from '../../../src/core/derive/derivative.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { ancestors, graph } from '../../../src/core/graph/graph.js'
import { rewriteOutputs } from '../../../src/core/graph/rewrite.js'
import { isFloat, type Numbers, numbers, tensor } from '../../../src/core/graph/tensor.js'
import { constant, input, nameOf, parameter, type Value } from '../../../src/core/graph/value.js'
import { type NetworkOptions, readNetwork } from '../../../src/core/onnx/network.js'
import type { GraphProto } from '../../../src/core/onnx/schema.js'
import { encodeModel, tensorToProto } from '../../../src/core/onnx/tensors.js'
import { exp, matmul, mul, reduceSum, relu, tanh } from '../../../src/core/ops/index.js'
import { loop } from '../../../src/core/ops/loop.js'
import { expectClose, openModel, type Tensors } from '../../support/runtime.js'
import { fileOf, json, pointOf, type Ranges, type Shapes } from './points.js'

const dot = (a: Numbers, b: Numbers) => a.data.reduce((sum, value, i) => sum + value * b.data[i]!, 0)
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const STEP = 1e-5
const difference = (above: Numbers, below: Numbers): Numbers => ({
  ...above,
  data: above.data.map((value, i) => (value - below.data[i]!) / (2 * STEP)),
})
const prefixed = (prefix: string, values: Tensors) =>
  [...values].map(([name, value]): [string, Numbers] => [`${prefix}.${name}`, value])

const networks: Readonly<Record<string, { readonly shapes: Shapes; readonly range?: Ranges }>> =
  json('networks/networks')

describe('products are those of central differences', () => {
  it.each([
    'autoencoder.dynamo',
    'batch_norm_training.script',
    'bert.script',
    'causal_attention.script',
    'convnext_tiny.dynamo',
    'efficientnet_b0.script',
    'embedding_bag.script',
    'gru.script',
    'keras_cnn.tf2onnx',
    'lstm_tagger.script',
    'resnet18.dynamo',
    'sklearn_mlp_classifier.skl2onnx',
    'spatial_transformer.script',
    'temporal_convolutions.script',
    'unet_smp.dynamo',
    'vit_tiny.dynamo',
  ])(
    'of %s',
    (name) => {
      const { shapes, range = {} } = networks[name]!
      const network = readNetwork(fileOf(`networks/${name}`), { shapes })
      const fed = network.inputs.filter(({ dtype }) => isFloat(dtype)).map(nameOf)
      const wrt = fed.length > 0 ? fed : network.parameters.slice(0, 3).map(nameOf)
      const of = [...network.outputs].filter(([, { dtype }]) => isFloat(dtype)).map(([output]) => output)
      const { along, directions, seedsOf } = pointOf(network, shapes, range, wrt)
      const [above, below] = [evaluate(network, along(STEP)), evaluate(network, along(-STEP))]
      const tangents = new Map(of.map((output) => [output, difference(above.get(output)!, below.get(output)!)]))
      const seeds = seedsOf(tangents)
      const run = (product: DerivativeOptions['product'], step = 0) => {
        const derived = derivativeGraph(network, { of, wrt, product })
        return evaluate(
          derived,
          new Map([...along(step), ...prefixed('seed', seeds), ...prefixed('tangent', directions)]),
        )
      }

      const gradients = run('vjp')
      const expected = sum(of.map((output) => dot(seeds.get(output)!, tangents.get(output)!)))
      const found = sum(wrt.map((x) => dot(gradients.get(`grad.${x}`)!, directions.get(x)!)))
      expect(Math.abs(found - expected) / Math.abs(expected)).toBeLessThan(1e-5)
      for (const [output, value] of evaluate(network, along(0))) expect(gradients.get(output)).toEqual(value)

      const forward = run('jvp')
      for (const output of of) expectClose(forward.get(`tangent.${output}`)!, tangents.get(output)!, output, 1e-5)

      const second = run('hvp')
      const [after, before] = [run('vjp', STEP), run('vjp', -STEP)]
      for (const x of wrt) {
        expect(second.get(`grad.${x}`)).toEqual(gradients.get(`grad.${x}`))
        const slope = difference(after.get(`grad.${x}`)!, before.get(`grad.${x}`)!)
        expectClose(second.get(`hvp.${x}`)!, slope, x, 1e-4)
      }
    },
    120_000,
  )
})

it('second derivatives go through a loop that stacks what it does not carry', () => {
  const [x, scale] = [input('x', 'float32', [3]), input('scale', 'float32', [])]
  const { carried, stacked } = loop(constant('int64', 4), { h: x }, (_, { h }) => ({
    carried: { h: tanh(mul(h, h)) },
    stacked: { row: mul(h, mul(scale, scale)) },
  }))
  const network = graph('loop', [x, scale], { rows: stacked.row!, h: carried.h })
  const { along, directions, seedsOf } = pointOf(network, { x: [3], scale: [] }, {}, ['x', 'scale'])
  const seeds = seedsOf(evaluate(network, along(0)))
  const run = (product: 'vjp' | 'hvp', step: number) =>
    evaluate(
      derivativeGraph(network, { product }),
      new Map([...along(step), ...prefixed('seed', seeds), ...prefixed('tangent', directions)]),
    )
  const [after, before, found] = [run('vjp', STEP), run('vjp', -STEP), run('hvp', 0)]
  for (const name of ['x', 'scale'])
    expectClose(
      found.get(`hvp.${name}`)!,
      difference(after.get(`grad.${name}`)!, before.get(`grad.${name}`)!),
      name,
      1e-6,
    )
})

describe('in ONNX Runtime they are PyTorch’s numbers', () => {
  const given = json('derivatives/pytorch')
  const names = ['images', '0.weight', '8.bias']
  const shapes: Shapes = { images: [3, 2, 8, 8], '0.weight': [4, 2, 3, 3], '8.bias': [6], scores: [3, 5] }
  const float = (name: string, data: readonly number[]) => numbers('float32', shapes[name]!, data)
  const feeds = new Map([
    ['images', float('images', given.images)],
    ['seed.scores', float('scores', given.seed)],
    ...names.map((name): [string, Numbers] => [`tangent.${name}`, float(name, given.tangents[name])]),
  ])
  const run = async (options: Parameters<typeof exportDerivative>[1]) => {
    const network = readNetwork(fileOf('derivatives/pytorch'), { inner: names })
    const model = await openModel(exportDerivative(network, { wrt: names, ...options }))
    const results = await model.run(feeds)
    await model.close()
    return results
  }
  const expectAll = (results: Tensors, prefix: string, values: Readonly<Record<string, readonly number[]>>) => {
    for (const [name, data] of Object.entries(values))
      expectClose(results.get(`${prefix}.${name}`)!, float(name, data), `${prefix}.${name}`, 1e-5)
  }

  it.each([{}, { inline: true }, { level: 'basic' }, { opset: 13 }, { opset: 21 }] as const)(
    'gradients and Hessian-vector products, written with %o',
    async (options) => {
      const results = await run({ product: 'hvp', ...options })
      expectClose(results.get('scores')!, float('scores', given.scores), 'scores', 1e-5)
      expectAll(results, 'grad', given.gradients)
      expectAll(results, 'hvp', given.products)
    },
  )

  it('vector-Jacobian and Jacobian-vector products, for a batch of any size', async () => {
    expectAll(await run({}), 'grad', given.gradients)
    expectAll(await run({ product: 'jvp' }), 'tangent', { scores: given.tangent })
  })
})

describe('what is named', () => {
  const info = (name: string, ...sizes: number[]) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: sizes.map((dimValue) => ({ dimValue })) } } },
  })
  const node = (opType: string, inputs: string, output: string) => ({
    opType,
    input: inputs.split(' '),
    output: [output],
  })
  const read = (proto: GraphProto, options?: NetworkOptions) =>
    readNetwork(
      encodeModel({ irVersion: 8, opsetImport: [{ domain: '', version: 18 }], graph: { name: 'g', ...proto } }),
      options,
    )
  const vector = (...values: number[]) => numbers('float32', [values.length], values)

  it('may be an inner value: its gradient is what follows it, and it comes out', () => {
    const file = fileOf('networks/resnet18.dynamo')
    const shapes = { image: [2, 3, 32, 32] }
    const whole = readNetwork(file, { shapes })
    // Inside a block, beside its shortcut.
    const inner = 'relu_5'
    const network = readNetwork(file, { shapes, inner: [inner] })
    expect([...network.outputs.keys()]).toEqual(['y', inner])
    const activation = network.outputs.get(inner)!
    const { along, seedsOf } = pointOf(whole, shapes, {}, [])
    const first = evaluate(network, along(0))
    const seed = seedsOf(first).get('y')!
    const results = evaluate(
      derivativeGraph(network, { of: ['y'], wrt: [inner] }),
      new Map([...along(0), ['seed.y', seed]]),
    )
    expect(results.get(inner)).toEqual(first.get(inner))
    // The rest of the network by itself, from another activation.
    const fed = input('activation', activation.dtype, activation.shape)
    const y = network.outputs.get('y')!
    const rest = { nodes: ancestors([y], new Set([activation])), outputs: new Map([['y', y]]) }
    const tail = graph(
      'tail',
      [...network.inputs, fed],
      rewriteOutputs(rest, () => undefined, { leaves: new Map([[activation, fed]]) }),
    )
    const direction = seedsOf(first).get(inner)!
    const at = (step: number) =>
      evaluate(
        tail,
        new Map([
          ...along(0),
          ['activation', { ...direction, data: first.get(inner)!.data.map((x, i) => x + step * direction.data[i]!) }],
        ]),
      ).get('y')!
    const slope = dot(seed, difference(at(STEP), at(-STEP)))
    expect(dot(results.get(`grad.${inner}`)!, direction) / slope).toBeCloseTo(1, 5)
  })

  it('is a value of its own where the file only passes it on', () => {
    const proto = {
      input: [info('x', 2)],
      node: [node('Mul', 'x x', 'a'), node('Dropout', 'a', 'b'), node('Mul', 'a b', 'y')],
      output: [info('y', 2)],
    }
    const network = read(proto, { inner: ['a', 'b'] })
    const run = (wrt: string) =>
      evaluate(derivativeGraph(network, { of: ['y'], wrt: [wrt], sum: true }), new Map([['x', vector(3, -1)]])).get(
        `grad.${wrt}`,
      )
    // y = a·b with b = a, which is x².
    expect(run('b')).toEqual(vector(9, 1))
    expect(run('a')).toEqual(vector(18, 2))
  })

  it('may be one number that the file holds, or a tensor that it hides in a Constant node', () => {
    const scalar = tensorToProto('scale', tensor('float32', [], [0.5]))
    const held = { name: 'value', type: 4, t: tensorToProto('', tensor('float32', [2], [3, 3])) }
    const proto = {
      input: [info('x', 2)],
      initializer: [scalar],
      node: [
        { opType: 'Constant', input: [], output: ['c'], attribute: [held] },
        node('Exp', 'scale', 'factor'),
        node('Mul', 'x factor', 'scaled'),
        node('Mul', 'scaled c', 'y'),
      ],
      output: [info('y', 2)],
    }
    const network = read(proto, { inner: ['scale', 'c'] })
    expect([...network.outputs.keys()]).toEqual(['y'])
    const found = evaluate(derivativeGraph(network, { wrt: ['scale', 'c'], sum: true }), new Map([['x', vector(1, 2)]]))
    expect(found.get('grad.scale')!.data[0]).toBeCloseTo(9 * Math.exp(0.5), 12)
    expect([...found.get('grad.c')!.data].map((value) => value / Math.exp(0.5))).toEqual([1, 2])
  })

  it('may be a pattern of weights, a scalar output has no seed, and taken names get numbers', () => {
    const [x, other] = [input('x', 'float32', ['batch', 2]), input('grad.x', 'float32', ['batch', 2])]
    const weight = (name: string, shape: readonly number[]): Value =>
      parameter(name, shape, { kind: 'constant', value: 0.5 })
    const hidden = tanh(matmul(mul(x, other), weight('fc1.weight', [2, 3])))
    const y = matmul(hidden, weight('fc2.weight', [3, 1]))
    const network = graph('g', [x, other], { y, energy: reduceSum(y, undefined, { keepdims: 0 }) })
    const typesOf = (options: DerivativeOptions) => {
      const derived = derivativeGraph(network, options)
      return [derived.inputs.map(nameOf), [...derived.outputs.keys()]]
    }
    expect(typesOf({ of: ['energy'], wrt: ['fc*.weight', 'x', 'x'] })).toEqual([
      ['x', 'grad.x'],
      ['y', 'energy', 'grad.fc1.weight', 'grad.fc2.weight', 'grad.x_2'],
    ])
    expect(typesOf({ product: 'hvp' })).toEqual([
      ['x', 'grad.x', 'seed.y', 'tangent.x', 'tangent.grad.x'],
      ['y', 'energy', 'grad.x_2', 'grad.grad.x', 'hvp.x', 'hvp.grad.x'],
    ])
    expect(typesOf({ product: 'jvp', of: ['y'], wrt: ['x'] })).toEqual([
      ['x', 'grad.x', 'tangent.x'],
      ['y', 'energy', 'tangent.y'],
    ])
  })

  const [x, ids] = [input('x', 'float32', [2]), input('ids', 'int64', [2])]
  const small = graph('small', [x, ids], {
    scores: exp(x),
    other: relu(parameter('w', [2], { kind: 'constant', value: 1 })),
    ids,
  })
  it.each<[DerivativeOptions, string]>([
    [{ of: ['score'] }, "the network has no output 'score'; nearest are 'scores', 'other', 'ids'"],
    [{ wrt: ['y'] }, "the network has no input, weight or value 'y'; nearest are "],
    [{ wrt: ['ids'] }, "'ids' is int64[2]; only floats have derivatives: take 'scores', 'other', 'x'"],
    [{ of: ['ids'] }, "'ids' is int64[2]; only floats have derivatives: take 'scores', 'other'"],
    [{ of: ['scores'], wrt: ['w'] }, "'w' does not lead to 'scores': there is nothing to differentiate"],
    [{ wrt: ['fc*'] }, "no weight is named like 'fc*'; there are x, ids, w"],
    [{ product: 'jvp', sum: true }, 'sum takes the place of seeds'],
    [{ layout: 'casadi', sum: true }, 'sum takes the place of seeds'],
  ])('is refused where it makes no sense: %o', (options, message) => {
    expect(() => derivativeGraph(small, options)).toThrow(message)
  })
  it('is refused where nothing is a float, or no value has the name', () => {
    const whole = graph('whole', [ids], { y: exp(parameter('w', [2], { kind: 'constant', value: 1 })), ids })
    expect(() => derivativeGraph(whole)).toThrow(
      "the network takes 'ids' int64[2]; only floats have derivatives: name weights or inner values (--wrt)",
    )
    expect(() => derivativeGraph(graph('none', [ids], { ids }))).toThrow(
      "the network gives 'ids' int64[2]; only floats",
    )
    expect(() => readNetwork(fileOf('networks/resnet18.script'), { inner: ['/layer1/relu'] })).toThrow(
      /^the model has no value '\/layer1\/relu'; nearest are '/,
    )
  })
  it('is refused with all that stands in the way, and what may help', () => {
    const open = (name: string) => ({
      ...info(name, 1, 1),
      type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1 }, { dimValue: 1 }, {}, {}] } } },
    })
    const weight = (name: string) => tensorToProto(name, tensor('float32', [1, 1, 2, 2], [1, 2, 3, 4]))
    const network = read({
      input: [open('x')],
      initializer: [weight('v'), weight('w')],
      node: [node('Conv', 'x v', 'h'), node('Conv', 'h w', 'y')],
      output: [open('y')],
    })
    expect(() => derivativeGraph(network, { wrt: ['x'] })).toThrow(
      /^2 things stand in the way: gradient of Conv in Conv: needs known .*; gradient of Conv .*; sizes left open by 'x' float32\[1, 1, x\.2, x\.3\] can be said \(--shape NAME=SIZE,SIZE,…\)$/,
    )
  })
})

// Expansions of the portable target: each primitive written in standard operators computes what its record says.
import { describe, expect, it } from 'vitest'
import { evaluate, evaluateValues } from '../../src/graph/evaluate.js'
import { graph, nodesBehind } from '../../src/graph/graph.js'
import { type Attributes, ONNX_DOMAIN, type Operator, TRAINING_DOMAIN } from '../../src/graph/operator.js'
import { type Tensor, tensor } from '../../src/graph/tensor.js'
import { apply, constant, GraphError, input, type Node, scope, type Value } from '../../src/graph/value.js'
import {
  ConvInputGrad,
  ConvWeightGrad,
  conv,
  operators,
  primitives,
  ReluGrad,
  SgdMomentum,
  SoftmaxCrossEntropyGrad,
} from '../../src/ops/index.js'
import { randomStream } from '../../src/random.js'
import { portable } from '../../src/targets/portable/index.js'
import { expandNode, expandPrimitives, isPrimitive } from '../../src/targets/target.js'
import { trainingStep } from '../../src/training/step.js'
import { disturbed, tinyBatch, tinyNetwork } from '../support/networks.js'
import { relativeError } from '../support/runtime.js'
import { rows, trial } from '../support/samples.js'

const nodeOf = (value: Value): Node => {
  if (value.origin.kind !== 'node') throw new Error('not a node')
  return value.origin.node
}

/** The primitive behind these outputs and its expansion: same types, same numbers, standard operators only. */
function expectSame(outputs: readonly Value[], feeds: ReadonlyMap<Value, Tensor>, tolerance: number) {
  const node = nodeOf(outputs[0]!)
  const expanded = expandNode(portable, node, node.inputs)
  expect(expanded.map(({ dtype, shape }) => ({ dtype, shape }))).toEqual(
    outputs.map(({ dtype, shape }) => ({ dtype, shape })),
  )
  for (const { operator } of nodesBehind(expanded)) expect(operator.domain, operator.name).toBe(ONNX_DOMAIN)
  const actual = evaluateValues(expanded, feeds)
  evaluateValues(outputs, feeds).forEach((value, i) => {
    expect(actual[i]!.shape).toEqual(value.shape)
    expect(relativeError(actual[i]!, value, 1e-3), `output ${i}`).toBeLessThanOrEqual(tolerance)
  })
}

describe('the table of primitives', () => {
  it('holds exactly the operators of the training domain, each by its name', () => {
    const own = operators.filter(({ domain }) => domain === TRAINING_DOMAIN).map(({ name }) => name)
    expect(Object.keys(primitives).sort()).toEqual([...own].sort())
    for (const [name, { name: own }] of Object.entries(primitives)) expect(own).toBe(name)
    expect(Object.keys(portable.expansions).sort()).toEqual(Object.keys(primitives).sort())
  })

  it('holds no operator twice', () => {
    const all = operators.map(({ domain, name }) => `${domain}:${name}`)
    expect(new Set(all).size).toBe(all.length)
  })
})

describe('samples of the primitives', () => {
  const list: readonly Operator[] = operators.filter(({ domain }) => domain === TRAINING_DOMAIN)
  it.each(rows(list).map((row) => [row.name, row] as const))('%s', (_, { operator, index }) => {
    const { outputs, feeds } = trial(operator, index)
    // Only the variance E x² − (E x)² and what is computed from it lose digits to the way of computing.
    expectSame(outputs, feeds, operator.name === 'ReluGrad' ? 0 : 1e-9)
  })

  it('ReluGrad is exact from the smallest normal number to the largest, and closed at zero', () => {
    const dy = input('dy', 'float32', [6])
    const y = input('y', 'float32', [6])
    const feeds = new Map([
      [dy, tensor('float32', [6], [1.5, -2.25, 3, -4, 5, 6])],
      [y, tensor('float32', [6], [2 ** -126, 1e-20, 1, 3.4e38, 0, -0])],
    ])
    const outputs = apply(ReluGrad, [dy, y])
    expectSame(outputs, feeds, 0)
    expect([...evaluateValues(outputs, feeds)[0]!.data]).toEqual([1.5, -2.25, 3, -4, 0, 0])
  })

  it('SgdMomentum in all its forms', () => {
    const shapes = [[2, 3], [2, 3], [2, 3], []]
    const inputs = shapes.map((shape, i) => input(`x${i}`, 'float32', shape))
    const random = randomStream(3, 'sgd')
    const feeds = new Map(
      inputs.map((value, i) => {
        const size = shapes[i]!.reduce((a, b) => a * b, 1)
        return [
          value,
          tensor(
            'float32',
            shapes[i]!,
            Array.from({ length: size }, () => random.normal()),
          ),
        ]
      }),
    )
    for (const momentum of [0, 0.9])
      for (const weight_decay of [0, 0.1])
        for (const nesterov of [0, 1])
          expectSame(apply(SgdMomentum, inputs, { momentum, weight_decay, nesterov }), feeds, 1e-12)
  })
})

interface Convolution {
  /** Height, width, kernel and the rest; channels and groups. */
  size: readonly [number, number]
  kernel: readonly [number, number]
  strides: readonly [number, number]
  pads: readonly [number, number, number, number]
  dilations: readonly [number, number]
  group: number
}

/** Strides 1–3, kernels 1–5, pads on each side up to the kernel, dilations 1–3, groups 1–3: drawn once, always the same. */
const drawnConvolutions: readonly Convolution[] = Array.from({ length: 60 }, (_, i) => {
  const random = randomStream(31, 'convolution', i)
  const upTo = (most: number) => 1 + random.below(most)
  const kernel = [upTo(5), upTo(5)] as const
  // A third of them take the short ways: stride and dilation 1, one group.
  const simple = i % 3 === 0
  const strides = simple ? ([1, 1] as const) : ([upTo(3), upTo(3)] as const)
  const dilations = i % 3 === 2 ? ([upTo(3), upTo(3)] as const) : ([1, 1] as const)
  const pad = (axis: 0 | 1) => random.below(kernel[axis] + 1)
  const span = (axis: 0 | 1) => dilations[axis] * (kernel[axis] - 1) + 1
  return {
    kernel,
    strides,
    dilations,
    pads: [pad(0), pad(1), pad(0), pad(1)],
    size: [span(0) + random.below(6), span(1) + random.below(6)],
    group: simple ? 1 : upTo(3),
  }
})

/** One row too much at one end and one too few at the other: pads that cancel in a sum. */
const lopsided = [
  [3, 1, 1, 3],
  [1, 3, 3, 1],
  [0, 2, 4, 2],
] as const
const convolutions: readonly Convolution[] = [
  ...lopsided.map(
    (pads) => ({ size: [5, 6], kernel: [3, 3], strides: [1, 1], dilations: [1, 1], group: 1, pads }) as const,
  ),
  ...drawnConvolutions,
]

describe('convolution gradients of every kind of window', () => {
  const title = (c: Convolution) =>
    `${c.size.join('×')} kernel ${c.kernel} strides ${c.strides} pads ${c.pads} dilations ${c.dilations} group ${c.group}`
  const drawLike = (shape: readonly number[], key: string) => {
    const random = randomStream(37, key)
    const size = shape.reduce((a, b) => a * b, 1)
    return tensor(
      'float32',
      shape,
      Array.from({ length: size }, () => random.normal()),
    )
  }

  it.each(convolutions.map((c) => [title(c), c] as const))('%s', (_, { size, kernel, group, ...window }) => {
    const attributes: Attributes = { ...window, group }
    const x = input('x', 'float32', ['batch', 2 * group, ...size])
    const w = input('w', 'float32', [3 * group, 2, ...kernel])
    const y = conv(x, w, attributes)
    const dy = input('dy', 'float32', y.shape)
    const known = (value: Value) => value.shape.map((dim) => (dim === 'batch' ? 2 : (dim as number)))
    const feeds = new Map([x, w, dy].map((value, i) => [value, drawLike(known(value), String(i))]))
    const [, ...spatial] = y.shape.slice(1) as readonly number[]
    const output_padding = spatial.map((count, axis) => {
      const padded = size[axis]! + window.pads[axis]! + window.pads[axis + 2]!
      return padded - ((count - 1) * window.strides[axis]! + window.dilations[axis]! * (kernel[axis]! - 1) + 1)
    })
    const dx = apply(ConvInputGrad, [dy, w], { ...window, group, output_padding })
    const dw = apply(ConvWeightGrad, [x, dy], { ...window, group, kernel_shape: kernel })
    expect(dx[0]!.shape).toEqual(x.shape)
    expect(dw[0]!.shape).toEqual(w.shape)
    expectSame(dx, feeds, 1e-12)
    expectSame(dw, feeds, 1e-12)
    // Both are adjoints of the convolution: ⟨dy, x ∗ w⟩ = ⟨dx, x⟩ = ⟨dw, w⟩.
    const dot = (a: Tensor, b: Tensor) => a.data.reduce((sum, value, i) => sum + value * b.data[i]!, 0)
    const [ys, dxs, dws] = evaluateValues([y, dx[0]!, dw[0]!], feeds)
    const product = dot(ys!, feeds.get(dy)!)
    expect(dot(dxs!, feeds.get(x)!)).toBeCloseTo(product, 9)
    expect(dot(dws!, feeds.get(w)!)).toBeCloseTo(product, 9)
  })
})

describe('a whole step written out', () => {
  const step = trainingStep(tinyNetwork('RDM bottleneck'), { momentum: 0.9, weightDecay: 1e-4, nesterov: false })
  const written = expandPrimitives(step.graph, portable)

  it('holds standard operators only, and computes the same', () => {
    expect(step.graph.nodes.some(isPrimitive)).toBe(true)
    expect(written.nodes.filter(isPrimitive)).toEqual([])
    const feeds = new Map([...disturbed(step.graph, 5), ...tinyBatch(step.graph, 2)])
    const expected = evaluate(step.graph, feeds)
    const actual = evaluate(written, feeds)
    for (const [name, value] of expected) expect(relativeError(actual.get(name)!, value, 1e-2), name).toBeLessThan(1e-9)
  })

  it('keeps inputs, parameters, outputs and their types', () => {
    const types = ({ dtype, shape }: Value) => ({ dtype, shape })
    expect(written.inputs).toEqual(step.graph.inputs)
    expect(new Set(written.parameters)).toEqual(new Set(step.graph.parameters))
    expect([...written.outputs].map(([name, value]) => [name, types(value)])).toEqual(
      [...step.graph.outputs].map(([name, value]) => [name, types(value)]),
    )
  })

  it('names the parts of a primitive as the primitive was', () => {
    const scopes = new Set(step.graph.nodes.map((node) => node.scope))
    for (const node of written.nodes) expect(scopes).toContain(node.scope)
  })

  it('float64 logits have float64 one-hot targets', () => {
    const probabilities = input('p', 'float64', ['batch', 3])
    const inputs = [constant('float64', 1), probabilities, input('labels', 'int64', ['batch'])]
    const [d] = expandPrimitives(
      graph('g', inputs.slice(1), { d: apply(SoftmaxCrossEntropyGrad, inputs)[0]! }),
      portable,
    ).outputs
    expect(d![1]).toMatchObject({ dtype: 'float64', shape: ['batch', 3] })
  })
})

describe('errors', () => {
  it('say target, primitive and inputs', () => {
    const probabilities = input('p', 'float32', ['batch', 'classes'])
    const inputs = [constant('float32', 1), probabilities, input('labels', 'int64', ['batch'])]
    const [d] = scope('loss', () => apply(SoftmaxCrossEntropyGrad, inputs))
    const call = () => expandNode(portable, nodeOf(d!), inputs)
    expect(call).toThrow(GraphError)
    expect(call).toThrow(
      "target portable, SoftmaxCrossEntropyGrad: needs a known number of classes, got 'classes'; give the logits a fixed last dimension (inputs float32[], float32[batch, classes], int64[batch])",
    )
  })
})

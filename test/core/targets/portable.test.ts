// Expansions of the portable target at both levels: each primitive written in standard operators computes what its record
// says.
import { describe, expect, it } from 'vitest'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { ancestors, graph } from '../../../src/core/graph/graph.js'
import { ONNX_DOMAIN, type Operator, TRAINING_DOMAIN } from '../../../src/core/graph/operator.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply, constant, GraphError, input, type Node, scope, type Value } from '../../../src/core/graph/value.js'
import {
  operators,
  primitives,
  ReluGrad,
  SoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad,
} from '../../../src/core/ops/index.js'
import { levelNames, levels } from '../../../src/core/targets/portable/basic.js'
import { type Expander, expandNode, expandPrimitives, isPrimitive } from '../../../src/core/targets/target.js'
import { convolutions, convolutionTrial, titleOf } from '../../support/convolutions.js'
import { disturbed, tinyBatch, tinyNetwork } from '../../support/networks.js'
import { expectClose, modelOf, openModel, relativeError, rounded } from '../../support/runtime.js'
import { rows, trial } from '../../support/samples.js'
import { sgdStep } from '../../support/steps.js'

const nodeOf = (value: Value): Node => {
  if (value.origin.kind !== 'node') throw new Error('not a node')
  return value.origin.node
}

/** The primitive behind these outputs and its expansion: same types, same numbers, standard operators only. */
function expectSame(
  portable: Expander,
  outputs: readonly Value[],
  feeds: ReadonlyMap<Value, Numbers>,
  tolerance: number,
) {
  const node = nodeOf(outputs[0]!)
  const expanded = expandNode(portable, node, node.inputs)!
  expect(expanded.map(({ dtype, shape }) => ({ dtype, shape }))).toEqual(
    outputs.map(({ dtype, shape }) => ({ dtype, shape })),
  )
  for (const { operator } of ancestors(expanded)) expect(operator.domain, operator.name).toBe(ONNX_DOMAIN)
  const actual = evaluateValues(expanded, feeds)
  evaluateValues(outputs, feeds).forEach((value, i) => {
    expect(actual[i]!.shape).toEqual(value.shape)
    expect(relativeError(actual[i]!, value, 1e-3), `output ${i}`).toBeLessThanOrEqual(tolerance)
  })
}

describe('the table of primitives', () => {
  it('holds exactly the operators of the training domain that have no body, each by its name', () => {
    const own = operators.filter(({ domain, body }) => domain === TRAINING_DOMAIN && !body).map(({ name }) => name)
    expect(Object.keys(primitives).sort()).toEqual([...own].sort())
    for (const [name, { name: own }] of Object.entries(primitives)) expect(own).toBe(name)
    for (const { expansions } of Object.values(levels))
      expect(Object.keys(expansions)).toEqual(expect.arrayContaining(Object.keys(primitives)))
  })

  it('holds no operator twice', () => {
    const all = operators.map(({ domain, name }) => `${domain}:${name}`)
    expect(new Set(all).size).toBe(all.length)
  })
})

describe.each(levelNames)('level %s', (level) => {
  const portable = levels[level]
  describe('samples of the primitives', () => {
    const list: readonly Operator[] = operators.filter(({ domain }) => domain === TRAINING_DOMAIN)
    it.each(rows(list).map((row) => [row.name, row] as const))('%s', (_, { operator, index }) => {
      const { outputs, feeds } = trial(operator, index)
      // Only the variance E x² − (E x)² and what is computed from it lose digits to the way of computing.
      expectSame(portable, outputs, feeds, operator.name === 'ReluGrad' ? 0 : 1e-9)
    })

    it('ReluGrad is exact from the smallest normal number to the largest, and closed at zero', () => {
      const dy = input('dy', 'float32', [6])
      const y = input('y', 'float32', [6])
      const feeds = new Map([
        [dy, numbers('float32', [6], [1.5, -2.25, 3, -4, 5, 6])],
        [y, numbers('float32', [6], [2 ** -126, 1e-20, 1, 3.4e38, 0, -0])],
      ])
      const outputs = apply(ReluGrad, [dy, y])
      expectSame(portable, outputs, feeds, 0)
      expect([...evaluateValues(outputs, feeds)[0]!.data]).toEqual([1.5, -2.25, 3, -4, 0, 0])
    })
  })

  describe('convolution gradients of every kind of window', () => {
    it.each(convolutions.map((c) => [titleOf(c), c] as const))('%s', (_, convolution) => {
      const { x, w, y, dy, dx, dw, feeds } = convolutionTrial(convolution)
      expect(dx.shape).toEqual(x.shape)
      expect(dw.shape).toEqual(w.shape)
      expectSame(portable, [dx], feeds, 1e-12)
      expectSame(portable, [dw], feeds, 1e-12)
      // Both are adjoints of the convolution: ⟨dy, x ∗ w⟩ = ⟨dx, x⟩ = ⟨dw, w⟩.
      const dot = (a: Numbers, b: Numbers) => a.data.reduce((sum, value, i) => sum + value * b.data[i]!, 0)
      const [ys, dxs, dws] = evaluateValues([y, dx, dw], feeds)
      const product = dot(ys!, feeds.get(dy)!)
      expect(dot(dxs!, feeds.get(x)!)).toBeCloseTo(product, 9)
      expect(dot(dws!, feeds.get(w)!)).toBeCloseTo(product, 9)
    })

    it('in ONNX Runtime, all of them in one model', async () => {
      const trials = convolutions.map((convolution, i) => convolutionTrial(convolution, `${i}.`))
      const outputs = trials.flatMap(({ dx, dw }, i) => [[`${i}.dx`, dx] as const, [`${i}.dw`, dw] as const])
      const feeds = new Map(trials.flatMap((one) => [...one.feeds].map(([value, t]) => [value, rounded(t)])))
      const named = new Map([...feeds].map(([{ origin }, t]) => ['name' in origin ? origin.name : '', t]))
      const all = graph('convolutions', [...feeds.keys()], new Map(outputs))
      const expected = evaluate(all, named)
      const model = await openModel(modelOf(all, 'functions', level))
      const actual = await model.run(named)
      await model.close()
      for (const [name, value] of expected) {
        expectClose(actual.get(name)!, value, `${titleOf(convolutions[Number.parseInt(name, 10)]!)} ${name}`)
      }
    })
  })

  describe('a whole step written out', () => {
    const step = sgdStep(tinyNetwork('RDM bottleneck'), { momentum: 0.9, weightDecay: 1e-4, nesterov: false })
    const written = expandPrimitives(step.graph, portable)

    it('holds standard operators only, and computes the same', () => {
      expect(step.graph.nodes.some(isPrimitive)).toBe(true)
      expect(written.nodes.filter(isPrimitive)).toEqual([])
      const feeds = new Map([...disturbed(step.graph, 5), ...tinyBatch(step.graph, 2)])
      const expected = evaluate(step.graph, feeds)
      const actual = evaluate(written, feeds)
      for (const [name, value] of expected)
        expect(relativeError(actual.get(name)!, value, 1e-2), name).toBeLessThan(1e-9)
    })

    it('keeps inputs, parameters, outputs and their types', () => {
      const types = ({ dtype, shape }: Value) => ({ dtype, shape })
      expect(written.inputs).toEqual(step.graph.inputs)
      expect(new Set(written.parameters)).toEqual(new Set(step.graph.parameters))
      expect([...written.outputs].map(([name, value]) => [name, types(value)])).toEqual(
        [...step.graph.outputs].map(([name, value]) => [name, types(value)]),
      )
    })

    it('names the parts of a primitive below the primitive', () => {
      const scopes = new Set(step.graph.nodes.map((node) => node.scope))
      const isBelow = (scope: string) => [...scopes].some((one) => scope === one || scope.startsWith(`${one}.`))
      expect(written.nodes.filter(({ scope }) => !isBelow(scope)).map(({ scope }) => scope)).toEqual([])
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
})

it('an expansion that does not take its inputs: target, primitive and inputs are said', () => {
  const logits = input('p', 'float32', ['batch', 'classes'])
  const inputs = [logits, input('labels', 'int64', ['batch'])]
  const [loss] = scope('loss', () => apply(SoftmaxCrossEntropy, inputs))
  const call = () => expandNode(levels.basic, nodeOf(loss!), inputs)
  expect(call).toThrow(GraphError)
  expect(call).toThrow(
    "target portable-basic, SoftmaxCrossEntropy: needs a known number of classes, got 'classes'; give the logits a fixed last dimension (inputs float32[batch, classes], int64[batch])",
  )
})

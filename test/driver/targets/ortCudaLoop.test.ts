// Several training steps in one run: what single steps give, one after the other, on the same batches.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { nameOf } from '../../../src/core/graph/value.js'
import { parametersAsInputs } from '../../../src/core/model/write.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import type { TrainingStep } from '../../../src/core/training/step.js'
import { evaluationSteps, lossScaling, stepNodes, trainingSteps } from '../../../src/driver/targets/ort-cuda/steps.js'
import type { Precision } from '../../../src/driver/targets/target.js'
import { BATCH, type Data, floorOf, runFeeds, singleSteps, stacked, trainingData } from '../../support/manySteps.js'
import { disturbed, tinyBatch, tinyNames, tinyNetwork } from '../../support/networks.js'
import { expectClose, modelOf, openModel, relativeError, type Tensors } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

const stepsOf = ({ open, step }: Data, precision: Precision = 'fp32') =>
  trainingSteps(open, step.signature, { precision })

describe.each(tinyNames)('%s', (name) => {
  const data = trainingData(name)
  const steps = stepsOf(data)
  const batches = data.batches()
  const expected = singleSteps(data, batches)

  const check = (outputs: Tensors, tolerance: number, wanted = expected) => {
    expect(
      relativeError(outputs.get('loss')!, numbers('float32', [wanted.loss.length], wanted.loss), 1e-3),
    ).toBeLessThan(tolerance)
    expect([...outputs.get('correct')!.data]).toEqual(wanted.correct)
    for (const [output, state] of Object.entries(steps.signature.updates))
      expectClose(outputs.get(output)!, wanted.state.get(state)!, output, tolerance, floorOf(state))
  }

  it('gives in float64 what single steps give', () => {
    check(evaluate(steps.graph, runFeeds(data, batches)), 1e-8)
  })

  it('gives in ONNX Runtime what single steps give, whatever the number of steps and of images', async () => {
    const model = await openModel(modelOf(steps.graph, 'inline'))
    check(await model.run(runFeeds(data, batches)), 1e-4)
    const smaller = data.batches(3, 1)
    check(await model.run(runFeeds(data, smaller)), 1e-4, singleSteps(data, smaller))
    await model.close()
  })

  it('gives the same for a step that takes batches of one size alone', () => {
    const fixed = trainingSteps(specialize(data.open, { batch: BATCH }), data.step.signature)
    expect(fixed.graph.inputs.flatMap(({ shape }) => shape)).not.toContain('batch')
    check(evaluate(fixed.graph, runFeeds(data, batches)), 1e-8)
  })

  it('updates weights of one shape together, and holds nothing that waits for its target', () => {
    const nodes = stepNodes(steps.graph)
    expect(nodes.filter(isPrimitive)).toEqual([])
    // An update of momenta takes one node of each operator for all weights of one shape and one kind.
    const shapes = new Set(data.step.graph.parameters.map(({ shape }) => String(shape)))
    const updates = nodes.filter(
      ({ operator, inputs }) =>
        operator.name === 'Mul' &&
        inputs.some((x) => x?.origin.kind === 'input' && /^(momentum|first_moment)/.test(x.origin.name)),
    )
    expect(updates.length).toBeGreaterThan(0)
    expect(updates.length).toBeLessThanOrEqual(shapes.size)
  })

  it('puts side by side only what is of one length, where there are many places', () => {
    // The CUDA provider fills a table of all places on the host where the parts differ.
    for (const { operator, inputs, outputs } of [...stepNodes(steps.graph), ...steps.graph.nodes]) {
      if (operator.name !== 'Concat' && operator.name !== 'Split') continue
      const [parts, [whole]] = operator.name === 'Concat' ? [inputs, outputs] : [outputs, inputs]
      const lengths = new Set(parts.map((part) => String(part!.shape)))
      // State vectors.
      const few = whole!.shape.length === 1
      expect(lengths.size === 1 || few, `${operator.name} of ${[...lengths].join(' and ')}`).toBe(true)
    }
  })
})

describe('half precision', () => {
  const data = trainingData('RDM basic')
  const steps = stepsOf(data, 'fp16')
  const batches = data.batches()
  const expected = singleSteps(data, batches)
  const scalar = (value: number) => numbers('float32', [], [value])
  const withScale = (scale: number, steady = 0) =>
    new Map([
      ...runFeeds(data, batches),
      [lossScaling.scale, scalar(scale)],
      [lossScaling.steady, scalar(steady)],
      [lossScaling.skipped, scalar(0)],
    ])
  const opened = openModel(modelOf(steps.graph, 'inline'))
  const numberOf = (outputs: Tensors, name: string) => outputs.get(`${name}.next`)!.data[0]
  const norm = (values: Float64Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))

  it('is in float64 the same training', () => {
    const outputs = evaluate(steps.graph, withScale(1024))
    for (const [output, state] of Object.entries(data.step.signature.updates))
      expectClose(outputs.get(output)!, expected.state.get(state)!, output, 1e-8, floorOf(state))
    expect([...outputs.get('loss_scales')!.data]).toEqual([1024, 1024, 1024])
  })

  it('rounds, and goes the same way', async () => {
    const outputs = await (await opened).run(withScale(1024))
    outputs.get('loss')!.data.forEach((loss, k) => {
      // Half precision has eleven bits: what it loses shows in the fourth digit of a step, not in the second.
      expect(Math.abs(loss / expected.loss[k]! - 1)).toBeLessThan(0.02)
    })
    expect([...outputs.get('loss')!.data]).not.toEqual(expected.loss.map(Math.fround))
    for (const [output, state] of Object.entries(data.step.signature.updates).filter(([, state]) =>
      /conv\d.weight$/.test(state),
    )) {
      const moved = (values: Numbers) => values.data.map((value, i) => value - data.state.get(state)!.data[i]!)
      const [actual, wanted] = [moved(outputs.get(output)!), moved(expected.state.get(state)!)]
      expect(norm(actual.map((value, i) => value - wanted[i]!)) / norm(wanted), output).toBeLessThan(0.05)
    }
    expect(numberOf(outputs, lossScaling.scale)).toBe(1024)
    expect(numberOf(outputs, lossScaling.steady)).toBe(3)
    expect(numberOf(outputs, lossScaling.skipped)).toBe(0)
  })

  it('takes no step whose gradients overflow, counts them, and halves the scale', async () => {
    const outputs = await (await opened).run(withScale(2 ** 40, 7))
    for (const [output, state] of Object.entries(data.step.signature.updates))
      expect([...outputs.get(output)!.data], output).toEqual([...data.state.get(state)!.data])
    expect(outputs.get('loss')!.data.every(Number.isFinite)).toBe(true)
    expect([...outputs.get('loss_scales')!.data]).toEqual([2 ** 40, 2 ** 39, 2 ** 38])
    expect(numberOf(outputs, lossScaling.scale)).toBe(2 ** 37)
    expect(numberOf(outputs, lossScaling.steady)).toBe(0)
    expect(numberOf(outputs, lossScaling.skipped)).toBe(3)
  })

  it('doubles the scale after two thousand steady steps', async () => {
    const outputs = await (await opened).run(withScale(64, 1998))
    expect([...outputs.get('loss_scales')!.data]).toEqual([64, 64, 128])
    expect(numberOf(outputs, lossScaling.scale)).toBe(128)
    expect(numberOf(outputs, lossScaling.steady)).toBe(1)
  })

  it('computes every convolution and product in half precision, and nothing else', () => {
    const nodes = stepNodes(steps.graph)
    const half = nodes.filter(({ outputs }) => outputs.some(({ dtype }) => dtype === 'float16'))
    const heavy = ['Conv', 'ConvTranspose', 'FusedMatMul', 'Gemm']
    const moves = ['Cast', 'Reshape', 'Split', 'Pad', 'Gather', 'Flatten', 'Transpose']
    expect(half.filter(({ operator }) => ![...heavy, ...moves].includes(operator.name))).toEqual([])
    const single = nodes.filter(({ operator, outputs: [y] }) => heavy.includes(operator.name) && y!.dtype !== 'float16')
    expect(single).toEqual([])
    // Weights of one shape are made half precision at once.
    const weights = half.filter(({ operator, inputs: [x] }) => operator.name === 'Cast' && x!.origin.kind === 'input')
    const shapes = new Set(weights.map(({ inputs: [x] }) => String(x!.shape.slice(1))))
    expect(weights.length).toBeGreaterThan(0)
    expect(shapes.size).toBeGreaterThanOrEqual(weights.length / 2)
  })
})

describe('evaluation in a loop', () => {
  it('gives the outputs of the network, batch after batch', async () => {
    const network = tinyNetwork('RDM basic, stochastic depth')
    const state = disturbed(network, 3)
    const open = parametersAsInputs(network, network.parameters)
    const source = evaluationSteps(open, network.inputs.map(nameOf), ['logits'])
    const step: TrainingStep = sgdStep(network)
    const batches = [1, 2, 3].map((seed) => tinyBatch(step, seed, { size: 2 }).get('images')!)
    const model = await openModel(modelOf(source, 'inline'))
    const { logits } = Object.fromEntries(await model.run(new Map([...state, ['images', stacked(batches)]])))
    await model.close()
    const each = batches.map((images) => evaluate(network, new Map([...state, ['images', images]])).get('logits')!)
    expectClose(logits!, stacked(each), 'logits')
  })
})

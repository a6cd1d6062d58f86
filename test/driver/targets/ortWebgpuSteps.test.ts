// Training steps by the target `ort-webgpu`, several in one run: in float64 what single steps give, and in ONNX Runtime on the CPU,
// which knows every operator; on a device: ortWebgpuDevice.test.ts.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { narrow, numbers } from '../../../src/core/graph/tensor.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import { heldIn } from '../../../src/driver/targets/ort-webgpu/held.js'
import { ortWebgpu } from '../../../src/driver/targets/ort-webgpu/index.js'
import { packedStep, stepsOf, unrolled } from '../../../src/driver/targets/ort-webgpu/steps.js'
import { BATCH, floorOf, STEPS, singleSteps, stackedAll, trainingData } from '../../support/manySteps.js'
import { tinyNames } from '../../support/networks.js'
import { expectClose, modelOf, openModel, relativeError, type Tensors } from '../../support/runtime.js'
import { stateIn, vectorFeeds } from '../../support/stateVectors.js'

describe.each(tinyNames)('%s', (name) => {
  const data = trainingData(name)
  const { signature } = data.step
  const step = packedStep(specialize(data.open, { batch: BATCH }), signature)
  const { graph, vectors } = unrolled(step, signature, STEPS)
  const batches = data.batches()
  const expected = singleSteps(data, batches)

  const feeds = () => vectorFeeds(vectors, new Map([...data.state, ...stackedAll(batches)]))
  const check = (outputs: Tensors, tolerance: number) => {
    const loss = numbers('float32', [STEPS], expected.loss)
    expect(relativeError(outputs.get('loss')!, loss, 1e-3)).toBeLessThan(tolerance)
    expect([...outputs.get('correct')!.data]).toEqual(expected.correct)
    const next = stateIn(vectors, outputs)
    expect([...next.keys()].sort()).toEqual(Object.values(signature.updates).sort())
    for (const [state, value] of next) expectClose(value, expected.state.get(state)!, state, tolerance, floorOf(state))
  }

  it('gives in float64 what single steps give', () => {
    check(evaluate(graph, feeds()), 1e-8)
  })

  it('gives in ONNX Runtime what single steps give', async () => {
    const model = await openModel(modelOf(graph, 'inline'))
    check(await model.run(feeds()), 1e-4)
    await model.close()
  })

  it('holds the state in tensors that the models take, and gives it back', () => {
    const held = heldIn(vectors)
    const state = Object.fromEntries([...data.state].map(([key, value]) => [key, narrow(value)]))
    const inputs = new Map(
      graph.inputs.map(({ dtype, shape, origin }) => ['name' in origin && origin.name, [dtype, ...shape]]),
    )
    for (const [key, { dtype, shape }] of Object.entries(held.hold(state)))
      expect([dtype, ...shape]).toEqual(inputs.get(key))
    expect(held.release(held.hold(state))).toEqual(state)
    for (const [output, input] of Object.entries(held.updates))
      expect([graph.outputs.has(output), inputs.has(input)]).toEqual([true, true])
  })

  it('is the same step by itself, with the inputs and outputs that it has elsewhere', () => {
    const source = specialize(data.open, { batch: BATCH })
    const lowered = ortWebgpu.lower(source)
    expect(lowered.nodes.filter(isPrimitive)).toEqual([])
    const given = new Map([...data.state, ...batches[0]!])
    const outputs = evaluate(lowered, given)
    for (const [output, value] of evaluate(source, given)) expectClose(outputs.get(output)!, value, output, 1e-8)
  })

  it('binds no more buffers than any adapter has, and computes with no shapes and no int64', () => {
    for (const { operator, inputs, outputs } of [...step.graph.nodes, ...graph.nodes]) {
      if (operator.name === 'Split') expect(outputs.length).toBeLessThan(8)
      if (operator.name === 'Concat') expect(inputs.length, operator.name).toBeLessThanOrEqual(9)
      expect(['Shape', 'Size', 'OneHot', 'LogSoftmax', 'ArgMax']).not.toContain(operator.name)
      // But at the end, where a metric is a whole number.
      if (operator.name !== 'Cast') expect(outputs.map(({ dtype }) => dtype)).not.toContain('int64')
    }
  })
})

it('takes as many steps a run as are no burden', () => {
  const graph = (nodes: number) => ({ nodes: Array.from({ length: nodes }) }) as never
  const fed = (batch: number) => [{ shape: [batch, 3, 32, 32] }] as never
  expect(stepsOf({ graph: graph(400), fed: fed(128) })).toBe(16)
  expect(stepsOf({ graph: graph(2500), fed: fed(128) })).toBe(4)
  expect(stepsOf({ graph: graph(40_000), fed: fed(128) })).toBe(1)
  expect(stepsOf({ graph: graph(400), fed: fed(8192) })).toBe(2)
})

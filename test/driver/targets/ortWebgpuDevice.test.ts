// What target ort-webgpu writes, on a WebGPU adapter (in software): the losses and the state of the float64 reference, every node on
// the device but those that the provider has no kernels for.
import { afterAll, describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { parametersAsInputs } from '../../../src/core/model/write.js'
import { ortWebgpu } from '../../../src/driver/targets/ort-webgpu/index.js'
import { packedStep, unrolled } from '../../../src/driver/targets/ort-webgpu/steps.js'
import { BATCH, floorOf, STEPS, singleSteps, stackedAll, trainingData } from '../../support/manySteps.js'
import { plainCnn } from '../../support/models.js'
import { disturbed, tinyBatch, tinyNames } from '../../support/networks.js'
import { expectClose, modelOf, relativeError } from '../../support/runtime.js'
import { stateIn, vectorFeeds } from '../../support/stateVectors.js'
import { sgdStep } from '../../support/steps.js'
import { hasWebgpu, placementOf, WebgpuProcess } from '../../support/webgpu.js'

const DEVICE = 'WebGpuExecutionProvider'

describe.runIf(hasWebgpu)('on WebGPU', { timeout: 300_000 }, () => {
  const device = new WebgpuProcess()
  afterAll(() => device.close())

  describe.each(tinyNames)('%s', (name) => {
    const data = trainingData(name)
    const { signature } = data.step
    const step = packedStep(specialize(data.open, { batch: BATCH }), signature)
    const { graph, vectors } = unrolled(step, signature, STEPS)
    const model = modelOf(graph, 'inline')
    const batches = data.batches()
    const feeds = vectorFeeds(vectors, new Map([...data.state, ...stackedAll(batches)]))

    it('takes three steps as the float64 reference does, on the device', async () => {
      const outputs = await device.run(model, feeds)
      const expected = singleSteps(data, batches)
      const error = relativeError(outputs.get('loss')!, numbers('float32', [STEPS], expected.loss), 1e-3)
      expect(error).toBeLessThan(2e-5)
      expect([...outputs.get('correct')!.data]).toEqual(expected.correct)
      for (const [state, value] of stateIn(vectors, outputs))
        expectClose(value, expected.state.get(state)!, state, 2e-4, floorOf(state))
    })

    it('is computed by the device, but for the one node that it has no kernel for', () => {
      const placed = placementOf(model)
      // Labels come as int64.
      expect(placed.CPUExecutionProvider).toEqual({ Cast: 1 })
      const onDevice = Object.values(placed[DEVICE]!).reduce((sum, count) => sum + count, 0)
      expect(onDevice).toBeGreaterThan(STEPS * 200)
    })
  })

  it('takes a step of other layers: pooling, groups, biases, a join', async () => {
    const step = sgdStep(plainCnn(), { momentum: 0.9 })
    const open = specialize(parametersAsInputs(step.graph, step.graph.parameters), { batch: BATCH })
    const lowered = ortWebgpu.lower(open)
    const feeds = new Map([...disturbed(step.graph, 5), ...tinyBatch(step, 100, { size: BATCH })])
    const expected = evaluate(open, feeds)
    for (const [name, value] of evaluate(lowered, feeds)) expectClose(value, expected.get(name)!, name, 1e-8)
    const model = modelOf(lowered, 'inline')
    for (const [name, value] of await device.run(model, feeds)) expectClose(value, expected.get(name)!, name, 2e-4)
    // The places of maxima that windows share are int32, which Slice has no kernel for.
    expect(Object.keys(placementOf(model).CPUExecutionProvider!).sort()).toEqual(['Cast', 'Slice'])
  })
})

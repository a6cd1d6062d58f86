// What target ort-webgpu writes, on a WebGPU adapter (in software): the losses and the state of the float64 reference, every node on
// the device but those that the provider has no kernels for.
import { afterAll, describe, expect, it } from 'vitest'
import { specialize } from '../../../src/core/graph/specialize.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { packedStep, unrolled } from '../../../src/driver/targets/ort-webgpu/steps.js'
import { BATCH, floorOf, STEPS, singleSteps, stackedAll, trainingData } from '../../support/manySteps.js'
import { tinyNames } from '../../support/networks.js'
import { expectClose, modelOf, relativeError } from '../../support/runtime.js'
import { stateIn, vectorFeeds } from '../../support/stateVectors.js'
import { hasWebgpu, WebgpuProcess } from '../../support/webgpu.js'

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
      const { outputs, placed } = await device.run(model, feeds)
      const expected = singleSteps(data, batches)
      const error = relativeError(outputs.get('loss')!, numbers('float32', [STEPS], expected.loss), 1e-3)
      expect(error).toBeLessThan(2e-5)
      expect([...outputs.get('correct')!.data]).toEqual(expected.correct)
      for (const [state, value] of stateIn(vectors, outputs))
        expectClose(value, expected.state.get(state)!, state, 2e-4, floorOf(state))

      // But for what it has no kernel for: labels come as int64.
      const elsewhere = placed.filter(([, provider]) => provider !== DEVICE).map(([operator]) => operator)
      expect(elsewhere).toEqual(['Cast'])
      expect(placed.length).toBeGreaterThan(STEPS * 200)
    })
  })
})

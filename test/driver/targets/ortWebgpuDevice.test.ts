// What target ort-webgpu writes, on a WebGPU adapter (in software): the losses and the state of the float64 reference, every node on
// the device but those that the provider has no kernels for, the same bytes again.
import { afterAll, describe, expect, it } from 'vitest'
import { specialize } from '../../../src/core/graph/specialize.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { packedStep, unrolled } from '../../../src/driver/targets/ort-webgpu/steps.js'
import { BATCH, floorOf, STEPS, singleSteps, stackedAll, trainingData } from '../../support/manySteps.js'
import { tinyNames } from '../../support/networks.js'
import { packedFeeds, unpackedState } from '../../support/packs.js'
import { expectClose, modelOf, relativeError } from '../../support/runtime.js'
import { hasWebgpu, WebgpuProcess } from '../../support/webgpu.js'

const DEVICE = 'WebGpuExecutionProvider'

describe.runIf(hasWebgpu)('on WebGPU', () => {
  const device = new WebgpuProcess()
  afterAll(() => device.close())

  describe.each(tinyNames)('%s', (name) => {
    const data = trainingData(name)
    const { signature } = data.step
    const step = packedStep(specialize(data.open, { batch: BATCH }), signature)
    const model = modelOf(unrolled(step, signature, STEPS).graph, 'inline')
    const batches = data.batches()
    const feeds = packedFeeds(step.packs, new Map([...data.state, ...stackedAll(batches)]))

    it('takes three steps as the float64 reference does, and the same ones again', async () => {
      const outputs = await device.run(model, feeds)
      const expected = singleSteps(data, batches)
      const error = relativeError(outputs.get('loss')!, numbers('float32', [STEPS], expected.loss), 1e-3)
      expect(error).toBeLessThan(2e-5)
      expect([...outputs.get('correct')!.data]).toEqual(expected.correct)
      for (const [state, value] of unpackedState(step.packs, outputs))
        expectClose(value, expected.state.get(state)!, state, 2e-4, floorOf(state))
      expect(await device.run(model, feeds)).toEqual(outputs)
    })

    it('is computed by the device, but for what it has no kernels for', async () => {
      const placed = await device.place(model, feeds)
      const elsewhere = placed.filter(([, provider]) => provider !== DEVICE).map(([operator]) => operator)
      // int64 comes and goes: labels, and how many were right.
      expect(elsewhere).toEqual(['Cast'])
      expect(placed.length).toBeGreaterThan(STEPS * 200)
    })
  })
})

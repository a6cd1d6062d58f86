// Files of every version of ONNX's operators, of every kind of network: three steps in ONNX Runtime against the float64 reference,
// inference and initialization as in our own version; and what the driver reads and trains by.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import type { ExportOptions } from '../../../src/core/model/write.js'
import { OPSET, writableOpsets } from '../../../src/core/onnx/opsets.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { ortCpu } from '../../../src/driver/targets/ort-cpu/index.js'
import { ortCuda } from '../../../src/driver/targets/ort-cuda/index.js'
import { machineBlock } from '../../support/blocks.js'
import { fileOf, networkNames, networks, paper } from '../../support/models.js'
import { tinyBatch } from '../../support/networks.js'
import { expectClose, openModel, type Tensors } from '../../support/runtime.js'
import { expectSameTraining, sgdStep, train } from '../../support/steps.js'

const { from, to } = writableOpsets
const opsets = Array.from({ length: to - from + 1 }, (_, i) => from + i)

async function runOnce(model: Uint8Array, feeds: Tensors): Promise<Tensors> {
  const open = await openModel(model)
  const results = await open.run(feeds)
  await open.close()
  return results
}

describe.each(networkNames)('%s', (name) => {
  const network = networks[name]!()
  const step = sgdStep(network, paper)
  const reference = train(step, (feeds) => evaluate(step.graph, feeds))
  const file = (options: Partial<ExportOptions>) => fileOf(network, options)

  async function expectReferenceSteps(model: Uint8Array, tolerance?: number) {
    const open = await openModel(model)
    expectSameTraining(await train(step, open.run), await reference, tolerance)
    await open.close()
  }

  // Each form is seen in every second version, and both in the oldest.
  const cases = [[from, true] as const, ...opsets.map((opset) => [opset, opset % 2 === 0] as const)]
  it.each(cases)('version %i, inline %s: takes the same three steps', (opset, inline) =>
    expectReferenceSteps(file({ part: 'train', opset, inline })),
  )

  it('predicts and draws the same in every version', async () => {
    const images = tinyBatch(network, 3)
    const usual = await runOnce(file({ part: 'infer' }), images)
    const drawn = await runOnce(file({ part: 'init' }), new Map())
    for (const opset of opsets) {
      const plain = await runOnce(file({ part: 'infer', opset }), images)
      // Which nodes the runtime fuses, and so how it rounds, may differ.
      for (const [output, value] of usual) expectClose(plain.get(output)!, value, `${output}, version ${opset}`)
      expect(await runOnce(file({ opset }), images)).toEqual(plain)
      expect(await runOnce(file({ part: 'init', opset }), new Map())).toEqual(drawn)
    }
    expect(usual.size).toBe(2)
    expect(drawn.size).toBeGreaterThan(10)
  })

  const targets = [portable, ortCuda(), ...(machineBlock === undefined ? [] : [ortCpu({ block: machineBlock })])]
  it.each(targets.map((target) => [target.name, target] as const))(
    'is trained by %s from the oldest version',
    (_, target) => expectReferenceSteps(readTrainableModel(file({ opset: from })).step(target, 5), 1e-4),
  )

  it('is read from every version with its state, which goes back into a file of that version', () => {
    const { state, signature, multiplyAdds } = readTrainableModel(file({ opset: OPSET }))
    for (const opset of opsets) {
      const bytes = file({ opset, inline: opset === from })
      const model = readTrainableModel(bytes)
      expect(model).toMatchObject({ state, signature, multiplyAdds })
      expect(Buffer.compare(model.withState(state), bytes)).toBe(0)
    }
  })
})

// Whole training steps by the target `ort-cuda`: in float64 against the reference of the step itself, three in a row in ONNX
// Runtime's CPU provider, in half precision too; and what a lowered step is made of.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import type { TrainingStep } from '../../../src/core/training/step.js'
import { ortCuda } from '../../../src/driver/targets/ort-cuda/index.js'
import { networkNames, networks } from '../../support/models.js'
import { disturbed, tinyBatch } from '../../support/networks.js'
import { expectClose, modelOf, openModel, type Tensors } from '../../support/runtime.js'
import { sgdStep, stateAfter } from '../../support/steps.js'

const STEPS = 3
const BATCH = 6

const feedsOf = (step: TrainingStep, state: Tensors, index: number): Tensors =>
  new Map([...state, ...tinyBatch(step, 100 + index, { size: BATCH })])

/** Three steps, each from the state that the one before left. */
async function train(step: TrainingStep, run: (feeds: Tensors) => Tensors | Promise<Tensors>) {
  let state: Tensors = disturbed(step.graph, 5)
  const results: Tensors[] = []
  for (let index = 0; index < STEPS; index++) {
    const outputs = await run(feedsOf(step, state, index))
    results.push(outputs)
    state = stateAfter(step, outputs)
  }
  return results
}

/** Some momenta have gradients that are nothing but rounding: their floor is a tenth of the largest that there are here. */
const floorOf = (name: string) => (name.endsWith('.momentum.next') ? 0.05 : 1e-3)

describe.each(networkNames)('%s', (name) => {
  const step = sgdStep(networks[name]!(), { momentum: 0.9, weightDecay: 1e-4, nesterov: name === 'RDM basic' })
  const lowered = ortCuda().lower(step.graph)
  const reference = train(step, (feeds) => evaluate(step.graph, feeds))

  it('is the same step, written otherwise', async () => {
    expect(lowered.nodes.filter(isPrimitive)).toEqual([])
    const [expected] = await reference
    const actual = evaluate(lowered, feedsOf(step, disturbed(step.graph, 5), 0))
    for (const [output, value] of expected!) expectClose(actual.get(output)!, value, output, 1e-8, floorOf(output))
  })

  it('takes three steps in ONNX Runtime', async () => {
    const model = await openModel(modelOf(lowered, 'inline'))
    const actual = await train(step, model.run)
    await model.close()
    ;(await reference).forEach((outputs, index) => {
      for (const [output, value] of outputs)
        expectClose(actual[index]!.get(output)!, value, `step ${index + 1}, ${output}`, 1e-4, floorOf(output))
    })
  })
})

// The registry of targets: what each says of itself is true of the step that it writes, and no other name is taken.
import { exportModel, graph, input, linear, readTrainableModel, recipes, signatureOf } from 'rdm-onnx'
import { describe, expect, it } from 'vitest'
// The compiled ones: they open sessions in worker threads.
import {
  fastestFor,
  meantBy,
  ownTargetNames,
  stepPlanSchema,
  targetNames,
  targetOf,
} from '../../../dist/src/driver/targets/index.js'
import { UserError } from '../../../src/core/errors.js'
import { newConfig } from '../../../src/driver/fit/config.js'
import { machineBlock } from '../../support/blocks.js'

const x = input('x', 'float32', ['batch', 3])
const network = graph('small', [x], { logits: linear(x, 'out', 4) })
const model = readTrainableModel(exportModel(network, { recipe: recipes.paper, seed: 1 }))
const BATCH = 6
const common = { model, batch: BATCH, threads: 1 }

/** A target that is for this machine alone needs one with blocked operators. */
const here = ownTargetNames.filter((name) => name !== 'ort-cpu' || machineBlock !== undefined)

it('knows these, and takes the fastest where none is said', () => {
  expect(ownTargetNames).toEqual(['portable', 'ort-cpu', 'ort-cuda', 'ort-webgpu', 'ort-training'])
  expect(targetNames).toEqual(['auto', ...ownTargetNames])
  const settings = [
    {},
    { provider: 'cpu' },
    { provider: 'cuda' },
    { provider: 'webgpu' },
    { runtime: 'web-training' },
  ] as const
  expect(settings.map(fastestFor)).toEqual(['ort-cpu', 'ort-cpu', 'ort-cuda', 'ort-webgpu', 'ort-training'])
  const [runtime, provider] = ['node', 'cuda'] as const
  expect(meantBy({ target: 'auto', runtime, provider }).name).toBe('ort-cuda')
  expect(meantBy({ target: 'portable', runtime, provider }).name).toBe('portable')
})

describe.each(here)('%s', (name) => {
  const target = targetOf(name)

  it('writes a step that takes what it says', async () => {
    expect(target.name).toBe(name)
    const { inputs } = signatureOf((await target.write(common))!)
    const shape = inputs.find((value) => value.name === 'x')!.shape
    // Where a loop takes any number of steps, a batch has one more axis in front; what has to be unrolled is written once.
    const stacked = target.inLoop && !target.fixesBatch
    expect(shape.length).toBe(stacked ? 3 : 2)
    const size = shape[stacked ? 1 : 0]
    if (target.fixesBatch) expect(size).toBe(BATCH)
    else expect(typeof size).toBe('string')
  })

  it('plans such a step, and takes its own plan again, and no other target’s', async () => {
    const planned = (await target.plan(common))!
    expect(planned.inLoop).toBe(target.inLoop)
    const kept = JSON.parse(JSON.stringify(planned.plan))
    expect(kept.target).toBe(name)
    expect(stepPlanSchema.parse(kept)).toEqual(planned.plan)
    for (const other of ownTargetNames) expect(targetOf(other).planSchema.safeParse(kept).success).toBe(other === name)
    expect(() => stepPlanSchema.parse({ ...kept, more: 1 })).toThrow()
    const again = (await target.plan({ ...common, earlier: kept }))!
    expect(Buffer.from(again.models(BATCH)).equals(Buffer.from(planned.models(BATCH)))).toBe(true)
    const { text, json } = target.explain(planned, { ...common, stepsPerRun: 7 })
    expect(text).toContain(`target ${name}`)
    expect(json.target).toBe(name)
  })

  it('is chosen by its name where a run can have it', () => {
    for (const provider of target.providers) {
      for (const precision of target.precisions) {
        const config = newConfig(recipes.paper, { target: name, runtime: target.runtime, provider, precision })
        expect(config).toMatchObject({ target: name, precision })
      }
    }
    if (!target.precisions.includes('fp16'))
      expect(() => newConfig(recipes.paper, { target: name, runtime: target.runtime, precision: 'fp16' })).toThrow(
        UserError,
      )
  })
})

it('refuses a name that none has', () => {
  expect(() => newConfig(recipes.paper, { target: 'fast' as never })).toThrow(
    new UserError(
      'the training configuration does not fit: target: Invalid option: expected one of "auto"|"portable"|"ort-cpu"|"ort-cuda"|"ort-webgpu"|"ort-training"',
    ),
  )
  expect(stepPlanSchema.safeParse({ target: 'fast' }).success).toBe(false)
})

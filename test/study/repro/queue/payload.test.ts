// Which jobs are the same job, and what is refused as none.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../../graphs/recipes.js'
import { findNetwork } from '../../../../graphs/zoo.js'
import { UserError } from '../../../../src/core/errors.js'
import { type PlanModel, planOf } from '../../../../src/study/repro/plan.js'
import {
  keyOf,
  modelOf,
  type Payload,
  parseOutcome,
  parsePayload,
  payloadOf,
  standingIn,
} from '../../../../src/study/repro/queue/payload.js'

const { learningRate, epochs, batchSize, augment } = recipes.paper
const model: PlanModel = {
  name: 'rdm56',
  architecture: findNetwork('rdm56')!.architecture,
  recipe: recipes.paper,
  init: 'he',
  config: {
    ...{ epochs, batchSize, augment, steps: null, precision: 'fp32' },
    learningRate: learningRate.map(([from, rate]): [number, number] => [from, rate]),
  },
  seeds: [1, 2],
}
const data = { path: '/data/cifar', sha256: 'a'.repeat(64) }
const plan = planOf('mine', [model])
const [first, second] = plan.jobs
const payload = payloadOf({ plan, data }, first!)

describe('a job', () => {
  it('is the model with one seed, and comes back from JSON', () => {
    const key = keyOf(payload)
    expect(key).toMatch(/^rdm56\.seed-1\.[0-9a-f]{16}$/)
    const parsed = parsePayload(JSON.parse(JSON.stringify(payload)), key)
    expect(parsed).toEqual(payload)
    expect(modelOf(parsed)).toEqual({ ...model, seeds: [1] })
  })

  it('is the same whatever else is in the plan, and wherever its data are', () => {
    const other = planOf('other', [
      { ...model, name: 'wide' },
      { ...model, seeds: [1] },
    ])
    expect(keyOf(payloadOf({ plan: other, data: { ...data, path: null } }, other.jobs[1]!))).toBe(keyOf(payload))
    // Keys in another order say the same.
    const turned = Object.fromEntries(Object.entries(payload.model).reverse()) as Payload['model']
    expect(keyOf({ ...payload, model: turned })).toBe(keyOf(payload))
  })

  const change = (config: Partial<PlanModel['config']>) => ({ ...model, config: { ...model.config, ...config } })
  it.each<[string, PlanModel, string]>([
    ['a name', { ...model, name: 'other' }, data.sha256],
    ['an architecture', { ...model, architecture: findNetwork('rdm83')!.architecture }, data.sha256],
    ['an initialization', { ...model, init: 'uniform' }, data.sha256],
    ['a recipe', { ...model, recipe: recipes['stochastic-depth'] }, data.sha256],
    ['epochs', change({ epochs: 3 }), data.sha256],
    ['steps', change({ steps: 3 }), data.sha256],
    ['augmentation', change({ augment: false }), data.sha256],
    ['data', model, 'b'.repeat(64)],
  ])('is another with another: %s', (_, changed, sha256) => {
    const changedPlan = planOf('mine', [changed])
    expect(keyOf(payloadOf({ plan: changedPlan, data: { ...data, sha256 } }, changedPlan.jobs[0]!))).not.toBe(
      keyOf(payload),
    )
  })

  it('is another with another seed', () => {
    expect(keyOf(payloadOf({ plan, data }, second!))).toMatch(/^rdm56\.seed-2\./)
  })
})

describe('what is no job', () => {
  const refused = (value: unknown, key: string, message: string) => {
    expect(() => parsePayload(value, key)).toThrow(UserError)
    expect(() => parsePayload(value, key)).toThrow(message)
  }

  it('is refused in one line', () => {
    refused({}, 'x', 'the job x in the queue is damaged: model: ')
    refused(
      { ...payload, model: { ...payload.model, name: '../../etc' } },
      'x',
      'the job x in the queue is damaged: model.name: Expected a name for a folder',
    )
    refused({ ...payload, more: 1 }, 'x', 'the job x in the queue is damaged: ')
    refused(
      { ...payload, seed: 7 },
      keyOf(payload),
      `the job ${keyOf(payload)} in the queue is not what its name says: put it there with rdm-repro`,
    )
  })

  it('has no outcome and no standing', () => {
    const outcome = { end: 'finished', step: 10, epochs: 2, testError: 0.5, attempt: '1-abc' }
    expect(parseOutcome(outcome, 'x')).toEqual(outcome)
    for (const broken of [null, { ...outcome, attempt: '../x' }, { ...outcome, end: 'interrupted' }]) {
      expect(() => parseOutcome(broken, 'x')).toThrow(
        'what the queue has of the finished job x is damaged: remove it from the queue',
      )
    }
    const standing = { worker: 'host:1', step: 1, epoch: 0, testError: null, imagesPerSecond: 10.5, left: 1000 }
    expect(standingIn({ event: { event: 'notice', message: '' }, standing })).toEqual(standing)
    expect(standingIn(0)).toBeUndefined()
    expect(standingIn({ standing: { ...standing, step: -1 } })).toBeUndefined()
  })
})

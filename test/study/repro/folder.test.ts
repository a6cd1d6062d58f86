// Which plan may go on in a folder where another has begun.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { findNetwork } from '../../../graphs/zoo.js'
import { checkGoesOn, type Experiment, formatExperiment, parseExperiment } from '../../../src/study/repro/folder.js'
import { type Job, type PlanConfig, type PlanModel, planOf } from '../../../src/study/repro/plan.js'

const { learningRate, epochs, batchSize, augment } = recipes.paper
const config: PlanConfig = {
  ...{ epochs, batchSize, augment, steps: null, precision: 'fp32' },
  learningRate: learningRate.map(([from, rate]): [number, number] => [from, rate]),
}
const model = (name: string, change: Partial<PlanModel> = {}): PlanModel => ({
  ...{
    name,
    architecture: findNetwork('rdm56')!.architecture,
    recipe: recipes.paper,
    init: 'he',
    seeds: [1, 2],
    config,
  },
  ...change,
})
const experiment = (models: readonly PlanModel[], sha256 = 'same'): Experiment => ({
  plan: planOf('mine', models),
  data: { path: '/data/cifar', sha256 },
})
const earlier = experiment([model('a'), model('b')])
const check = (next: Experiment, begun: (job: Job) => boolean = () => true) =>
  checkGoesOn(earlier, next, 'runs/x', begun)

it('comes back from its file as it was', () => {
  expect(parseExperiment(formatExperiment(earlier), 'plan.json')).toEqual(earlier)
})

describe('goes on', () => {
  it.each<[string, Experiment]>([
    ['the same', earlier],
    ['in another order', experiment([model('b'), model('a')])],
    ['more models', experiment([model('a'), model('c'), model('b')])],
    ['more seeds', experiment([model('a', { seeds: [1, 2, 3] }), model('b', { seeds: [0, 1, 2] })])],
    ['more epochs', experiment([model('a', { config: { ...config, epochs: 200 } }), model('b')])],
  ])('with %s', (_, next) => {
    expect(() => check(next)).not.toThrow()
  })

  it('whatever has changed, where nothing of it has begun', () => {
    const other = experiment([model('b', { init: 'uniform', seeds: [9] })], 'other data')
    expect(() => check(other, () => false)).not.toThrow()
    // Of a, gone by now, nothing has begun.
    expect(() => check(experiment([model('b')]), ({ name }) => name === 'b')).not.toThrow()
  })
})

describe('does not go on', () => {
  const changed = (change: Partial<PlanConfig>) =>
    experiment([model('a'), model('b', { config: { ...config, ...change } })])
  it.each<[string, Experiment, string]>([
    ['other data', experiment(earlier.plan.models, 'other'), 'its runs see other data (/data/cifar)'],
    ['a model less', experiment([model('a')]), "b/seed-1 of its plan 'mine' has begun and is not in 'mine'"],
    [
      'a seed less',
      experiment([model('a', { seeds: [1] }), model('b')]),
      "a/seed-2 of its plan 'mine' has begun and is not",
    ],
    [
      'a recipe',
      experiment([model('a', { recipe: recipes['stochastic-depth'] }), model('b')]),
      'a has begun with another recipe',
    ],
    [
      'first values',
      experiment([model('a', { init: 'uniform' }), model('b')]),
      'a has begun with another initialization',
    ],
    [
      'a network',
      experiment([model('a', { architecture: findNetwork('rdm83')!.architecture }), model('b')]),
      'a has begun with another architecture',
    ],
    ['a batch', changed({ batchSize: 64 }), 'b has begun with batch-size 128, not 64'],
    [
      'a schedule',
      changed({ learningRate: [[0, 0.1]] }),
      'b has begun with learning-rate [[0,0.01],[1,0.1],[80,0.01],[120,0.001]], not [[0,0.1]]',
    ],
    ['augmentation', changed({ augment: false }), 'b has begun with augment true, not false'],
    ['precision', changed({ precision: 'fp16' }), 'b has begun with precision "fp32", not "fp16"'],
    ['fewer epochs', changed({ epochs: 160 }), 'b has begun with 165 epochs, and 160 are fewer'],
    ['fewer steps', changed({ steps: 10 }), 'b has begun with all steps, and 10 are fewer'],
  ])('with another: %s', (_, next, reason) => {
    const whole = `runs/x holds another experiment: ${reason}`
    expect(() => check(next)).toThrow(whole)
    expect(() => check(next)).toThrow(/; choose another folder with --out$/)
  })
})

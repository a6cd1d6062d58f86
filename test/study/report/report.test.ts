// The figures of a report, against figures made by hand.
import { describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { paperData, paperRowOf, table1 } from '../../../graphs/table1.js'
import { findNetwork } from '../../../graphs/zoo.js'
import { dataFingerprint } from '../../../src/driver/run/runFolder.js'
import type { EpochTiming } from '../../../src/driver/run/timing.js'
import type { ModelRecord, RunRecord } from '../../../src/study/report/read.js'
import { curveOf, reportOf } from '../../../src/study/report/report.js'
import { scheduleText, seedsText } from '../../../src/study/report/settings.js'
import { timesOf } from '../../../src/study/report/times.js'
import { tinyData } from '../../support/tinyData.js'
import { historyOf, planModel, timing } from './support.js'

const run = (seed: number, testErrors: readonly number[], change: Partial<RunRecord> = {}): RunRecord => ({
  ...{ seed, state: 'done', step: 391 * testErrors.length, history: historyOf(testErrors) },
  ...{ timing: { epochs: [], unreadable: 0 }, target: 'ort-cpu' },
  ...change,
})

/** As the paper has it, but for what is changed. */
const model = (name: string, runs: readonly RunRecord[], change: Partial<ModelRecord> = {}): ModelRecord => {
  const { architecture, recipe, config, init } = planModel(name)
  return { name, architecture, recipe, config, init, data: { path: '/x/cifar', sha256: paperData }, runs, ...change }
}
const reportOn = (...models: ModelRecord[]) => reportOf({ title: 'mine', models })
const five = [0.06, 0.058, 0.065, 0.059, 0.061].map((error, i) => run(i + 1, [0.5, error]))

describe('a row of Table 1', () => {
  it('has median (mean ± standard deviation) and the difference from the paper', () => {
    const { models } = reportOn(model('rdm56', five))
    const [row] = models
    expect(row).toMatchObject({ name: 'rdm56', finished: 5, paper: { title: 'RDM-ResNet-56', error: 5.98 } })
    expect(row!.network).toEqual({ block: 'basic', depth: 56, functions: ['11', '01'], parameters: 1_707_418 })
    // 5.8, 5.9, 6.0, 6.1, 6.5: from the mean 6.06 they are −0.26, −0.16, −0.06, 0.04 and 0.44 away.
    const { median, mean, std } = row!.testError!
    expect(median).toBe(0.06)
    expect(mean).toBeCloseTo(0.0606, 10)
    expect(std).toBeCloseTo(Math.sqrt((0.26 ** 2 + 0.16 ** 2 + 0.06 ** 2 + 0.04 ** 2 + 0.44 ** 2) / 4) / 100, 10)
    expect(row!.difference).toBeCloseTo(0.02, 10)
    expect(row!.remarks).toEqual([])
  })

  it('takes the finished runs alone, after their last epoch', () => {
    const [row] = reportOn(
      model('rdm83', [
        run(1, [0.04, 0.0561]),
        run(2, [0.09], { state: 'stopped' }),
        run(3, [0.08, 0.01], { state: 'running' }),
        run(4, [], { state: 'waiting' }),
        run(5, [], { state: 'damaged', damage: 'config.json is damaged' }),
      ]),
    ).models
    expect(row).toMatchObject({ finished: 1, testError: { median: 0.0561, mean: 0.0561, std: null } })
    expect(row!.difference).toBeCloseTo(5.61 - 5.41, 10)
    expect(row!.remarks).toEqual([
      '1 of 5 runs has finished; running: seed 3 (2 of 165 epochs); stopped: seed 2 (1 of 165 epochs); ' +
        'not begun: seed 4; damaged: seed 5 (config.json is damaged)',
      '1 run where the paper has 5',
    ])
  })

  it('is there before anything has finished, and for networks that the paper does not have', () => {
    const [first, second, third] = reportOn(
      model('rdm56', [run(1, [0.5], { state: 'running' })]),
      model('rdm56-sd', five),
      model('foreign', five, { architecture: undefined, init: undefined }),
    ).models
    expect(first).toMatchObject({ testError: null, finished: 0, paper: { error: 5.98 } })
    expect(first!.difference).toBeUndefined()
    expect(first!.remarks).toEqual(['the run has not finished; running: seed 1 (1 of 165 epochs)'])
    for (const row of [second, third]) {
      expect([row!.paper, row!.difference]).toEqual([undefined, undefined])
      expect(row!.remarks).toEqual([])
    }
    expect(third!.network).toBeUndefined()
  })

  it('does not build a network that a file describes too large', () => {
    const { architecture } = planModel('rdm56')
    const blocks = [1000, 1000, 1000]
    const [row] = reportOn(model('huge', five, { architecture: { ...architecture, blocks } })).models
    expect(row!.network).toMatchObject({ depth: 6002, parameters: undefined })
  })

  it('has a run that ended before its first epoch', () => {
    const { config } = planModel('rdm56')
    const [row] = reportOn(model('rdm56', [run(1, [])], { config: { ...config, steps: 3 } })).models
    expect(row).toMatchObject({ finished: 1, testError: null, curve: [] })
    expect(row!.remarks).toContain('ended after 3 steps')
  })
})

describe('what is otherwise than in the paper', () => {
  const { config, recipe } = planModel('rdm56')
  it.each<[string, Partial<ModelRecord>, readonly string[]]>([
    ['epochs', { config: { ...config, epochs: 6 } }, ['6 epochs where the paper has 165']],
    ['batch', { config: { ...config, batchSize: 50 } }, ['batch size 50 where the paper has 128']],
    [
      'learning rate',
      {
        config: {
          ...config,
          learningRate: [
            [0, 0.1],
            [4, 0.01],
          ],
        },
      },
      [
        'learning rate 0.1, 0.01 from epoch 5 where the paper has ' +
          '0.01, 0.1 from epoch 2, 0.01 from epoch 81, 0.001 from epoch 121',
      ],
    ],
    ['augmentation', { config: { ...config, augment: false } }, ['augmentation off where the paper has on']],
    ['precision', { config: { ...config, precision: 'fp16' } }, ['precision fp16 where the paper has fp32']],
    ['first weights', { init: 'uniform' }, ['first weights uniform where the paper has he']],
    [
      'the step',
      { recipe: { ...recipe, momentum: 0.8, weightDecay: 0.001, nesterov: true } },
      [
        'momentum 0.8 where the paper has 0.9',
        'weight decay 0.001 where the paper has 0.0001',
        'Nesterov momentum on where the paper has off',
      ],
    ],
  ])('is said of %s', (_, change, remarks) => {
    const [row] = reportOn(model('rdm56', five, change)).models
    expect(row!.remarks).toEqual(remarks)
    expect(row!.difference).toBeCloseTo(0.02, 10)
  })

  it('is said of other data, with which nothing can be compared', () => {
    const [row] = reportOn(model('rdm56', five, { data: { path: null, sha256: 'other' } })).models
    expect(row!.remarks).toEqual(["trained on other data than the paper's CIFAR-10: not to be compared"])
    expect(row!.difference).toBeUndefined()
  })

  it('is measured by the recipe of each network: stochastic depth has its own', () => {
    for (const name of table1.keys()) {
      const usual = recipes[findNetwork(name)!.recipe ?? 'paper']
      expect(paperRowOf(findNetwork(name)!.architecture)!.recipe).toBe(usual)
    }
    const { architecture } = findNetwork('resnet110-sd')!
    const own = recipes['stochastic-depth']
    const { epochs, batchSize, augment } = own
    const learningRate = own.learningRate.map(([from, rate]): [number, number] => [from, rate])
    const trained = { ...config, epochs, batchSize, augment, learningRate }
    const change = { architecture, recipe: own, config: trained }
    expect(reportOn(model('sd', five, change)).models[0]!.remarks).toEqual([])
    expect(reportOn(model('sd', five, { ...change, config })).models[0]!.remarks).toContain(
      '165 epochs where the paper has 500',
    )
  })

  it('knows CIFAR-10 by a fingerprint that is made as it was', () => {
    // Where this changes, `paperData` has to be made anew from the official files.
    expect(dataFingerprint(tinyData())).toBe('d903db007fa21be85b17bd0b2d2e14839f67aba3e634f3bdcd990a34612763d5')
  })
})

describe('Figure 2', () => {
  it('is the mean over the runs that have the epoch', () => {
    const histories = [[0.5, 0.4, 0.3], [0.6, 0.2], [0.7]].map((errors) => historyOf(errors))
    const curve = curveOf(histories)
    expect(curve.map(({ epoch, runs }) => [epoch, runs])).toEqual([
      [1, 3],
      [2, 2],
      [3, 1],
    ])
    expect(curve.map(({ mean }) => mean)).toEqual([expect.closeTo(0.6, 10), expect.closeTo(0.3, 10), 0.3])
    // 0.1, 0 and −0.1 from the mean; 0.1 and −0.1.
    expect(curve.map(({ std }) => std)).toEqual([expect.closeTo(0.1, 10), expect.closeTo(Math.SQRT2 / 10, 10), null])
    expect(curveOf([])).toEqual([])
    expect(curveOf([[], []])).toEqual([])
  })

  it('counts runs that have not finished', () => {
    const [row] = reportOn(model('rdm56', [run(1, [0.5, 0.1]), run(2, [0.7], { state: 'stopped' })])).models
    expect(row!.curve).toMatchObject([
      { runs: 2, mean: 0.6 },
      { runs: 1, mean: 0.1 },
    ])
  })
})

describe('times', () => {
  const other: EpochTiming = { ...timing, machine: { processor: 'Processor Y', cores: 4 }, trainingMs: 50_000 }
  const withTimes = (...epochs: EpochTiming[]) => run(1, [0.5], { timing: { epochs, unreadable: 0 } })

  it('are means over the epochs on record, by model and machine', () => {
    const part: EpochTiming = { ...timing, steps: 100, images: 12_800, trainingMs: 30_000, evaluationMs: 6_000 }
    const { machines, times } = timesOf([
      model('a', [withTimes(timing, part), withTimes(other)]),
      model('b', [withTimes(other, other)]),
      model('c', []),
    ])
    expect(machines.map(({ machine }) => machine!.processor)).toEqual(['Processor X', 'Processor Y'])
    // 62,800 images in 130 s; 491 steps of which an epoch has 391; evaluations of 4 and 6 s.
    expect(times[0]).toEqual([
      {
        ...{ machine: 0, epochs: 2, evaluationMs: 5_000, totalMs: 140_000 },
        imagesPerSecond: expect.closeTo(62_800 / 130, 6),
        epochMs: expect.closeTo((130_000 / 491) * 391, 6),
      },
      { machine: 1, epochs: 1, imagesPerSecond: 1000, epochMs: 50_000, evaluationMs: 4_000, totalMs: 54_000 },
    ])
    expect(times[1]).toMatchObject([{ machine: 1, epochs: 2, imagesPerSecond: 1000, totalMs: 108_000 }])
    expect(times[2]).toEqual([])
  })

  it('of lines that do not count their images are those of whole batches', () => {
    const { images, target, machine, versions, ...old } = timing
    const { machines, times } = timesOf([model('a', [withTimes(old)])])
    expect(times[0]![0]!.imagesPerSecond).toBeCloseTo((391 * 128) / 100)
    expect(machines).toEqual([{ threads: 1, provider: 'cpu' }])
  })

  it('of other threads, targets or versions are those of another machine', () => {
    const all = [{ threads: 2 }, { target: 'portable' as const }, { versions: { node: '24.0.0' } }, {}]
    const { machines } = timesOf([model('a', [withTimes(...all.map((change) => ({ ...timing, ...change })), timing)])])
    expect(machines).toHaveLength(4)
  })
})

describe('settings', () => {
  it('are there where some model has them, a value each', () => {
    const { config } = planModel('rdm56')
    const { settings } = reportOn(
      model('rdm56', five),
      model('mine', [run(3, [0.5], { target: 'portable' }), run(4, [0.5])], {
        architecture: undefined,
        init: undefined,
        config: { ...config, epochs: 6, steps: 100 },
        data: { path: 'C:\\data\\own set\\', sha256: '0123456789abcdef' },
      }),
    )
    expect(Object.fromEntries(settings.map(({ name, values }) => [name, values]))).toEqual({
      data: ['CIFAR-10', 'own set, SHA-256 0123456789ab…'],
      seeds: ['1..5', '3..4'],
      'blocks a stage': ['9, 9, 9', undefined],
      widths: ['16, 32, 64', undefined],
      'first weights': ['he', undefined],
      epochs: ['165', '6'],
      'steps at most': [undefined, '100'],
      'batch size': ['128', '128'],
      'learning rate': new Array(2).fill('0.01, 0.1 from epoch 2, 0.01 from epoch 81, 0.001 from epoch 121'),
      momentum: ['0.9', '0.9'],
      'Nesterov momentum': ['no', 'no'],
      'weight decay': ['0.0001', '0.0001'],
      augmentation: ['yes', 'yes'],
      precision: ['fp32', 'fp32'],
      target: ['ort-cpu', 'portable, ort-cpu'],
    })
  })

  it('say seeds and schedules in few words', () => {
    expect(seedsText([1, 2, 3, 7, 9, 10])).toBe('1..3, 7, 9..10')
    expect(seedsText([5])).toBe('5')
    expect(scheduleText([[0, 0.1]])).toBe('0.1')
  })
})

it('says where all runs stand', () => {
  const waiting = run(3, [], { state: 'waiting' })
  expect(reportOn(model('a', five)).standing).toBe('all 5 runs have finished')
  expect(reportOn(model('a', five.slice(0, 1))).standing).toBe('the run has finished')
  expect(reportOn(model('a', five), model('b', [waiting, { ...waiting, state: 'running' }])).standing).toBe(
    '5 of 7 runs have finished; 1 running; 1 not begun',
  )
})

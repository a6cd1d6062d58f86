// Schedules: what step has which value, against PyTorch's formulas, and what is no schedule.
import { describe, expect, it } from 'vitest'
import { formatSchedule, needsLength, parseSchedule, valueAt } from '../../../src/core/training/schedule.js'
import { around, expectNear } from '../../support/pytorch.js'

const at = (text: string, step: number, { steps = 100, stepsPerEpoch = 10 } = {}) =>
  valueAt(parseSchedule(text), { step, steps, stepsPerEpoch })

describe('pairs hold for whole epochs', () => {
  it.each([
    [0, 0.01],
    [1, 0.1],
    [79, 0.1],
    [80, 0.01],
    [119, 0.01],
    [120, 0.001],
    [1000, 0.001],
  ])('gives epoch %i the rate %f', (epoch, rate) => {
    const paper = '0:0.01,1:0.1,80:0.01,120:0.001'
    for (const within of [0, 9]) expect(at(paper, 10 * epoch + within)).toBe(rate)
  })
  it('or steps', () => {
    expect([0, 14, 15, 99].map((step) => at('steps:0:1,15:2', step))).toEqual([1, 1, 2, 2])
  })
  it('or go straight from one to the next', () => {
    expect([0, 5, 10, 25, 40, 99].map((step) => at('piecewise-linear:0:0,1:1,4:0.1', step))).toEqual([
      0, 0.5, 1, 0.55, 0.1, 0.1,
    ])
  })
})

describe('the others know how long the run is', () => {
  it('cosine: warm-up, then half a cosine (torch.optim.lr_scheduler.CosineAnnealingLR)', () => {
    const rates = [0, 5, 10, 55, 99].map((step) => at('cosine:max=0.2,warmup=1,end=0.02,start=0.1', step))
    const cosine = (part: number) => 0.02 + (0.18 * (1 + Math.cos(Math.PI * part))) / 2
    const expected = [0.1, 0.15, 0.2, cosine(0.5), cosine(89 / 90)]
    for (const [i, rate] of rates.entries()) expect(rate).toBeCloseTo(expected[i]!, 12)
  })
  it('linear', () => {
    expect([0, 25, 50, 99].map((step) => at('linear:max=1', step))).toEqual([1, 0.75, 0.5, 1 - 0.99])
  })
  it('one-cycle: PyTorch’s usual ends, or a triangle', () => {
    const start = 0.1 / 25
    expect(at('one-cycle:max=0.1', 0)).toBeCloseTo(start, 15)
    expect(at('one-cycle:max=0.1', 30)).toBeCloseTo(0.1, 15)
    expect(at('one-cycle:max=0.1', 15)).toBeCloseTo((start + 0.1) / 2, 15)
    // airbench's: 0.2 at the beginning, 1 at 23 %, 0.07 at the end.
    const triangle = 'one-cycle:max=1,start=0.2,end=0.07,warmup=23%,anneal=linear'
    const positions = [0, 23, 61.5].map((step) => at(triangle, step))
    expect(positions[0]).toBe(0.2)
    expect(positions[1]).toBe(1)
    expect(positions[2]).toBeCloseTo((1 + 0.07) / 2, 12)
  })
  it('power', () => {
    expect([0, 50, 99].map((step) => at('power:from=0,to=2,power=3', step))).toEqual([0, 0.25, 2 * 0.99 ** 3])
  })
  it('by the epoch where it says so', () => {
    expect([0, 9, 10, 19].map((step) => at('linear:max=1,per=epochs', step))).toEqual([1, 1, 0.9, 0.9])
  })
  it('and say that they do', () => {
    expect(needsLength(parseSchedule('cosine:max=1'))).toBe(true)
    expect(needsLength(parseSchedule('0:1,3:2'))).toBe(false)
    expect(needsLength(parseSchedule('steps:0:1,3:2'))).toBe(false)
  })
  it('a warm-up of the whole run ends at the top', () => {
    expect(at('cosine:max=1,warmup=100%', 99)).toBeCloseTo(0.99, 12)
    expect(at('cosine:max=1,warmup=500steps', 50)).toBeCloseTo(0.5, 12)
  })
})

// Every form and every setting of it, in a run of 20 steps, 5 an epoch: the rate of steps 0, 4, 5, 12 and 19.
describe('text to rates', () => {
  const positions = [0, 4, 5, 12, 19]
  const half = (from: number, to: number, part: number) => to + ((from - to) * (1 + Math.cos(Math.PI * part))) / 2
  it.each<[string, readonly number[]]>([
    ['0.3', [0.3, 0.3, 0.3, 0.3, 0.3]],
    ['-1e-2', [-0.01, -0.01, -0.01, -0.01, -0.01]],
    ['0:1,1:2,3:4', [1, 1, 2, 2, 4]],
    ['epochs:0:1,1:2,3:4', [1, 1, 2, 2, 4]],
    ['steps:0:1,5:2,13:4', [1, 1, 2, 2, 4]],
    ['piecewise-linear:0:1,2:3', [1, 1.8, 2, 3, 3]],
    ['linear:max=2', [2, 1.6, 1.5, 0.8, 0.1]],
    ['linear:max=2,end=1', [2, 1.8, 1.75, 1.4, 1.05]],
    // Four steps up from 1, then sixteen down.
    ['linear:max=2,start=1,warmup=20%', [1, 2, 1.875, 1, 0.125]],
    ['linear:max=2,start=1,warmup=4steps', [1, 2, 1.875, 1, 0.125]],
    ['linear:max=2,warmup=1', [0, 1.6, 2, (2 * 8) / 15, 2 / 15]],
    ['linear:max=2,warmup=1epoch,per=epochs', [0, 0, 2, (2 * 10) / 15, (2 * 5) / 15]],
    ['cosine:max=2', positions.map((step) => half(2, 0, step / 20))],
    ['cosine:max=2,end=1,per=epochs', [0, 0, 5, 10, 15].map((step) => half(2, 1, step / 20))],
    ['cosine:max=2,warmup=2.5', [0, 0.64, 0.8, 1.92, half(2, 0, 6.5 / 7.5)]],
    ['one-cycle:max=2,start=1,end=0.5,warmup=25%,anneal=linear', [1, 1.8, 2, 1.3, 0.6]],
    [
      'one-cycle:max=2,start=1,end=0.5,warmup=25%',
      [1, half(1, 2, 0.8), 2, half(2, 0.5, 7 / 15), half(2, 0.5, 14 / 15)],
    ],
    // 2/25 at first, a ten thousandth of that at the end.
    [
      'one-cycle:max=2',
      [0.08, half(0.08, 2, 4 / 6), half(0.08, 2, 5 / 6), half(2, 8e-6, 6 / 14), half(2, 8e-6, 13 / 14)],
    ],
    ['power:from=1,to=0,power=2', [1, 0.96, 0.9375, 0.64, 0.0975]],
    ['power:from=0,to=8,power=0.5,per=epochs', [0, 0, 4, 8 * Math.SQRT1_2, 8 * Math.sqrt(0.75)]],
  ])('%s', (text, expected) => {
    const actual = positions.map((step) => at(text, step, { steps: 20, stepsPerEpoch: 5 }))
    expectNear(actual, expected, text, 1e-12)
    // Read, written and read again it is the same schedule.
    const again = formatSchedule(parseSchedule(text))
    expectNear(
      positions.map((step) => at(again, step, { steps: 20, stepsPerEpoch: 5 })),
      expected,
      again,
      1e-12,
    )
  })
})

// A run of 20 steps, 5 an epoch.
describe('every step of a run has the rate of torch.optim.lr_scheduler', () => {
  it.each([
    ['CosineAnnealingLR', 'cosine', 'cosine:max=0.2,end=0.02'],
    ['LinearLR', 'linear', 'linear:max=0.2,end=0.02'],
    ['MultiStepLR', 'multi-step', 'steps:0:0.2,5:0.02,12:0.002'],
    ['OneCycleLR', 'one-cycle', 'one-cycle:max=0.1,warmup=35%'],
    ['OneCycleLR, linear', 'one-cycle-linear', 'one-cycle:max=0.1,warmup=7steps,anneal=linear'],
  ])('%s', (_, name, text) => {
    const expected = around.schedules[name]!
    const actual = expected.map((__, step) => at(text, step, { steps: 20, stepsPerEpoch: 5 }))
    expectNear(actual, expected, text, 1e-10)
  })
})

it.each([
  ['0.1', '0:0.1'],
  ['1e-3', '0:0.001'],
  [' 0:.5, 3:1', '0:0.5,3:1'],
  ['steps:0:1,15:2', 'steps:0:1,15:2'],
  ['cosine:max=0.1,warmup=5', 'cosine:max=0.1,start=0,end=0,warmup=5'],
  ['cosine:max=0.1,warmup=20%,per=epochs', 'cosine:max=0.1,start=0,end=0,warmup=20%,per=epochs'],
  ['linear:max=1,warmup=30steps', 'one-cycle:max=1,start=0,end=0,warmup=30steps,anneal=linear'],
  ['power:from=0,to=2,power=3', 'power:from=0,to=2,power=3'],
])('reads %j', (text, schedule) => {
  expect(formatSchedule(parseSchedule(text))).toBe(schedule)
  expect(parseSchedule(schedule)).toEqual(parseSchedule(text))
})

it.each([
  ['', '"" is no step of a learning rate schedule: write epoch:rate'.replace('""', '"0:"')],
  [
    'fast',
    '"0:fast" is no step of a learning rate schedule: write epoch:rate, as in 0:0.01,1:0.1,80:0.01, or one rate',
  ],
  ['0:0.1,5', '"5" is no step of a learning rate schedule'],
  ['1:0.1', '"1:0.1": a schedule starts at 0'],
  ['0:1,5:2,5:3', '"0:1,5:2,5:3": the epochs or steps of a schedule have to rise'],
  [
    'sine:max=1',
    "there is no schedule 'sine': write epoch:rate pairs, or one of steps, epochs, piecewise-linear, cosine",
  ],
  ['cosine:warmup=5', 'the schedule cosine needs max='],
  [
    'cosine:top=1',
    '"top=1" does not fit the schedule cosine, which has max, end (0), start (0), warmup (0), per (steps): write max=0.1',
  ],
  ['cosine:max=1,max=2', '"max=2" does not fit the schedule cosine'],
  ['cosine:max=high', 'max=high is no number, in the schedule cosine'],
  ['cosine:max=1,warmup=soon', 'warmup=soon is no part of a run: write 20%, 2 (epochs) or 500steps'],
])('refuses %j', (text, message) => {
  expect(() => parseSchedule(text)).toThrow(message)
})

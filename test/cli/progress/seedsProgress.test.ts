// What several runs show: lines with the seed, a bar each on a terminal, objects for programs.
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { seedsJsonReporter, seedsTextReporter } from '../../../src/cli/progress/seedsProgress.js'
import type { FitEvent } from '../../../src/driver/fit/events.js'

const start = { event: 'start', step: 0, epoch: 0, epochs: 12, stepsPerEpoch: 2, lastStep: 24, batchSize: 8 } as const
const means = { meanLoss: 2.25, meanError: 0.75 }
const step = { event: 'step', step: 1, epoch: 0, loss: 2, error: 0.5, ms: 100, images: 8, ...means } as const
const tested = { loss: 1.5, error: 0.25, testLoss: 1.25, testError: 0.125 }
const epoch = { event: 'epoch', epoch: 0, step: 2, learningRate: 0.1, ...tested, ms: 65_000 } as const
const end = { event: 'end', step: 2, epoch: 0, ...tested, ms: 70_000, reason: 'finished' } as const
const notice = { event: 'notice', message: 'mind the gap' } as const

type Told = readonly [FitEvent, number?]
const told: Told[] = [
  [{ event: 'tuning', done: 0, total: 5 }],
  [{ event: 'notice', message: 'to all' }],
  [start, 1],
  [start, 12],
  [step, 12],
  [epoch, 1],
  [notice, 12],
  [end, 1],
]

function open(make: typeof seedsTextReporter, isTTY: boolean) {
  const out = new PassThrough()
  const err = Object.assign(new PassThrough(), { isTTY, columns: 150, rows: 40 })
  const reporter = make({ out, err, folder: 'runs/x' })
  return {
    tell: (all: readonly Told[]) => {
      for (const [event, seed] of all) reporter.onEvent(event, seed)
    },
    stop: () => reporter.stop(),
    out: () => String(out.read() ?? ''),
    err: () => String(err.read() ?? ''),
  }
}

it('is the lines of each run, with its seed', () => {
  const { tell, stop, out, err } = open(seedsTextReporter, false)
  tell(told)
  stop()
  expect(out()).toBe(
    'seed 1: epoch  1/12, lr 0.1: training loss 1.5000, error 25.00 %; test loss 1.2500, error 12.50 %; 65 s\n' +
      'seed 1: finished after 2 steps: test error 12.50 %; the trained model is runs/x/seed-1/model.onnx\n',
  )
  expect(err()).toBe('timing 5 convolutions on this machine, once\nto all\nseed 12: mind the gap\n')
})

it('is an object a line for programs, which says the seed', () => {
  const { tell, stop, out, err } = open(seedsJsonReporter, true)
  tell(told)
  stop()
  const objects = out().trim().split('\n')
  expect(objects.map((line) => JSON.parse(line))).toEqual([
    { seed: 12, ...step },
    { seed: 1, ...epoch },
    { seed: 1, ...end },
  ])
  expect(err()).toBe('to all\nseed 12: mind the gap\n')
})

describe('on a terminal', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is a bar for each run that goes on, and a line above them for one that has ended', () => {
    const { tell, stop, out, err } = open(seedsTextReporter, true)
    tell([
      [start, 1],
      [start, 12],
      [step, 12],
    ])
    vi.advanceTimersByTime(200)
    const both = err()
    expect(both).toMatch(/seed 1 {2}epoch 1\/12 \[ +\] 0\/2 {2}loss - {2}- {2}test -/)
    expect(both).toMatch(
      /seed 12 {2}epoch 1\/12 \[=+ +\] 1\/2 {2}loss 2\.2500 {2}error 75\.00 % {2}test - {2}80 images\/s {2}2 s left/,
    )
    tell([
      [epoch, 12],
      [end, 1],
    ])
    vi.advanceTimersByTime(200)
    const line = 'seed 1: finished after 2 steps: test error 12.50 %; the trained model is runs/x/seed-1/model.onnx\n'
    const after = err()
    expect(after).toContain(line)
    const below = after.slice(after.indexOf(line) + line.length)
    expect(below).toContain('test 12.50 %')
    expect(below).not.toContain('seed 1 ')
    stop()
    // What comes after the bars are gone is said in lines, and no bar comes back.
    err()
    tell([
      [step, 12],
      [{ ...end, reason: 'interrupted' }, 12],
    ])
    expect(vi.getTimerCount()).toBe(0)
    expect(err()).toBe('')
    expect(out()).toBe('seed 12: stopped at step 2; go on with: rdm-fit --resume --out runs/x/seed-12\n')
  })

  it('leaves nothing running when runs fail before they begin', () => {
    const { tell, stop, err } = open(seedsTextReporter, true)
    tell([[notice, 3]])
    stop()
    expect(err()).toBe('seed 3: mind the gap\n')
    expect(vi.getTimerCount()).toBe(0)
  })
})

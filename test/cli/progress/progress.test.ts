// What a run shows: lines for people, a bar on a terminal, objects for programs.
import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { jsonReporter, type ProgressReporter, textReporter } from '../../../src/cli/progress/progress.js'
import type { FitEvent } from '../../../src/driver/fit/events.js'
import { duration } from '../../../src/driver/format/units.js'

const start = { event: 'start', step: 0, epoch: 0, epochs: 12, stepsPerEpoch: 2, lastStep: 24, batchSize: 8 } as const
const means = { meanLoss: 2.25, meanError: 0.75 }
const step = { event: 'step', step: 1, epoch: 0, loss: 2, error: 0.5, ms: 100, images: 8, ...means } as const
const tested = { loss: 1.5, error: 0.25, testLoss: 1.25, testError: 0.125 }
const epoch = { event: 'epoch', epoch: 0, step: 2, learningRate: 0.1, ...tested, ms: 65_000 } as const
const end = { event: 'end', step: 2, epoch: 0, ...tested, ms: 70_000, reason: 'finished' } as const
const events: FitEvent[] = [start, step, epoch, { event: 'notice', message: 'mind the gap' }, end]

function shown(make: typeof textReporter, all: readonly FitEvent[], isTTY: boolean): { out: string; err: string } {
  const out = new PassThrough()
  const err = Object.assign(new PassThrough(), { isTTY, columns: 120, rows: 40 })
  const reporter: ProgressReporter = make({ out, err, folder: 'runs/x' })
  for (const event of all) reporter.onEvent(event)
  reporter.stop()
  return { out: String(out.read() ?? ''), err: String(err.read() ?? '') }
}

it('is a line an epoch', () => {
  expect(shown(textReporter, events, false)).toEqual({
    out:
      'epoch  1/12, lr 0.1: training loss 1.5000, error 25.00 %; test loss 1.2500, error 12.50 %; 65 s\n' +
      'finished after 2 steps: test error 12.50 %; the trained model is runs/x/model.onnx\n',
    err: 'mind the gap\n',
  })
})

it('says how many steps half precision skipped, where it skipped any', () => {
  const line = (skippedSteps: number) => shown(textReporter, [start, { ...epoch, skippedSteps }], false).out
  expect(line(0)).toMatch(/test loss 1.2500, error 12.50 %; 65 s$/m)
  expect(line(1)).toMatch(/error 12.50 %; 1 step skipped so far; 65 s$/m)
  expect(line(3)).toMatch(/error 12.50 %; 3 steps skipped so far; 65 s$/m)
})

it('says where a run stopped, and how to go on', () => {
  const untested = { ...end, testLoss: null, testError: null }
  const all: FitEvent[] = [
    { ...start, step: 5 },
    { ...end, reason: 'interrupted' },
    { ...untested, reason: 'steps' },
  ]
  expect(shown(textReporter, all, false).out).toBe(
    'going on from step 5 of 24\n' +
      'stopped at step 2; go on with: rdm-fit --resume --out runs/x\n' +
      'ended as asked after 2 steps: training loss 1.5000, error 25.00 %; the trained model is runs/x/model.onnx\n',
  )
})

it('has a bar on a terminal', () => {
  const { out, err } = shown(textReporter, events, true)
  expect(out).toContain('epoch  1/12')
  expect(err).toContain('epoch 1/12 [')
  expect(err).toContain('1/2  loss 2.2500  error 75.00 %  80 images/s  2 s left')
  expect(shown(textReporter, [step], true).err).toBe('')
})

it('is an object a line for programs', () => {
  const { out, err } = shown(jsonReporter, events, true)
  const objects = out.trim().split('\n')
  expect(objects.map((line) => JSON.parse(line))).toEqual([step, epoch, end])
  expect(err).toBe('mind the gap\n')
})

it.each([
  [4_000, '4 s'],
  [150_000, '3 min'],
  [12_000_000, '3 h 20 min'],
])('says %i ms as %s', (ms, text) => {
  expect(duration(ms)).toBe(text)
})

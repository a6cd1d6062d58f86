// What a worker tells: everything but most steps, in order, one at a time, and where it stands.
import { expect, it } from 'vitest'
import type { EpochEvent, FitEvent, StartEvent, StepEvent } from '../../../../src/driver/fit/events.js'
import type { Report } from '../../../../src/study/repro/queue/payload.js'
import { Telling } from '../../../../src/study/repro/queue/telling.js'

const start: StartEvent = {
  ...{ event: 'start', step: 0, epoch: 0, epochs: 2, stepsPerEpoch: 10, lastStep: 20, batchSize: 8 },
}
const step = (number: number, ms = 100): StepEvent => ({
  ...{ event: 'step', step: number, epoch: 0, loss: 1, error: 0.5, ms, images: 8, meanLoss: 1, meanError: 0.5 },
})
const epoch: EpochEvent = {
  ...{ event: 'epoch', epoch: 0, step: 10, learningRate: 0.1, loss: 1, error: 0.5 },
  ...{ testLoss: 1, testError: 0.25, ms: 1000 },
}

/** A telling whose reports wait until they are let go. */
function held() {
  const sent: Report[] = []
  let letGo = () => {}
  const telling = new Telling('host:1', (report) => {
    sent.push(report)
    return new Promise((resolve) => {
      letGo = resolve
    })
  })
  const kinds = () => sent.map(({ event }) => (event.event === 'step' ? event.step : event.event))
  const next = async () => {
    letGo()
    await new Promise(setImmediate)
  }
  return { telling, sent, kinds, next }
}

it('is sent one at a time; steps that wait replace each other, and nothing else is left out', async () => {
  const { telling, kinds, next } = held()
  const events: FitEvent[] = [start, step(1), step(2), { event: 'notice', message: 'a' }, epoch, step(20)]
  for (const event of events) telling.tell(event)
  expect(kinds()).toEqual(['start'])
  for (let i = 0; i < 5; i++) await next()
  await telling.settled()
  // The first step waited, and the last step of the run took its place.
  expect(kinds()).toEqual(['start', 'notice', 'epoch', 20])
})

it('says where the run stands after each event', async () => {
  const sent: Report[] = []
  const telling = new Telling('host:1', async (report) => {
    sent.push(report)
  })
  const settle = async (event: FitEvent) => {
    telling.tell(event)
    await telling.settled()
    return sent.at(-1)!.standing
  }
  const worker = 'host:1'
  expect(await settle({ ...start, step: 5 })).toEqual({
    ...{ worker, step: 5, epoch: 0, testError: null, imagesPerSecond: null, left: null },
  })
  expect(await settle(step(6))).toMatchObject({ step: 6, imagesPerSecond: 80, left: 14 * 100 })
  // Not told, but reckoned with: (0.9 · 100 + 300) / 1.9 milliseconds a step.
  telling.tell(step(7, 300))
  const standing = await settle(epoch)
  expect(standing).toMatchObject({ step: 7, epoch: 1, testError: 0.25 })
  expect(standing.left).toBeCloseTo((13 * 390) / 1.9)
  expect(standing.imagesPerSecond).toBeCloseTo((1.9 * 8 * 1000) / 390)
  const end: FitEvent = {
    ...{
      event: 'end',
      step: 20,
      epoch: 1,
      loss: 1,
      error: 0.5,
      testLoss: 1,
      testError: 0.2,
      ms: 1,
      reason: 'finished',
    },
  }
  expect(await settle(end)).toMatchObject({ testError: 0.2, left: 0 })
})

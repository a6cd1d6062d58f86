// What the GPU benchmark makes of what it measures.
import { join } from 'node:path'
import { expect, test } from 'vitest'

const piece = (name: string) => import(/* @vite-ignore */ join(import.meta.dirname, `../../bench/gpu/${name}.mjs`))
const { paceOf, Runs } = await piece('runs')
const { Throughput } = await piece('seeds')
const { difference } = await piece('correctness')
const { countNodes } = await piece('nodes')
const { loopModel } = await piece('loopModel')
const { runPart } = await piece('part')

/** What rdm-fit prints of a run of ONNX Runtime that ended at `at`: its steps at once. */
const run = (at: number, ms: number, steps: number, images: number, seed?: number) =>
  Array.from({ length: steps }, (_, i) => ({ event: 'step', at: at + 0.01 * i, ms, images, seed }))

test('steps that arrive together are one run; the pace leaves evaluations out', () => {
  const runs = new Runs()
  const events = [
    ...run(100, 10, 3, 128),
    ...run(130, 10, 3, 128),
    ...run(150, 10, 2, 64),
    { event: 'epoch', at: 900, ms: 5000 },
    ...run(930, 10, 3, 128),
    ...run(960, 10, 3, 128),
    ...run(990, 10, 3, 128),
  ]
  for (const event of events) runs.add(event)
  expect(runs.complete.map(({ steps }: { steps: number }) => steps)).toEqual([3, 3, 2, 3, 3])
  // From 100 to 150, and from 930 to 960.
  expect(paceOf(runs.complete)).toEqual({ images: 3 * 128 + 2 * 64 + 3 * 128, wallMs: 80 })
})

test('single steps that follow each other at once stay apart', () => {
  const runs = new Runs()
  for (const at of [10, 12, 14, 16]) runs.add(run(at, 2, 1, 8)[0])
  expect(paceOf(runs.complete)).toEqual({ images: 16, wallMs: 4 })
})

test('the throughput of several seeds is the sum of what each does, once all are warm', () => {
  const throughput = new Throughput(2, 4, 0.1)
  const events = [
    // Seed 1 is warm long before seed 2, and as fast as it is alone until then.
    ...[10, 20, 30].flatMap((at) => run(at, 5, 2, 100, 1)),
    ...[40, 80].flatMap((at) => run(at, 20, 2, 100, 2)),
    ...[100, 140, 180, 220].flatMap((at) => [...run(at, 20, 2, 100, 1), ...run(at + 10, 20, 2, 50, 2)]),
  ]
  const over = events.findIndex((event) => throughput.add(event))
  expect(events[over]!.at).toBeGreaterThanOrEqual(180)
  expect(throughput.imagesPerSecond).toBeCloseTo((1000 * (200 + 100)) / 40, 6)
})

const state = (values: number[]) => ({ w: { data: Float32Array.from(values) } })

test('the difference of two runs is measured by what the steps changed', () => {
  const initial = state([1, 1, 1, 1])
  const expected = { losses: [2, 1], state: state([1.5, 1.5, 1.5, 1.5]) }
  expect(difference(initial, expected, expected)).toMatchObject({ loss: 0, change: 0 })
  // A gradient of the wrong sign.
  const turned = { losses: [2, 1.1], state: state([0.5, 0.5, 0.5, 0.5]) }
  const { loss, change, worst } = difference(initial, expected, turned)
  expect({ change, worst }).toEqual({ change: 2, worst: 'w' })
  expect(loss).toBeCloseTo(0.1)
  const broken = { losses: [2, Number.NaN], state: state([Number.NaN, 1.5, 1.5, 1.5]) }
  expect(difference(initial, expected, broken)).toMatchObject({ loss: Number.NaN, change: Number.NaN })
})

test('the nodes of a step are those of the body of its loop', () => {
  type Scope = { op(name: string, inputs: string[]): string }
  const build =
    ({ x }: { x: string }) =>
    (body: Scope) =>
      body.op('Relu', [body.op('Add', [x, body.op('Add', [x, x])])])
  const bytes = loopModel({ inputs: { x: [2] }, build, type: 'float32', iterations: 3 })
  // The condition is handed on by an Identity; a Reshape and a Gather read what the round before gave.
  expect(countNodes(bytes)).toEqual({ Add: 2, Relu: 1, Identity: 1, Reshape: 1, Gather: 1 })
})

test('a part that runs out of time reports what it has, and its processes are gone', async () => {
  let ended: Promise<{ reason: string }> | undefined
  const work = async (
    report: { results: number[] },
    processes: { spawn(command: unknown): { ended: typeof ended } },
  ) => {
    report.results = [1]
    ended = processes.spawn(['sleep', ['600']]).ended
    await ended
    await new Promise(() => {})
  }
  const report = await runPart({ seconds: 3, work }, {}, () => 60_000)
  expect(report).toMatchObject({ results: [1], verdict: 'stopped after 3 s' })
  expect(await ended).toMatchObject({ reason: 'SIGKILL' })
})

test('a part that fails says why; one for which no time is left is not begun', async () => {
  const work = () => Promise.reject(new Error('there is no GPU'))
  expect(await runPart({ seconds: 30, work }, {}, () => 60_000)).toMatchObject({ verdict: 'failed: there is no GPU' })
  expect(await runPart({ seconds: 30, work }, {}, () => 100)).toMatchObject({ verdict: 'not begun: no time left' })
})

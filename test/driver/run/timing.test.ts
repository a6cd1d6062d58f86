// timing.jsonl: what is noted of an epoch, and what is read of it whatever it holds.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FitEvent, fit } from 'rdm-onnx'
import { expect, it, onTestFinished } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import { readTiming } from '../../../src/driver/run/timing.js'
import { tinyData } from '../../support/tinyData.js'
import { tinyModel } from '../../support/tinyModel.js'

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-timing-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

it('notes what this process did of an epoch, where and with what', async () => {
  const out = newFolder()
  const stopping = new AbortController()
  // Two of five steps, of 16 images each; the last has 8.
  const onEvent = (event: FitEvent) => event.event === 'step' && event.step === 7 && stopping.abort()
  const options = { model: tinyModel(), data: tinyData(), out, config: { threads: 1, target: 'portable' } } as const
  await fit({ ...options, signal: stopping.signal, onEvent })
  await fit({ ...options, config: {}, resume: true })
  const { epochs, unreadable } = await readTiming(out)
  expect(unreadable).toBe(0)
  expect(epochs.map(({ epoch, steps, images }) => [epoch, steps, images])).toEqual([
    [0, 5, 72],
    [1, 3, 40],
    [2, 5, 72],
  ])
  expect(epochs[0]).toMatchObject({
    ...{ batchSize: 16, threads: 1, provider: 'cpu', target: 'portable' },
    machine: { processor: cpus()[0]!.model.trim(), cores: availableParallelism() },
    versions: { 'rdm-onnx': '0.1.0', 'onnxruntime-node': '1.29.0', node: process.versions.node },
  })
})

it('reads lines from before machines were noted, and passes over what says nothing', async () => {
  const folder = newFolder()
  const old = { epoch: 0, steps: 5, trainingMs: 10, evaluationMs: 2, batchSize: 16, threads: 2, provider: 'cpu' }
  const lines = [
    JSON.stringify(old),
    JSON.stringify({ ...old, epoch: 1, later: 'more' }),
    JSON.stringify({ ...old, steps: -1 }),
    JSON.stringify({ ...old, trainingMs: 1e300 }),
    JSON.stringify({ ...old, machine: { processor: 'x'.repeat(1000), cores: 2 } }),
    'null',
    '{"epoch":2,"ste',
  ]
  writeFileSync(join(folder, 'timing.jsonl'), lines.join('\n'))
  expect(await readTiming(folder)).toEqual({ epochs: [old, { ...old, epoch: 1 }], unreadable: 5 })
})

it('is nothing where there is no file, and refuses one that fills the memory', async () => {
  const folder = newFolder()
  expect(await readTiming(folder)).toEqual({ epochs: [], unreadable: 0 })
  const path = join(folder, 'timing.jsonl')
  writeFileSync(path, '')
  truncateSync(path, 100_000_001)
  const reading = readTiming(folder)
  await expect(reading).rejects.toThrow(UserError)
  await expect(reading).rejects.toThrow(
    `${path} is damaged: it has 100000001 bytes, and a line an epoch is far less; move it away`,
  )
})

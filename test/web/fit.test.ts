// Training in Chromium beside training in Node: the same numbers, the same bytes after a stop, and runs that go from one to the other.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FitEvent, type FitResult, fit, readTrainableModel, synthesize, writeCifar10 } from 'rdm-onnx'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tensor } from '../../src/core/graph/tensor.js'
import type { FitOverrides } from '../../src/driver/fit/config.js'
import { decodeCheckpoint } from '../../src/driver/run/checkpoint.js'
import { run as runCommand } from '../cli/support.js'
import { hasBrowser } from '../support/browser.js'
import { lossesOf, openPageOnce, openTrainingPage, smallNetwork, withAdam } from './support.js'

/** 84 images in batches of 16: the last of an epoch's 6 holds 4. */
const synth = { train: 84, test: 30, seed: 3 }
const data = synthesize(synth)
const root = mkdtempSync(join(tmpdir(), 'rdm-web-'))
const dataFolder = join(root, 'data')
afterAll(() => rmSync(root, { recursive: true }))
beforeAll(() => writeCifar10(dataFolder, data))

interface Trained {
  readonly result: Omit<FitResult, 'state'> & { readonly checkpoint: Uint8Array; readonly model: Uint8Array }
  readonly events: readonly FitEvent[]
}

const trainInPage = `
  const events = []
  const run = web.fit({ model, data: web.synthesize(synth), onEvent: (e) => events.push(e), ...options })
  return { result: await run.result, events }`

async function trainInNode(name: string, model: Uint8Array, config: FitOverrides) {
  const out = join(root, name)
  const events: FitEvent[] = []
  const settings = { threads: 1, target: 'portable', ...config } as const
  const trainable = readTrainableModel(model, 'the model')
  await fit({ model: trainable, data, out, config: settings, onEvent: (event) => events.push(event) })
  return { events, checkpoint: new Uint8Array(readFileSync(join(out, 'checkpoint.safetensors'))), out }
}

const stateOf = (bytes: Uint8Array) => decodeCheckpoint(bytes, 'a checkpoint').state

/** The largest difference between numbers of two states whose names fit. */
function difference(one: Uint8Array, other: Uint8Array, names: RegExp): number {
  const [a, b] = [stateOf(one), stateOf(other)]
  expect(Object.keys(a).sort()).toEqual(Object.keys(b).sort())
  const chosen = Object.keys(a).filter((name) => names.test(name))
  expect(chosen.length).toBeGreaterThan(10)
  return Math.max(...chosen.map((name) => apart(numbersOf(a[name]!), numbersOf(b[name]!))))
}

const numbersOf = ({ data }: Tensor): number[] => Array.from(data as ArrayLike<number | bigint>, Number)
function apart(a: readonly number[], b: readonly number[]): number {
  expect(a).toHaveLength(b.length)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)
}

/** All that a network predicts with; and the means of its gradients. */
const weights = /^(?!.*moment)/
const gradients = /moment/

const networks = {
  'SGD, augmented': { bytes: smallNetwork(), config: {} },
  'AdamW with clipped gradients of two batches, stochastic depth': {
    bytes: smallNetwork({ ...withAdam, survival: 0.5 }),
    config: { accumulate: 2, learningRate: [[0, 0.002]] as [number, number][] },
  },
}

describe.runIf(hasBrowser)('training in a page', () => {
  it.each(Object.entries(networks))('%s: 20 steps are those of Node within 1e-4', async (name, { bytes, config }) => {
    const { run, messages } = await openTrainingPage()
    const options = { config: { ...config, steps: 20 } }
    const page = await run<Trained>(trainInPage, { model: bytes, synth, options })
    const node = await trainInNode(name, bytes, options.config)
    expect(page.result).toMatchObject({ reason: 'steps', step: 20 })
    expect(lossesOf(page.events)).toHaveLength(20)
    expect(apart(lossesOf(page.events), lossesOf(node.events))).toBeLessThan(1e-4)
    expect(difference(page.result.checkpoint, node.checkpoint, weights)).toBeLessThan(1e-4)
    // A ReLU whose input rounds to the other side of zero lets another part of a gradient through.
    expect(difference(page.result.checkpoint, node.checkpoint, gradients)).toBeLessThan(5e-3)
    const testLosses = [page, node].map(({ events }) => epochsOf(events).map(({ testLoss }) => testLoss))
    expect(testLosses[0]).toHaveLength(3)
    expect(apart(testLosses[0]!, testLosses[1]!)).toBeLessThan(1e-4)
    // The weights did move, so that numbers that never change would be seen.
    const [first, last] = [readTrainableModel(bytes).state, stateOf(page.result.checkpoint)]
    expect(apart(numbersOf(first['stem.weight']!), numbersOf(last['stem.weight']!))).toBeGreaterThan(1e-2)
    expect(messages).toEqual([])
  })

  it('trains on one thread where the page is not isolated, to the numbers of Node', async () => {
    const { run } = await openTrainingPage({ headers: {} })
    const model = smallNetwork()
    const options = { config: { steps: 2 } }
    const alone = await run<Trained & { isolated: boolean }>(
      `return { isolated: crossOriginIsolated, ...(await (async () => {${trainInPage}})()) }`,
      { model, synth, options },
    )
    expect(alone.isolated).toBe(false)
    expect(alone.result.config.threads).toBe(1)
    const node = await trainInNode('alone', model, options.config)
    expect(apart(lossesOf(alone.events), lossesOf(node.events))).toBeLessThan(1e-5)
  })
})

const epochsOf = (events: readonly FitEvent[]) => events.flatMap((event) => (event.event === 'epoch' ? [event] : []))

/** In the page: a run in a store that lasts, stopped after `until` steps; where `options.resume`, it goes on. */
const trainStored = `
  const store = await web.openStore('a run')
  const events = []
  const run = web.fit({ model, data: web.synthesize(synth), store, ...options, onEvent: (e) => {
    events.push(e)
    if (e.event === 'step' && e.step === until) run.stop()
  } })
  const result = await run.result
  const [checkpoint, trained, metrics] = await Promise.all(['checkpoint.safetensors', 'model.onnx', 'metrics.jsonl'].map((name) => store.read(name)))
  return { lasts: store.lasts, result, events, files: { checkpoint, trained, metrics } }`

interface Stored extends Trained {
  readonly lasts: boolean
  readonly files: Readonly<Record<'checkpoint' | 'trained' | 'metrics', Uint8Array>>
}

const model = smallNetwork({ survival: 0.5 })
const config = { epochs: 2, checkpointSeconds: 0 }

describe.runIf(hasBrowser)('a run in a page', () => {
  let whole: Stored
  beforeAll(async () => {
    if (!hasBrowser) return
    const { run, close } = await openPageOnce()
    whole = await run<Stored>(trainStored, { model, synth, options: { config }, until: 0 })
    await close()
  })

  it.each([1, 6, 9])(
    'stopped after step %i and resumed after the page was closed, ends in the same bytes',
    async (until) => {
      const { run, reload } = await openTrainingPage()
      const stopped = await run<Stored>(trainStored, { model, synth, options: { config }, until })
      expect(stopped).toMatchObject({ lasts: true, result: { reason: 'interrupted' } })
      // The next step may have begun before the worker hears it.
      const { step } = stopped.result
      expect([until, until + 1]).toContain(step)
      await reload()
      const resumed = await run<Stored>(trainStored, { model, synth, options: { resume: true }, until: 0 })
      expect(resumed.result).toMatchObject({ reason: 'finished', step: 12 })
      expect(resumed.events[0]).toMatchObject({ event: 'start', step })
      expect(resumed.files).toEqual(whole.files)
      expect(resumed.result.checkpoint).toEqual(whole.files.checkpoint)
      expect(resumed.result.model).toEqual(whole.files.trained)
    },
  )

  it('whose page is gone in the middle of a step goes on from its last checkpoint to the same bytes', async () => {
    const { run, reload } = await openTrainingPage()
    const step = await run<number>(
      `const store = await web.openStore('a run')
      return new Promise((resolve, reject) => {
        const run = web.fit({ model, data: web.synthesize(synth), store, config, onEvent: (e) => {
          if (e.event === 'step' && e.step === 5) resolve(e.step)
        } })
        run.result.catch(reject)
      })`,
      { model, synth, config },
    )
    expect(step).toBe(5)
    await reload()
    const resumed = await run<Stored>(trainStored, { model, synth, options: { resume: true }, until: 0 })
    expect(resumed.events[0]).toMatchObject({ event: 'start' })
    expect(resumed.files).toEqual(whole.files)
  })

  it('waits while it is paused, with a checkpoint, gives the model of the moment, and ends in the same bytes', async () => {
    const { run } = await openTrainingPage()
    const paused = await run<Stored & { stepsMeanwhile: number; kept: boolean; snapshot: Uint8Array }>(
      `const store = web.memoryStore()
      const events = []
      const steps = () => events.filter(({ event }) => event === 'step').length
      const data = web.synthesize(synth)
      const waiting = new Promise((resolve) => {
        globalThis.run = web.fit({ model, data, store, config: { ...config, checkpointSeconds: 3600 }, onEvent: (e) => {
          events.push(e)
          if (e.event === 'step' && e.step === 3) { run.pause(); setTimeout(resolve, 1500) }
        } })
      })
      await waiting
      const before = steps()
      const snapshot = await run.snapshot()
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const kept = (await store.read('checkpoint.safetensors')) !== undefined
      const stepsMeanwhile = steps() - before
      run.resume()
      const result = await run.result
      const over = await run.snapshot().catch((error) => error.name + ': ' + error.message)
      const names = ['checkpoint.safetensors', 'model.onnx', 'metrics.jsonl']
      const [checkpoint, trained, metrics] = await Promise.all(names.map((name) => store.read(name)))
      return { over, stepsMeanwhile, kept, snapshot, result, files: { checkpoint, trained, metrics } }`,
      { model, synth, config },
    )
    expect(paused).toMatchObject({
      over: 'UserError: the run is over',
      stepsMeanwhile: 0,
      kept: true,
      result: { reason: 'finished' },
    })
    expect(paused.files.trained).toEqual(whole.files.trained)
    expect(paused.files.metrics).toEqual(whole.files.metrics)
    const { state: then } = readTrainableModel(paused.snapshot)
    const { state: after } = readTrainableModel(whole.files.trained)
    expect(apart(numbersOf(then['stem.weight']!), numbersOf(after['stem.weight']!))).toBeGreaterThan(1e-4)
  })

  it('goes on in Node by its checkpoint alone, to the numbers of a run in Node', async () => {
    const { run } = await openTrainingPage()
    const { files } = await run<Stored>(trainStored, { model, synth, options: { config }, until: 7 })
    const folder = join(root, 'from-page')
    mkdirSync(folder)
    writeFileSync(join(folder, 'checkpoint.safetensors'), files.checkpoint)
    const file = join(root, 'page.onnx')
    writeFileSync(file, files.trained)
    const lines = [file, '--data', dataFolder, '--out', folder, '--resume']
    expect(runCommand('rdm-fit', ['--data', dataFolder, '--out', folder, '--resume'])).toMatchObject({ code: 2 })
    const { code, err, out } = runCommand('rdm-fit', lines)
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('epoch 2/2')
    const node = await trainInNode('all-in-node', model, config)
    const gone = new Uint8Array(readFileSync(join(folder, 'checkpoint.safetensors')))
    expect(decodeCheckpoint(gone, folder).progress.step).toBe(12)
    expect(difference(gone, node.checkpoint, weights)).toBeLessThan(1e-4)
    // From now on it is a run like any other.
    expect(runCommand('rdm-fit', ['--out', folder, '--resume', '--epochs', '3'])).toMatchObject({ code: 0, err: '' })
  })

  it('goes on from a checkpoint of Node, to the numbers of a run in Node', async () => {
    const node = await trainInNode('seven', model, { ...config, steps: 7 })
    const { run } = await openTrainingPage()
    const resumed = await run<Trained>(
      `const store = web.memoryStore()
      await store.write('checkpoint.safetensors', checkpoint)
      const events = []
      const options = { resume: true, config: { steps: null } }
      const run = web.fit({ model, data: web.synthesize(synth), store, ...options, onEvent: (e) => events.push(e) })
      return { result: await run.result, events }`,
      { model, synth, checkpoint: node.checkpoint },
    )
    expect(resumed.events[0]).toMatchObject({ event: 'start', step: 7 })
    expect(resumed.result).toMatchObject({ reason: 'finished', step: 12 })
    const all = await trainInNode('all-in-node-again', model, config)
    expect(difference(resumed.result.checkpoint, all.checkpoint, weights)).toBeLessThan(1e-4)
    expect(resumed.result.history).toHaveLength(2)
  })

  it('says in a line what does not fit', async () => {
    const { run } = await openTrainingPage()
    const failing = async (body: string) =>
      run<string>(
        `const data = web.synthesize(synth)
        const store = web.memoryStore('first')
        const failed = async (options) => {
          const error = await web.fit({ model, data, store, ...options }).result.then(() => undefined, (error) => error)
          return error instanceof web.UserError ? error.message : 'no UserError: ' + error
        }
        ${body}`,
        { model, synth },
      )
    expect(await failing('return failed({ model: new Uint8Array(10) })')).toMatch(/^the model/)
    expect(await failing('return failed({ resume: true })')).toBe(
      'first holds no run to resume (no checkpoint.safetensors): start one without resume',
    )
    expect(await failing("return failed({ config: { target: 'auto' } })")).toMatch(/^config.target is for runs in Node/)
    expect(await failing('return failed({ config: { epochs: 0 } })')).toMatch(
      /^the training configuration does not fit/,
    )
    expect(await failing("return failed({ runtime: '/nothing.mjs' })")).toMatch(
      /^onnxruntime-web does not load: install it/,
    )
    expect(await failing('return failed({ config: { learningRate: [[0, 1e30]] } })')).toMatch(/training diverged/)
    const again = `await web.fit({ model, data, store, config: { steps: 1 } }).result`
    expect(await failing(`${again}; return failed({})`)).toBe(
      'first holds a run already: resume it, or take another store for a new one',
    )
    expect(await failing(`${again}; return failed({ resume: true, config: { seed: 7 } })`)).toMatch(/has seed 1, not 7/)
    const twice = `const lasting = await web.openStore('shared')
      const first = web.fit({ model, data, store: lasting })
      const said = await failed({ store: await web.openStore('shared') })
      first.stop()
      await first.result
      return said`
    expect(await failing(twice)).toBe('shared is in use by another run, here or in another tab: stop that one first')
    const other = 'web.synthesize({ ...synth, seed: 9 })'
    expect(await failing(`${again}; return failed({ resume: true, data: ${other} })`)).toMatch(
      /^the checkpoint in first belongs to another run/,
    )
  })
})

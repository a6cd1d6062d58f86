// Several runs of one model: each as it would be alone, whatever stands beside it, stops it or fails.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type FitEvent,
  fit,
  fitSeeds,
  readTrainableModel,
  type SeedOutcome,
  type SeedsOptions,
  spreadOf,
  UserError,
} from 'rdm-onnx'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { residualNetwork } from '../../../graphs/residual.js'
import { edited, fileOf } from '../../support/models.js'
import { tinyNetwork, tinyNetworks } from '../../support/networks.js'
import { tinyData } from '../../support/tinyData.js'
import { tinyModel } from '../../support/tinyModel.js'

const file = fileOf(
  residualNetwork({ ...tinyNetworks['RDM basic'], blocks: [1, 1], functions: ['11'], widths: [4, 8] }),
)
const model = readTrainableModel(file)
const data = tinyData()
/** 72 images in batches of 16. */
const stepsPerEpoch = 5
const settings = { epochs: 2, batchSize: 16, threads: 1, target: 'portable' } as const

function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'rdm-seeds-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  return join(parent, 'runs')
}

const run = (out: string, options: Partial<SeedsOptions> = {}) =>
  fitSeeds({ model, data, out, seeds: [1, 2, 3], ...options, config: { ...settings, ...options.config } })
const resume = (out: string, options: Partial<SeedsOptions> = {}) => run(out, { ...options, resume: true })

/** Every byte of a run that must not depend on time. */
function bytesOf(folder: string): Record<string, string> {
  const files = ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx']
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'latin1')]))
}
const bytesOfAll = (out: string, seeds: readonly number[]) => ({
  ...Object.fromEntries(seeds.map((seed) => [seed, bytesOf(join(out, `seed-${seed}`))])),
  summary: readFileSync(join(out, 'summary.json'), 'utf8'),
})

const lastTestError = (out: string, seed: number): number =>
  JSON.parse(
    readFileSync(join(out, `seed-${seed}`, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .at(-1)!,
  ).testError

const ends = (runs: readonly SeedOutcome[]) => Object.fromEntries(runs.map(({ seed, end }) => [seed, end]))

/** The runs of seeds 1 to 3, one after the other, that no other test touches. */
const parent = mkdtempSync(join(tmpdir(), 'rdm-seeds-'))
const whole = join(parent, 'runs')
const events: { seed: number | undefined; event: FitEvent }[] = []
beforeAll(async () => {
  await run(whole, { onEvent: (event, seed) => events.push({ seed, event }) })
})
afterAll(() => rmSync(parent, { recursive: true }))

describe('runs of several seeds', () => {
  it('leave a folder each, and a summary of what they came to', () => {
    expect(readdirSync(whole).sort()).toEqual(['seed-1', 'seed-2', 'seed-3', 'seeds.json', 'summary.json'])
    const summary = JSON.parse(readFileSync(join(whole, 'summary.json'), 'utf8'))
    const errors = [1, 2, 3].map((seed) => lastTestError(whole, seed))
    expect(summary).toEqual({
      format: 'rdm-onnx seeds summary 1',
      runs: [1, 2, 3].map((seed, i) => ({ seed, end: 'finished', step: 10, epochs: 2, testError: errors[i] })),
      testError: spreadOf(errors),
    })
  })

  it('begin one after the other unless told otherwise, and say of which run each event is', () => {
    const kinds = (seed: number) => events.filter((told) => told.seed === seed).map(({ event }) => event.event)
    const epoch = [...new Array<string>(stepsPerEpoch).fill('step'), 'epoch']
    for (const seed of [1, 2, 3]) expect(kinds(seed)).toEqual(['start', ...epoch, ...epoch, 'end'])
    expect(events.map(({ seed }) => seed)).toEqual([1, 2, 3].flatMap((seed) => kinds(seed).map(() => seed)))
  })

  it('have weights and draws of their own', () => {
    const [one, two] = [1, 2].map((seed) => readFileSync(join(whole, `seed-${seed}`, 'initial.onnx')))
    expect(one!.equals(two!)).toBe(false)
    expect(one!.equals(Buffer.from(model.withState(model.state)))).toBe(false)
    for (const seed of [1, 2, 3]) {
      const { config } = JSON.parse(readFileSync(join(whole, `seed-${seed}`, 'config.json'), 'utf8'))
      expect(config.seed).toBe(seed)
    }
  })

  it('are each what the run would be alone', async () => {
    for (const seed of [1, 2, 3]) {
      const folder = join(whole, `seed-${seed}`)
      const alone = join(newFolder(), `seed-${seed}`)
      mkdirSync(join(alone, '..'))
      const own = readTrainableModel(readFileSync(join(folder, 'initial.onnx')))
      await fit({ model: own, data, out: alone, config: { ...settings, seed } })
      expect(bytesOf(folder)).toEqual(bytesOf(alone))
    }
  })

  it('are the same side by side', async () => {
    const out = newFolder()
    let active = 0
    let most = 0
    await run(out, {
      jobs: 2,
      onEvent: ({ event }) => {
        if (event === 'start') most = Math.max(most, ++active)
        if (event === 'end') active--
      },
    })
    expect(most).toBe(2)
    expect(bytesOfAll(out, [1, 2, 3])).toEqual(bytesOfAll(whole, [1, 2, 3]))
  })

  it('share the cores when they go side by side and no threads are given', async () => {
    const out = newFolder()
    await run(out, { seeds: [1, 2], jobs: 64, config: { threads: undefined, steps: 1 } })
    const { config } = JSON.parse(readFileSync(join(out, 'seed-2', 'config.json'), 'utf8'))
    const alone = newFolder()
    await run(alone, { seeds: [1], config: { threads: undefined, steps: 1 } })
    const { config: single } = JSON.parse(readFileSync(join(alone, 'seed-1', 'config.json'), 'utf8'))
    expect(config.threads).toBe(Math.max(1, Math.floor(single.threads / 2)))
  })
})

describe('runs that go on', () => {
  /** Stops all of them once a run is at this step. */
  async function stopped(out: string, seed: number, step: number, options: Partial<SeedsOptions> = {}) {
    const stopping = new AbortController()
    const onEvent = (event: FitEvent, of?: number) => {
      if (event.event === 'step' && of === seed && event.step === step) stopping.abort()
    }
    return run(out, { ...options, signal: stopping.signal, onEvent })
  }

  it('end in the same bytes after a stop; those that ended are left alone and those that waited begin', async () => {
    const out = newFolder()
    const { runs, testError } = await stopped(out, 2, 7)
    expect(runs).toEqual([
      { seed: 1, end: 'finished', step: 10, epochs: 2, testError: lastTestError(whole, 1) },
      { seed: 2, end: 'interrupted', step: 7, epochs: 1, testError: expect.any(Number) },
      { seed: 3, end: 'waiting', step: 0, epochs: 0, testError: null },
    ])
    // What was stopped does not count.
    expect(testError).toEqual({ median: lastTestError(whole, 1), mean: lastTestError(whole, 1), std: null })
    expect(existsSync(join(out, 'seed-3'))).toBe(false)
    const touched = () => readdirSync(join(out, 'seed-1')).map((name) => statSync(join(out, 'seed-1', name)).mtimeMs)
    const before = touched()
    const seen = new Set<number | undefined>()
    await resume(out, { onEvent: (_, seed) => seen.add(seed) })
    expect([...seen]).toEqual([2, 3])
    expect(touched()).toEqual(before)
    expect(bytesOfAll(out, [1, 2, 3])).toEqual(bytesOfAll(whole, [1, 2, 3]))
  })

  it('end in the same bytes after a stop side by side, and after a crash before the first checkpoint', async () => {
    const out = newFolder()
    expect(ends((await stopped(out, 1, 3, { jobs: 3 })).runs)).toMatchObject({ 1: 'interrupted' })
    for (const name of ['checkpoint.safetensors', 'checkpoint.previous.safetensors'])
      rmSync(join(out, 'seed-1', name), { force: true })
    await resume(out, { jobs: 2 })
    expect(bytesOfAll(out, [1, 2, 3])).toEqual(bytesOfAll(whole, [1, 2, 3]))
  })

  it('may be joined by others, which take the settings of the first', async () => {
    const out = newFolder()
    await run(out, { seeds: [1, 2] })
    await fitSeeds({ model, data, out, seeds: [1, 2, 3], resume: true })
    expect(bytesOfAll(out, [1, 2, 3])).toEqual(bytesOfAll(whole, [1, 2, 3]))
    expect(JSON.parse(readFileSync(join(out, 'seeds.json'), 'utf8')).seeds).toEqual([1, 2, 3])
    // And alone, without those that are there.
    const { runs } = await fitSeeds({ model, data, out, seeds: [7], resume: true })
    expect(runs).toMatchObject([{ seed: 7, end: 'finished', step: 10 }])
    expect(JSON.parse(readFileSync(join(out, 'seeds.json'), 'utf8')).seeds).toEqual([1, 2, 3, 7])
  })

  it('may go on to more epochs, also one of them by itself', async () => {
    const out = newFolder()
    await run(out, { config: { epochs: 1 } })
    const second = join(out, 'seed-2')
    const own = readTrainableModel(readFileSync(join(second, 'initial.onnx')))
    await fit({ model: own, data, out: second, resume: true, config: { epochs: 2 } })
    await resume(out)
    expect(bytesOfAll(out, [1, 2, 3])).toEqual(bytesOfAll(whole, [1, 2, 3]))
  })

  it('write the files of an ended run that a crash kept from being written', async () => {
    const out = newFolder()
    await run(out, { seeds: [1, 2] })
    const before = bytesOfAll(out, [1, 2])
    writeFileSync(join(out, 'seed-1', 'model.onnx'), 'half')
    rmSync(join(out, 'seed-2', 'curves.svg'))
    await resume(out, { seeds: [1, 2] })
    expect(bytesOfAll(out, [1, 2])).toEqual(before)
  })

  it('count those that ended at the steps that they were to take', async () => {
    const out = newFolder()
    const config = { steps: 7 }
    const { runs, testError } = await run(out, { seeds: [1, 2], config })
    expect(ends(runs)).toEqual({ 1: 'steps', 2: 'steps' })
    const errors = runs.map((run) => (run.end === 'steps' ? run.testError! : Number.NaN))
    expect(testError).toEqual(spreadOf(errors))
    expect((await resume(out, { seeds: [1, 2], config })).runs).toEqual(runs)
  })
})

describe('a run that fails', () => {
  it('does not stop the others, and is left out of what they come to', async () => {
    const out = newFolder()
    mkdirSync(out)
    writeFileSync(join(out, 'seed-2'), 'no folder')
    const told: unknown[] = []
    const onEvent = (event: FitEvent, seed?: number) => event.event === 'notice' && told.push([seed, event.message])
    const { runs, testError } = await run(out, { jobs: 2, onEvent })
    expect(ends(runs)).toEqual({ 1: 'finished', 2: 'failed', 3: 'finished' })
    expect(testError).toEqual(spreadOf([1, 3].map((seed) => lastTestError(whole, seed))))
    expect(told).toEqual([[2, expect.stringMatching(/^failed: cannot create the run folder .*seed-2/)]])
    for (const seed of [1, 3]) expect(bytesOf(join(out, `seed-${seed}`))).toEqual(bytesOf(join(whole, `seed-${seed}`)))
    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'))
    expect(summary.runs[1]).toEqual({ seed: 2, end: 'failed', error: told.flat()[1]!.toString().slice(8) })
    // Once it can be had, it is made up for.
    rmSync(join(out, 'seed-2'))
    await resume(out)
    expect(bytesOfAll(out, [1, 2, 3])).toEqual(bytesOfAll(whole, [1, 2, 3]))
  })

  it('may have a damaged folder, or another seed than its folder says', async () => {
    const out = newFolder()
    await run(out, { config: { epochs: 1 } })
    writeFileSync(join(out, 'seed-1', 'config.json'), '{')
    const config = join(out, 'seed-2', 'config.json')
    writeFileSync(config, readFileSync(config, 'utf8').replace('"seed": 2', '"seed": 5'))
    const { runs } = await resume(out)
    expect(ends(runs)).toEqual({ 1: 'failed', 2: 'failed', 3: 'finished' })
    const reasons = runs.flatMap((run) => (run.end === 'failed' ? [String(run.error)] : []))
    expect(reasons[0]).toMatch(/seed-1.config\.json is damaged/)
    expect(reasons[1]).toMatch(/seed-2 has seed 5, not 2/)
  })

  it('may be every one of them: there is then nothing to sum up', async () => {
    const out = newFolder()
    const { runs, testError } = await run(out, { config: { learningRate: [[0, 1e30]] } })
    expect(ends(runs)).toEqual({ 1: 'failed', 2: 'failed', 3: 'failed' })
    expect(runs.map((run) => run.end === 'failed' && String(run.error))).toEqual(
      new Array(3).fill(expect.stringMatching(/training diverged; try a lower learning rate/)),
    )
    expect(testError).toBeNull()
  })
})

describe('runs that are refused', () => {
  const refusal = async (promise: Promise<unknown>) => {
    const error = await promise.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(UserError)
    return (error as UserError).message
  }

  it('where runs are, or one run is', async () => {
    const before = bytesOfAll(whole, [1, 2, 3])
    for (const seeds of [[3, 4], [8]]) {
      expect(await refusal(run(whole, { seeds }))).toMatch(/seed-\d holds a run already: add --resume to go on with/)
    }
    expect(await refusal(run(join(whole, 'seed-1')))).toMatch(/holds a single run: choose another folder for several/)
    expect(bytesOfAll(whole, [1, 2, 3])).toEqual(before)
    expect(existsSync(join(whole, 'seed-8'))).toBe(false)
  })

  it('where there is nothing to resume', async () => {
    const out = newFolder()
    expect(await refusal(resume(out))).toBe(`${out} holds no runs to resume: leave out --resume to start them`)
    expect(existsSync(out)).toBe(false)
  })

  it('with other settings or another model than the runs have', async () => {
    expect(await refusal(resume(whole, { seeds: [1, 4], config: { batchSize: 8 } }))).toMatch(
      /seed-1 has batchSize 16, not 8: leave out --batch/,
    )
    const other = readTrainableModel(fileOf(tinyNetwork('RDM basic')))
    expect(await refusal(resume(whole, { seeds: [1, 4], model: other }))).toMatch(
      /^the runs in .* belong to another model: leave out the model/,
    )
    expect(existsSync(join(whole, 'seed-4'))).toBe(false)
  })

  it('while others are going on in the folder', async () => {
    const out = newFolder()
    const first = run(out, { config: { steps: 1 } })
    expect(await refusal(run(out))).toMatch(/ is in use by process \d+/)
    await first
  })

  it('of a model that draws no weights, or that does not fit the data', async () => {
    const out = newFolder()
    const still = edited(file, ({ trainingInfo: [info] }) => {
      info!.initialization = null
      info!.initializationBinding = []
    })
    expect(await refusal(run(out, { model: readTrainableModel(still) }))).toMatch(/^the model has no initialization/)
    expect(await refusal(run(out, { model: tinyModel({ classes: 4 }) }))).toBe(
      "the model has 4 classes, the column 'labels' of the data has 10",
    )
    expect(existsSync(out)).toBe(false)
  })

  it('where seeds.json is damaged', async () => {
    const out = newFolder()
    mkdirSync(out)
    for (const text of ['{', '{"format":"rdm-onnx seeds 1","seeds":[-1]}']) {
      writeFileSync(join(out, 'seeds.json'), text)
      expect(await refusal(resume(out))).toMatch(
        /seeds\.json is damaged: .*; delete it and name the seeds with --seeds$/,
      )
    }
  })
})

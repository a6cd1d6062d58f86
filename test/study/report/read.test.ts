// What is read of folders: experiments, several runs, single runs, in any state and damaged in any way.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { paperData } from '../../../graphs/table1.js'
import { findNetwork } from '../../../graphs/zoo.js'
import { newConfig } from '../../../src/driver/fit/config.js'
import { saveCheckpoint } from '../../../src/driver/run/checkpoint.js'
import { startOfRun } from '../../../src/driver/run/metrics.js'
import { readFolders } from '../../../src/study/report/read.js'
import { historyOf, planModel, writeExperiment, writeRun, writeSeeds } from './support.js'

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-report-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A small network: three epochs a run. */
const tiny = (name: string, seeds: number[] = [1, 2]) => {
  const { architecture, config, ...rest } = planModel(name, { seeds })
  return { ...rest, architecture: { ...architecture, blocks: [1, 1, 1] }, config: { ...config, epochs: 3 } }
}
const whole = [0.5, 0.4, 0.3]

describe('an experiment', () => {
  it('has its models by the plan, each run in the state of its folder', async () => {
    const out = newFolder()
    const errors = [whole, undefined, [0.6, 0.5], [0.7], whole]
    writeExperiment(out, 'mine', [tiny('a', [1, 2, 3, 4, 5]), tiny('b', [1])], (_, seed) => errors[seed - 1])
    // A process on another machine may well be alive.
    writeFileSync(join(out, 'a/seed-4/lock'), JSON.stringify({ pid: 1, host: `not-${hostname()}`, started: null }))
    writeFileSync(join(out, 'a/seed-5/config.json'), '{"format":')
    const { title, models } = await readFolders([out])
    expect(title).toBe('mine')
    expect(models.map(({ name }) => name)).toEqual(['a', 'b'])
    const [a] = models
    expect(a).toMatchObject({
      init: 'he',
      data: { sha256: paperData },
      config: { epochs: 3 },
      architecture: { blocks: [1, 1, 1] },
    })
    expect(a!.runs.map(({ seed, state, step, history }) => [seed, state, step, history.length])).toEqual([
      [1, 'done', 3 * 391, 3],
      [2, 'waiting', 0, 0],
      [3, 'stopped', 2 * 391, 2],
      [4, 'running', 391, 1],
      [5, 'damaged', 0, 0],
    ])
    expect(a!.runs[0]).toMatchObject({ history: historyOf(whole), target: 'portable', timing: { unreadable: 0 } })
    expect(a!.runs[0]!.timing.epochs).toHaveLength(3)
    expect(a!.runs[4]!.damage).toMatch(`${join(out, 'a/seed-5/config.json')} is damaged: `)
    expect(models[1]!.runs).toMatchObject([{ seed: 1, state: 'done' }])
  })

  it('is known by the newest checkpoint; metrics.jsonl may be behind it', async () => {
    const out = newFolder()
    writeExperiment(out, 'mine', [tiny('a', [1])], () => [0.5])
    await saveCheckpoint(join(out, 'a/seed-1'), {
      state: {},
      progress: { ...startOfRun, step: 800, epoch: 2, epochStep: 18, history: historyOf([0.5, 0.4]) },
      ...{ config: newConfig(recipes.paper), recipe: recipes.paper, model: 'model', data: paperData },
    })
    const { models } = await readFolders([out])
    expect(models[0]!.runs).toMatchObject([{ state: 'stopped', step: 800, history: historyOf([0.5, 0.4]) }])
  })

  it.each([
    ['a broken line', '{"epoch":0', /metrics\.jsonl is damaged: line 1 is no record of an epoch$/],
    [
      'epochs that do not follow each other',
      line({ epoch: 4 }),
      /seed-1 is damaged: what it has of epoch 1 is not possible$/,
    ],
    [
      'an error beyond all images',
      line({ testError: 1.5 }),
      /seed-1 is damaged: what it has of epoch 1 is not possible$/,
    ],
    ['a loss beyond float32', line({ testLoss: 1e300 }), /seed-1 is damaged: what it has of epoch 1 is not possible$/],
    ['no steps', line({ step: 0 }), /seed-1 is damaged: what it has of epoch 1 is not possible$/],
  ])('has a run with %s among the others', async (_, text, damage) => {
    const out = newFolder()
    writeExperiment(out, 'mine', [tiny('a')], () => whole)
    writeFileSync(join(out, 'a/seed-1/metrics.jsonl'), text)
    const { models } = await readFolders([out])
    expect(models[0]!.runs).toMatchObject([
      { state: 'damaged', damage: expect.stringMatching(damage) },
      { state: 'done' },
    ])
  })
})

function line(change: object): string {
  return JSON.stringify({ ...historyOf([0.5])[0], ...change })
}

describe('runs of rdm-fit', () => {
  const architecture = { ...findNetwork('rdm56')!.architecture, name: 'tiny', blocks: [1, 1, 1] }

  it('of several seeds are one model, called as their folder', async () => {
    const out = join(newFolder(), 'several')
    writeSeeds(out, [1, 2, 3])
    // The first has not come to its model.
    mkdirSync(join(out, 'seed-1'))
    writeRun(join(out, 'seed-2'), { testErrors: whole, config: { epochs: 3, seed: 2 }, architecture })
    writeRun(join(out, 'seed-3'), { testErrors: [0.6], config: { epochs: 3, seed: 3 }, architecture })
    const { title, models } = await readFolders([`${out}/`])
    expect(title).toBe('several')
    expect(models).toMatchObject([{ name: 'several', architecture, config: { epochs: 3 }, recipe: recipes.paper }])
    expect(models[0]!.runs.map(({ state }) => state)).toEqual(['waiting', 'done', 'stopped'])
  })

  it('alone are a model each, called as their folders, and by these where the names are the same', async () => {
    const parent = newFolder()
    const folders = ['x/run', 'y/run', 'z'].map((name) => join(parent, name))
    writeRun(folders[0]!, { testErrors: whole, config: { epochs: 3, seed: 7 }, architecture })
    writeRun(folders[1]!, { testErrors: whole, config: { epochs: 3 } })
    writeExperiment(folders[2]!, 'plan', [tiny('a'), tiny('b')], () => whole)
    const { title, models } = await readFolders(folders)
    expect(title).toBe('run, run, plan')
    expect(models.map(({ name }) => name)).toEqual([`run (${folders[0]})`, `run (${folders[1]})`, 'a', 'b'])
    expect(models[0]!.runs).toMatchObject([{ seed: 7, state: 'done' }])
    expect(models.map((model) => model.architecture?.name)).toEqual(['tiny', undefined, 'rdm56', 'rdm56'])
  })
})

describe('is refused', () => {
  const refused = (folders: readonly string[], message: string | RegExp) =>
    expect(readFolders(folders)).rejects.toThrow(message)

  it('what is no folder of ours', async () => {
    const out = newFolder()
    await refused([join(out, 'nothing')], `there is no folder ${join(out, 'nothing')}`)
    await refused(
      [out],
      `${out} holds nothing to report on: expected what rdm-repro or rdm-fit wrote, with a plan.json, seeds.json or config.json in it`,
    )
    writeFileSync(join(out, 'plan.json'), '{}')
    await refused([out], /plan\.json is damaged: format: /)
  })

  it('the same folder twice', async () => {
    const out = newFolder()
    writeRun(out, { testErrors: whole, config: { epochs: 3 } })
    await refused([out, `${out}/.`], `${out}/. is given twice: give each folder once`)
  })

  it('a folder of several runs none of which can be read', async () => {
    const out = newFolder()
    writeSeeds(out, [1, 2])
    mkdirSync(join(out, 'seed-1'))
    writeFileSync(join(out, 'seed-1/config.json'), '[]')
    await refused([out], `${out} holds no run that has begun and can be read: nothing to report on yet`)
    writeFileSync(join(out, 'seeds.json'), '[]')
    await refused([out], /seeds\.json is damaged: /)
  })

  it('a network that is no classifier', async () => {
    const out = newFolder()
    writeRun(out, { testErrors: whole, config: { epochs: 3 } })
    const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trimEnd().split('\n')
    const measured = lines.map((line) => {
      const { error, testError, ...rest } = JSON.parse(line)
      return `${JSON.stringify({ ...rest, metrics: { mae: error }, testMetrics: { mae: testError } })}\n`
    })
    writeFileSync(join(out, 'metrics.jsonl'), measured.join(''))
    await refused([out], `${out} holds runs of a network that is no classifier: a report is of test errors`)
  })

  it('a single run that is damaged', async () => {
    const out = newFolder()
    writeRun(out, { testErrors: whole, config: { epochs: 3 } })
    const config = readFileSync(join(out, 'config.json'), 'utf8')
    writeFileSync(join(out, 'metrics.jsonl'), 'null\n')
    await refused([out], `${join(out, 'metrics.jsonl')} is damaged: line 1 is no record of an epoch`)
    writeFileSync(join(out, 'config.json'), config.slice(1))
    await refused([out], `${join(out, 'config.json')} is damaged: `)
    writeRun(out, { testErrors: whole, config: { epochs: 3 } })
    writeFileSync(join(out, 'initial.onnx'), 'no model')
    await refused([out], `${join(out, 'initial.onnx')}: `)
  })
})

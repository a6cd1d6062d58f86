// rdm-repro as a user runs it: killed at any moment, stopped, started twice, with a job that fails, over another's folder.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomStream } from '../../src/core/random.js'
import { type Finished, run, start, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-repro-'))
afterAll(() => rmSync(root, { recursive: true }))

const planText = `format: rdm-onnx plan 1
seeds: 1..2
epochs: 2
batch: 8
lr: 0:0.01,1:0.05
models:
  - {name: plain, blocks: [1, 1], widths: [4, 4]}
  - {name: rdm, blocks: [1, 1], functions: [11, 01], widths: [4, 4]}
`
const ids = ['plain/seed-1', 'rdm/seed-1', 'plain/seed-2', 'rdm/seed-2']

/** A plan file called tiny.yaml in a folder of its own. */
function planFile(text: string): string {
  const folder = mkdtempSync(join(root, 'plan-'))
  writeFileSync(join(folder, 'tiny.yaml'), text)
  return join(folder, 'tiny.yaml')
}

let data: string
let plan: string
/** All jobs, undisturbed, one after the other, with a checkpoint after each step. */
const whole = join(root, 'whole')
let finished: Finished
const settings = ['--threads', '1', '--target', 'portable', '--checkpoint-seconds', '0']
const argv = (out: string, ...more: string[]) => [plan, '--data', data, '--out', out, ...settings, ...more]

beforeAll(() => {
  data = synthesizeTiny(root)
  plan = planFile(planText)
  finished = run('rdm-repro', argv(whole))
})

/** Every byte of a job that must not depend on time. */
const bytesOf = (out: string, id: string) =>
  Object.fromEntries(
    ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx'].map(
      (name) => [name, readFileSync(join(out, id, name), 'latin1')],
    ),
  )
const bytesOfAll = (out: string) => Object.fromEntries(ids.map((id) => [id, bytesOf(out, id)]))
const planOf = (out: string) => readFileSync(join(out, 'plan.json'), 'utf8')

/** After the last epoch, as the tables say it. */
const errorOf = (id: string): string => {
  const last = readFileSync(join(whole, id, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .at(-1)!
  return (JSON.parse(last).testError * 100).toFixed(2)
}
const cells = (line: string) => line.trim().split(/ {2,}/)

describe('a plan', () => {
  it('is trained seed by seed; the end is a row a model', () => {
    expect([finished.code, finished.err]).toEqual([0, ''])
    const lines = finished.out.trimEnd().split('\n')
    // Two epochs and the end of each job.
    expect(lines.slice(0, 12).map((line) => line.split(': ')[0])).toEqual(ids.flatMap((id) => [id, id, id]))
    expect(lines[1]).toMatch(/^plain\/seed-1: epoch 2\/2, lr 0\.05: training loss \d\.\d{4}, error /)
    expect(lines[2]).toBe(
      `plain/seed-1: finished after 10 steps: test error ${errorOf('plain/seed-1')} %; the trained model is ${join(whole, 'plain/seed-1')}/model.onnx`,
    )
    expect(cells(lines[12]!)).toEqual(['model', 'seeds', 'test error %', 'paper %', 'folder'])
    for (const [i, name] of ['plain', 'rdm'].entries()) {
      const [a, b] = [1, 2].map((seed) => Number(errorOf(`${name}/seed-${seed}`)))
      const mean = ((a! + b!) / 2).toFixed(2)
      const std = (Math.abs(a! - b!) / Math.SQRT2).toFixed(2)
      expect(cells(lines[13 + i]!)).toEqual([name, '2 of 2', `${mean} (${mean} ± ${std})`, '-', join(whole, name)])
    }
    expect(lines).toHaveLength(15)
  })

  it('is in plan.json as it is meant, the data included', () => {
    const { format, name, data: from, models, fingerprint } = JSON.parse(planOf(whole))
    expect([format, name, from.path]).toEqual(['rdm-onnx experiment 1', 'tiny', data])
    expect(from.sha256).toBe(JSON.parse(bytesOf(whole, ids[0]!)['config.json']!).data.sha256)
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/)
    expect(models[1]).toMatchObject({
      name: 'rdm',
      seeds: [1, 2],
      architecture: { functions: ['11', '01'], widths: [4, 4] },
      config: { epochs: 2, batchSize: 8, augment: true },
    })
  })

  it('has jobs that are ordinary runs: rdm-fit does the same from the same first weights', () => {
    const out = join(root, 'alone', 'seed-2')
    const initial = join(whole, 'rdm/seed-2/initial.onnx')
    const own = ['--seed', '2', '--epochs', '2', '--batch', '8', '--lr', '0:0.01,1:0.05']
    expect(run('rdm-fit', [initial, '--data', data, '--out', out, ...own, ...settings]).code).toBe(0)
    expect(bytesOf(join(root, 'alone'), 'seed-2')).toEqual(bytesOf(whole, 'rdm/seed-2'))
  })

  it('is left as it is when all is done', () => {
    const times = () => ids.map((id) => statSync(join(whole, id, 'model.onnx')).mtimeMs)
    const before = times()
    const again = run('rdm-repro', argv(whole, '--json'))
    expect([again.code, again.err]).toEqual([0, ''])
    const { event, models, jobs } = JSON.parse(again.out)
    expect([event, models.length]).toEqual(['summary', 2])
    expect(jobs).toEqual(
      ids.map((job) => ({ job, end: 'finished', step: 10, epochs: 2, testError: Number(errorOf(job)) / 100 })),
    )
    expect(times()).toEqual(before)
  })

  it('takes more seeds, models and epochs, which end as if they had been there from the beginning', () => {
    const out = join(root, 'grown')
    const small = planFile(
      planText
        .replace('1..2', '1')
        .replace('epochs: 2', 'epochs: 1')
        .replace(/ {2}- \{name: plain.*\n/, ''),
    )
    expect(run('rdm-repro', [small, '--data', data, '--out', out, ...settings]).code).toBe(0)
    expect(run('rdm-repro', argv(out, '--jobs', '2')).code).toBe(0)
    expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
    expect(planOf(out)).toBe(planOf(whole))
  })
})

describe('what is cut off', () => {
  it('goes on after kill -9 at any moment, to the same bytes', async () => {
    const out = join(root, 'killed')
    const random = randomStream(1, 'kill')
    let lives = 0
    for (;;) {
      // Checkpoints are written between the lines, so a few lines further is anywhere in between.
      let lines = 4 + random.below(12)
      const life = start('rdm-repro', argv(out, '--json', '--jobs', `${1 + random.below(2)}`), () => {
        if (--lines === 0) life.child.kill('SIGKILL')
      })
      const { code, signal, err } = await life.finished
      expect(err).toBe('')
      lives++
      if (signal === null) {
        expect(code).toBe(0)
        break
      }
    }
    expect(lives).toBeGreaterThan(3)
    expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
  })

  it('goes on when it was killed before a run had its configuration', () => {
    const out = join(root, 'newborn')
    for (const id of ids) cpSync(join(whole, id, 'initial.onnx'), join(out, id, 'initial.onnx'))
    expect(run('rdm-repro', argv(out))).toMatchObject({ code: 0, err: '' })
    expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
  })

  it('stops all jobs on Ctrl-C; no second process comes in before; status tells', async () => {
    const out = join(root, 'stopped')
    let second: Finished | undefined
    let status: Finished | undefined
    const first = start('rdm-repro', argv(out, '--json', '--jobs', '2'), (line) => {
      const { job, step } = JSON.parse(line)
      if (second || job !== 'rdm/seed-1' || step !== 3) return
      // Halted, so that it does not come to its end meanwhile.
      first.child.kill('SIGSTOP')
      second = run('rdm-repro', argv(out))
      status = run('rdm-repro', ['status', out, '--json'])
      first.child.kill('SIGINT')
      first.child.kill('SIGCONT')
    })
    const { code, err } = await first.finished
    expect([code, err]).toEqual([130, 'stopping after the steps in progress; once more to stop at once\n'])
    expect(second).toMatchObject({ code: 2, out: '' })
    expect(second!.err).toBe(
      `rdm-repro: ${out} is in use by process ${first.child.pid}: wait for it, or choose another folder\n`,
    )
    const { jobs } = JSON.parse(status!.out)
    expect(jobs.map(({ job }: { job: string }) => job)).toEqual(ids)
    expect(jobs[1]).toMatchObject({ state: 'running', epochs: 2 })
    expect(jobs[3]).toMatchObject({ state: 'waiting', step: 0, testError: null })
    expect(existsSync(join(out, 'lock'))).toBe(false)
    expect(run('rdm-repro', argv(out))).toMatchObject({ code: 0, err: '' })
    expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
  })
})

describe('status', () => {
  it('says where every job stands', () => {
    const out = join(root, 'part')
    expect(run('rdm-repro', argv(out)).code).toBe(0)
    rmSync(join(out, 'rdm/seed-2'), { recursive: true })
    // As it is before the first checkpoint.
    for (const name of ['checkpoint.safetensors', 'checkpoint.previous.safetensors', 'model.onnx', 'metrics.jsonl'])
      rmSync(join(out, 'plain/seed-2', name))
    const { code, out: text, err } = run('rdm-repro', ['status', out])
    expect([code, err]).toEqual([0, ''])
    const [header, ...rows] = text.split('\n').map(cells)
    expect(header).toEqual(['job', 'state', 'epochs', 'steps', 'test error %', 'folder'])
    expect(rows.slice(0, 4)).toEqual([
      ['plain/seed-1', 'done', '2 of 2', '10', errorOf('plain/seed-1'), join(out, 'plain/seed-1')],
      ['rdm/seed-1', 'done', '2 of 2', '10', errorOf('rdm/seed-1'), join(out, 'rdm/seed-1')],
      ['plain/seed-2', 'stopped', '0 of 2', '0', '-', join(out, 'plain/seed-2')],
      ['rdm/seed-2', 'waiting', '0 of 2', '0', '-', join(out, 'rdm/seed-2')],
    ])
    const alone = errorOf('plain/seed-1')
    expect(rows[6]).toEqual(['plain', '1 of 2', `${alone} (${alone})`, '-', join(out, 'plain')])
  })

  it('--watch ends when all is done', async () => {
    const out = join(root, 'watched')
    mkdirSync(out)
    cpSync(join(whole, 'plan.json'), join(out, 'plan.json'))
    const watching = start('rdm-repro', ['status', out, '--watch', '0.05', '--json'], (line) => {
      // What it sees first is that nothing has begun.
      if (JSON.parse(line).jobs.every(({ state }: { state: string }) => state === 'waiting'))
        for (const name of ['plain', 'rdm']) cpSync(join(whole, name), join(out, name), { recursive: true })
    })
    const { code, out: text, err } = await watching.finished
    expect([code, err]).toEqual([0, ''])
    const looks = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(looks.length).toBeGreaterThan(1)
    expect(looks.at(-1).jobs.map(({ state }: { state: string }) => state)).toEqual(['done', 'done', 'done', 'done'])
  })
})

describe('a job that fails', () => {
  it('does not stop the others; the exit code is then 2', () => {
    const out = join(root, 'failing')
    mkdirSync(join(out, 'rdm'), { recursive: true })
    writeFileSync(join(out, 'rdm', 'seed-1'), 'no folder')
    const { code, out: text, err } = run('rdm-repro', argv(out))
    const reason = `cannot create the run folder ${join(out, 'rdm/seed-1')}`
    expect(code).toBe(2)
    expect(err).toContain(`rdm/seed-1: failed: ${reason}`)
    expect(err).toMatch(/rdm-repro: 1 of 4 jobs failed: rdm\/seed-1\n$/)
    const rows = text.trimEnd().split('\n').slice(-2).map(cells)
    expect(rows.map((row) => row[1])).toEqual(['2 of 2', '1 of 2'])
    for (const id of ids.filter((name) => name !== 'rdm/seed-1')) expect(bytesOf(out, id)).toEqual(bytesOf(whole, id))
  })
})

describe('is refused', () => {
  const refused = (argv: readonly string[], message: string | RegExp) => {
    const { code, out, err } = run('rdm-repro', argv)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/^rdm-repro: [^\n]+\n$/)
    expect(err.slice('rdm-repro: '.length, -1)).toMatch(message)
  }

  it.each([
    [
      'another batch',
      ['batch: 8', 'batch: 4'],
      /holds another experiment: plain has begun with batch-size 8, not 4; choose another folder with --out$/,
    ],
    ['fewer epochs', ['epochs: 2', 'epochs: 1'], 'plain has begun with 2 epochs, and 1 are fewer'],
    ['another network', ['functions: [11, 01]', 'functions: [11, 11]'], 'rdm has begun with another architecture'],
    ['a seed less', ['1..2', '2..3'], "plain/seed-1 of its plan 'tiny' has begun and is not in 'tiny'"],
  ])('the folder of another plan: %s', (_, [from, to]: string[], message) => {
    const before = bytesOfAll(whole)
    const other = planFile(planText.replace(from!, to!))
    refused([other, '--data', data, '--out', whole, ...settings], message)
    expect(bytesOfAll(whole)).toEqual(before)
  })

  it('the folder of a run, other data, and data that do not fit', () => {
    refused(argv(join(whole, 'rdm/seed-1')), 'holds runs of rdm-fit (config.json): choose another folder with --out')
    const others = join(root, 'others')
    expect(run('rdm-data', ['synth', others, '--train', '40', '--test', '20', '--seed', '9']).code).toBe(0)
    refused([plan, '--data', others, '--out', whole, ...settings], `its runs see other data (${data})`)
    const many = planFile(planText.replace('name: rdm', 'name: rdm, classes: 100'))
    refused(
      [many, '--data', data, '--out', join(root, 'never')],
      "rdm: the model has 100 classes, the column 'labels' of the data has 10",
    )
    expect(existsSync(join(root, 'never'))).toBe(false)
  })

  it('a provider that is not there, once for all jobs', () => {
    const out = join(root, 'gpu')
    const one = planFile(`${planText.replace('1..2', '1')}`.replace('batch', 'steps: 1\nbatch'))
    const { code, out: text, err } = run('rdm-repro', [one, '--data', data, '--out', out, '--ep', 'cuda'])
    // Where there is a GPU, they are trained.
    if (code === 0) return
    expect([code, text]).toEqual([2, ''])
    expect(err).toMatch(/^rdm-repro: the execution provider "cuda" is not available: [^\n]+\n$/)
    expect(existsSync(out)).toBe(false)
  })

  it('no data, no plan, no experiment', () => {
    refused([plan], 'which data? Give their folder with --data')
    refused(
      [planFile(planText.replace('epochs: 2', 'epochs: -1')), '--data', data],
      /tiny\.yaml:3: epochs: Expected a whole/,
    )
    refused(['status', root], `${root} holds no experiment (no plan.json): give the folder that rdm-repro writes to`)
    const broken = join(root, 'broken')
    mkdirSync(broken)
    writeFileSync(join(broken, 'plan.json'), '{')
    refused(argv(broken), /plan\.json is damaged: .*; delete it to go on with the plan that made it$/)
    writeFileSync(join(broken, 'plan.json'), '{"format":"rdm-onnx experiment 2"}')
    refused(['status', broken], /plan\.json is damaged: format: .*; delete it to go on with the plan that made it$/)
  })
})

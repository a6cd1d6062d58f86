// rdm-fit --seeds as a user runs it: what it prints and leaves, stopped and taken up again, with a run that fails.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { spreadLine } from '../../src/cli/seeds.js'
import { seedList } from '../../src/study/text.js'
import { exportTiny, type Finished, run, start, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-seeds-'))
afterAll(() => rmSync(root, { recursive: true }))

let model: string
let data: string
/** Seeds 1 to 3 for 2 epochs of 5 steps, two at a time, and what was printed. */
const whole = join(root, 'whole')
let finished: Finished

const settings = ['--batch', '8', '--epochs', '2', '--lr', '0:0.01,1:0.05', '--threads', '1']

beforeAll(() => {
  data = synthesizeTiny(root)
  model = exportTiny(root)
  const argv = [model, '--data', data, '--out', whole, '--seeds', '1..3', '--jobs', '2', ...settings]
  finished = run('rdm-fit', argv)
})

/** Every byte of a run that must not depend on time. */
const bytesOf = (folder: string) =>
  Object.fromEntries(
    ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx'].map(
      (name) => [name, readFileSync(join(folder, name), 'latin1')],
    ),
  )
const seedsOf = (out: string) => [1, 2, 3].map((seed) => bytesOf(join(out, `seed-${seed}`)))
const summaryOf = (out: string) => readFileSync(join(out, 'summary.json'), 'utf8')

/** As the table says it. */
const errorOf = (out: string, seed: number): string => {
  const last = readFileSync(join(out, `seed-${seed}`, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .at(-1)!
  return (JSON.parse(last).testError * 100).toFixed(2)
}
const cells = (line: string) => line.trim().split(/ {2,}/)

describe('--seeds', () => {
  it('prints the lines of each run, and at the end a table and the median', () => {
    expect(finished.code).toBe(0)
    expect(finished.err).toMatch(/^(timing \d+ convolutions on this machine, once\n)*$/)
    const lines = finished.out.trimEnd().split('\n')
    for (const seed of [1, 2, 3]) {
      const own = lines.filter((line) => line.startsWith(`seed ${seed}: `))
      expect(own).toHaveLength(3)
      expect(own[1]).toMatch(/^seed \d: epoch 2\/2, lr 0\.05: training loss \d\.\d{4}, error \d+\.\d\d %; test loss /)
      expect(own[2]).toMatch(/^seed \d: finished after 10 steps: test error \d+\.\d\d %; the trained model is /)
    }
    const [header, ...rows] = lines.slice(9)
    expect(cells(header!)).toEqual(['seed', 'test error %', 'folder'])
    expect(rows.slice(0, 3).map(cells)).toEqual(
      [1, 2, 3].map((seed) => [`${seed}`, errorOf(whole, seed), join(whole, `seed-${seed}`)]),
    )
    const middle = [1, 2, 3].map((seed) => errorOf(whole, seed)).sort((a, b) => Number(a) - Number(b))[1]
    expect(rows[3]).toMatch(new RegExp(`^median ${middle} % \\(\\d+\\.\\d\\d ± \\d+\\.\\d\\d %\\)$`))
    expect(rows).toHaveLength(4)
  })

  it('trains each as rdm-fit --seed does from the same first weights', () => {
    const out = join(root, 'alone', 'seed-2')
    const initial = join(whole, 'seed-2', 'initial.onnx')
    expect(run('rdm-fit', [initial, '--data', data, '--out', out, '--seed', '2', ...settings]).code).toBe(0)
    expect(bytesOf(out)).toEqual(bytesOf(join(whole, 'seed-2')))
  })

  it('is an object a line with --json, the summary last', () => {
    const out = join(root, 'json')
    const argv = [model, '--data', data, '--out', out, '--seeds', '1,2..3', '--jobs', '3', ...settings, '--json']
    const { code, out: text, err } = run('rdm-fit', argv)
    expect([code, err]).toEqual([0, ''])
    const events = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const { format: _, ...summary } = JSON.parse(summaryOf(whole))
    expect(events.at(-1)).toEqual({ event: 'summary', ...summary })
    const steps = events.filter(({ event }) => event === 'step').map(({ seed }) => seed)
    expect(steps.sort()).toEqual([1, 2, 3].flatMap((seed) => new Array(10).fill(seed)))
    expect(seedsOf(out)).toEqual(seedsOf(whole))
  })

  it('stops all runs on Ctrl-C, and --resume goes on with them to the same bytes', async () => {
    const out = join(root, 'stopped')
    const argv = [model, '--data', data, '--out', out, '--seeds', '1..3', '--jobs', '2', ...settings, '--json']
    const running = start('rdm-fit', argv, (line) => {
      const { seed, step } = JSON.parse(line)
      if (seed === 2 && step === 6) running.child.kill('SIGINT')
    })
    const { code, out: text, err } = await running.finished
    expect({ code, err }).toEqual({
      code: 130,
      err: 'stopping after the steps in progress; once more to stop at once\n',
    })
    const { runs } = JSON.parse(text.trimEnd().split('\n').at(-1)!)
    expect(runs).toHaveLength(3)
    expect(runs[1]).toMatchObject({ seed: 2, end: expect.stringMatching(/interrupted|finished/) })
    expect(existsSync(join(out, 'lock'))).toBe(false)
    const rest = run('rdm-fit', ['--resume', '--out', out])
    expect(rest).toMatchObject({ code: 0, err: '' })
    expect(rest.out).toMatch(/^median /m)
    expect(seedsOf(out)).toEqual(seedsOf(whole))
    expect(summaryOf(out)).toBe(summaryOf(whole))
  })

  it('goes on after kill -9', async () => {
    const out = join(root, 'killed')
    const argv = [model, '--data', data, '--out', out, '--seeds', '1..3', ...settings]
    const running = start('rdm-fit', [...argv, '--json'], (line) => {
      const { seed, step } = JSON.parse(line)
      if (seed === 2 && step === 7) running.child.kill('SIGKILL')
    })
    expect(await running.finished).toMatchObject({ signal: 'SIGKILL' })
    const { code } = run('rdm-fit', ['--resume', '--out', out, '--seeds', '1..3'])
    expect(code).toBe(0)
    expect(seedsOf(out)).toEqual(seedsOf(whole))
    expect(summaryOf(out)).toBe(summaryOf(whole))
  })

  it('ends with 2 when a run fails; the others are trained and summed up', () => {
    const out = join(root, 'failing')
    mkdirSync(out)
    writeFileSync(join(out, 'seed-1'), 'no folder')
    const failing = run('rdm-fit', [model, '--data', data, '--out', out, '--seeds', '1..3', ...settings])
    expect(failing.code).toBe(2)
    const reason = `cannot create the run folder ${join(out, 'seed-1')}`
    expect(failing.err).toContain(`seed 1: failed: ${reason}`)
    expect(failing.err).toMatch(/rdm-fit: 1 of 3 runs failed: seed 1\n$/)
    const lines = failing.out.trimEnd().split('\n').slice(-4)
    expect(lines[0]).toMatch(/^ *1 {2}- /)
    expect(lines[0]).toContain(`failed: ${reason}`)
    expect(cells(lines[2]!)).toEqual(['3', errorOf(whole, 3), join(out, 'seed-3')])
    expect(lines[3]).toMatch(/^median \d+\.\d\d % \(\d+\.\d\d ± \d+\.\d\d %\) over 2 of 3 runs$/)
  })
})

describe('bad input', () => {
  const fresh = join(root, 'fresh')
  it.each<[string, () => string[], string | RegExp]>([
    [
      'no numbers',
      () => ['--seeds', '1..x'],
      /argument '1\.\.x' is invalid\. "1\.\.x" is no seed and no range of seeds/,
    ],
    ['--seed as well', () => ['--seeds', '1..3', '--seed', '1'], /--seed is for one run, and these are several/],
    ['--jobs of one run', () => ['--jobs', '2'], '--jobs is for several runs: say which with --seeds'],
    ['no jobs', () => ['--seeds', '1..3', '--jobs', '0'], /Expected a whole number from 1 to 1024/],
    ['nothing to resume', () => ['--seeds', '1..3', '--resume'], /holds no runs to resume: leave out --resume/],
    ['--explain', () => ['--seeds', '1', '--explain'], /--explain trains nothing: leave out --(out|seeds)/],
  ])('is refused: %s', (_, argv, message) => {
    const { code, out, err } = run('rdm-fit', [model, '--data', data, '--out', fresh, ...argv()])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/^rdm-fit: [^\n]+\n$/)
    expect(err.slice('rdm-fit: '.length, -1)).toMatch(message)
    expect(existsSync(fresh)).toBe(false)
  })

  it('is refused once for all runs: a provider that is not there', () => {
    const argv = [model, '--data', data, '--out', fresh, '--seeds', '1..3', '--ep', 'cuda', '--steps', '1']
    const { code, out, err } = run('rdm-fit', argv)
    // Where there is a GPU, they are trained.
    if (code === 0) return rmSync(fresh, { recursive: true })
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^rdm-fit: the execution provider "cuda" is not available: [^\n]+\n$/)
    expect(existsSync(fresh)).toBe(false)
  })

  it('is refused: --seed of runs that have their own', () => {
    const { code, err } = run('rdm-fit', ['--resume', '--out', whole, '--seed', '4'])
    expect([code, err]).toEqual([2, 'rdm-fit: --seed is for one run, and these are several: leave it out\n'])
  })
})

describe('seeds as text', () => {
  it.each([
    ['7', [7]],
    ['1..5', [1, 2, 3, 4, 5]],
    ['9, 1 .. 3', [1, 2, 3, 9]],
    ['4..4,0', [0, 4]],
  ])('%s', (text, seeds) => {
    expect(seedList.parse(text)).toEqual(seeds)
  })

  it.each([
    ['', '"" is no seed and no range of seeds'],
    ['1,,2', '"" is no seed and no range of seeds'],
    ['-1', '"-1" is no seed'],
    ['1.5', '"1.5" is no seed'],
    ['1...5', '"1...5" is no seed'],
    ['5..1', 'the range 5..1 ends before it begins: write 1..5'],
    ['1..3,2', 'the seed 2 is there twice'],
    ['0..99999999999', '0..99999999999 are more than 1000 runs: give fewer seeds'],
    ['1..600,1001..1600', '1..600,1001..1600 are more than 1000 runs: give fewer seeds'],
  ])('%j is refused', (text, message) => {
    const { success, error } = seedList.safeParse(text)
    expect(success).toBe(false)
    expect(error!.issues.map((issue) => issue.message)).toEqual([expect.stringContaining(message)])
  })
})

it('gives one run its error, and no deviation', () => {
  const alone = { seed: 4, end: 'finished', step: 5, epochs: 1, testError: 0.0812 } as const
  const testError = { median: 0.0812, mean: 0.0812, std: null }
  expect(spreadLine({ runs: [alone], testError })).toBe('median 8.12 % (8.12 %)\n')
  expect(spreadLine({ runs: [{ ...alone, testError: null }], testError: null })).toMatch(/^no run has come to its end/)
})

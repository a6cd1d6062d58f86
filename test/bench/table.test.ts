// `npm run bench` at small size: it starts every target of ours, compares their losses, prints the table and draws it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const bench = (name: string) => join(import.meta.dirname, '../../bench', name)
const piece = (name: string) => import(/* @vite-ignore */ bench(`${name}.mjs`))

test('our steps, by all targets of a CPU and the one for a GPU', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-bench-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const names = ['ours portable', 'ours ort-cpu', 'ours ort-cuda']
  const size = ['--networks', 'tiny', '--batch', '8', '--threads', '1', '--rounds', '1', '--starts', '1']
  const argv = [bench('table.mjs'), ...size, '--contestants', names.join(';')]
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    encoding: 'utf8',
    env: { ...process.env, RESULTS: folder },
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const name of names)
    expect(stdout).toMatch(new RegExp(`^ +${name} +losses 2\\.\\d+ 2\\.\\d+ 2\\.\\d+, off by \\d`, 'm'))
  expect(stdout).toMatch(/ms a step +quartiles +× ours +GFLOP\/s +peak memory/)
  const { machine, networks } = JSON.parse(readFileSync(join(folder, 'table.json'), 'utf8'))
  expect(machine.cores).toBeGreaterThan(0)
  expect(networks[0].results.map(({ name }: { name: string }) => name)).toEqual(names)
  expect(readFileSync(join(folder, 'table.svg'), 'utf8')).toContain('tiny, batch 8')
})

test.each([
  ['--networks', 'lenet', "no network is called 'lenet'; there are rdm56; rdm83; "],
  ['--contestants', 'jax', "no contestant is called 'jax'; there are ours portable; ours ort-cpu; "],
  ['--contestants', 'ours ort-cpu', "'ours portable' comes first: the others are checked against it"],
])('%s %s', (option, value, message) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bench('table.mjs'), option, value], {
    encoding: 'utf8',
  })
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^[^\n]+\n$/)
  expect(stderr).toContain(message)
})

test('what is asked is compared with the fastest of the others, memory with the leanest', async () => {
  const { verdicts } = await piece('goals')
  const results = [
    { name: 'ours portable', median: 200, peakBytes: 100 },
    { name: 'ours ort-cpu', median: 100, peakBytes: 120 },
    { name: 'torch contiguous', median: 130, peakBytes: 200 },
    { name: 'torch channels_last', median: 90, peakBytes: 300 },
    { name: 'onnxsim', failed: 'it has no rule' },
    { name: 'page: ours', median: 400 },
    { name: 'page: tfjs', median: 10_000 },
  ]
  const goals = { torch: 1, onnxsim: 5, 'page: tfjs': 50, memory: 0.7, firstStep: 2, untuned: 6 }
  const measured = { results, firstStep: { seconds: [3, 1, 2] } }
  expect(verdicts(goals, measured)).toEqual([
    { what: '× as fast as torch', got: 0.9, must: 1, reached: false },
    { what: '× as fast as page: tfjs', got: 25, must: 50, reached: false },
    { what: "memory, of PyTorch's", got: 0.6, must: 0.7, reached: true },
    { what: 'first step, s', got: 2, must: 2, reached: true },
  ])
})

test('who has used up its time sits out, but for one step', async () => {
  const { takeTurns } = await piece('contestants')
  const contestant = (ms: number) => ({ contestant: { turn: async () => ms }, ms: [] as number[] })
  const [quick, slow, endless] = [contestant(10), contestant(40), contestant(1000)]
  await takeTurns([quick, slow, endless], 5, { budget: 100 })
  expect([quick, slow, endless].map(({ ms }) => ms.length)).toEqual([5, 2, 1])
})

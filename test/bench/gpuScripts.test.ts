// The scripts for an NVIDIA GPU, at small size on the CPU provider.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exportTiny, run, synthesizeTiny } from '../cli/support.js'

const bench = (name: string) => join(import.meta.dirname, '../../bench', name)
const newFolder = () => mkdtempSync(join(tmpdir(), 'rdm-gpu-'))

test('all ways to write a piece of the step compute the same', () => {
  const small = ['--ep', 'cpu', '--small', '--types', 'float32']
  const { stdout, stderr } = spawnSync(process.execPath, [bench('gpuLowerings.mjs'), ...small], { encoding: 'utf8' })
  expect(stderr).toBe('')
  const [, ...rows] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(rows.length).toBeGreaterThan(200)
  expect(rows.filter(({ wrong }) => wrong)).toEqual([])
  // The CPU provider has no such operator.
  const refused = new Set(rows.filter(({ refused }) => refused).map(({ candidate }) => candidate))
  expect([...refused]).toEqual(['NhwcConv, x and w in NHWC'])
})

test('bench/gpu.sh goes on after a part that fails, and writes each part', () => {
  const results = newFolder()
  const options = ['--ep', 'cpu', '--small', '--parts', 'machine,step-rdm56']
  // A Python without PyTorch.
  const env = { ...process.env, PYTHON: 'false', RESULTS: results }
  const { status, stdout } = spawnSync(bench('gpu.sh'), options, { encoding: 'utf8', env })
  expect(status).toBe(0)
  const report = (name: string) => JSON.parse(readFileSync(join(results, `gpu-${name}.json`), 'utf8'))
  expect(report('machine').python.failed).toBeTypeOf('string')
  expect(report('step-rdm56').results).toMatchObject([
    { name: 'ours fp32', verdict: 'timed', stepsPerRun: 2 },
    { name: 'ours fp16', verdict: 'timed', stepsPerRun: 2 },
    { name: 'torch eager fp32', verdict: expect.stringMatching(/^failed/) },
    { name: 'torch channels_last autocast', verdict: expect.stringMatching(/^failed/) },
  ])
  expect(stdout).toContain('a training step of RDM-56')
})

const tiny = { EP: 'cpu', BATCH: '8', LR: '0.01', THREADS: '1' }

test('bench/gpu-train.sh, stopped and called again, ends in the bytes of a run that was not', async () => {
  const [sliced, whole] = [newFolder(), newFolder()]
  const data = synthesizeTiny(sliced)
  const model = exportTiny(sliced)
  const env = { ...process.env, ...tiny, DATA: data, EPOCHS: '12' }
  const state = join(sliced, 'run')
  const first = spawn(bench('gpu-train.sh'), [state, '600', model], { env })
  let out = ''
  first.stdout.on('data', (text) => {
    out += text
    if (`${text}`.startsWith('epoch 2:')) first.kill('SIGTERM')
  })
  const code = await new Promise((resolve) => first.on('close', resolve))
  expect(code).toBe(130)
  expect(out).toMatch(/step \d+ of 60, \d+ of 12 epochs; test error .* remain/)

  const { status, stdout } = spawnSync(bench('gpu-train.sh'), [state, '600'], { env, encoding: 'utf8' })
  expect(status).toBe(0)
  expect(stdout).toMatch(/finished: test error \d+\.\d\d % after 12 epochs\n.* holds 0\.\d MB, within 60 MB\n$/)

  const options = [
    '--ep',
    'cpu',
    '--target',
    'ort-cuda',
    '--batch',
    '8',
    '--lr',
    '0.01',
    '--threads',
    '1',
    '--epochs',
    '12',
  ]
  expect(run('rdm-fit', [model, '--data', data, '--out', join(whole, 'run'), ...options]).code).toBe(0)
  for (const name of ['model.onnx', 'metrics.jsonl', 'checkpoint.safetensors', 'curves.svg']) {
    expect(readFileSync(join(state, name)).equals(readFileSync(join(whole, 'run', name))), name).toBe(true)
  }
})

test('bench/gpu-train.sh stops by itself, with what the next slice needs', () => {
  const folder = newFolder()
  const env = { ...process.env, ...tiny, DATA: synthesizeTiny(folder), EPOCHS: '100000' }
  const state = join(folder, 'run')
  const argv = [state, '5', exportTiny(folder)]
  const { status, stdout } = spawnSync(bench('gpu-train.sh'), argv, { env, encoding: 'utf8' })
  expect(status).toBe(0)
  expect(stdout).toMatch(/step \d+ of 500000, \d+ of 100000 epochs; /)
  expect(existsSync(join(state, 'config.json'))).toBe(true)
  expect(existsSync(join(state, 'lock'))).toBe(false)
  expect(existsSync(join(state, 'model.onnx'))).toBe(false)
})

test('bench/gpu-train.sh refuses what does not fit in one line', () => {
  const refusal = (...argv: string[]) => {
    const { status, stderr } = spawnSync(bench('gpu-train.sh'), argv, {
      encoding: 'utf8',
      env: { ...process.env, DATA: tmpdir() },
    })
    return { status, stderr }
  }
  expect(refusal()).toEqual({ status: 2, stderr: 'usage: gpu-train.sh STATE_FOLDER SECONDS [network or model file]\n' })
  expect(refusal(newFolder(), 'soon')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("from 5, not 'soon'"),
  })
  expect(refusal(newFolder(), '60', 'rdm57')).toMatchObject({ status: 2, stderr: expect.stringContaining("'rdm57'") })
})

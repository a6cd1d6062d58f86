// rdm-fit --runtime web-training as a user runs it: killed and taken up again, gone on with elsewhere, evaluated, explained,
// and without the package.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exportTiny, run, start, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-fit-web-'))
afterAll(() => rmSync(root, { recursive: true }))

let model: string
let data: string
const whole = join(root, 'whole', 'run')
const web = ['--runtime', 'web-training', '--threads', '1']
const settings = ['--batch', '8', '--epochs', '2', '--lr', '0:0.01,1:0.05', '--checkpoint-seconds', '0', ...web]

beforeAll(() => {
  data = synthesizeTiny(root)
  model = exportTiny(root, '--functions', '11,01', '--stochastic-depth', '0.5')
})

const read = (folder: string, name: string) => readFileSync(join(folder, name), 'latin1')
const bytesOf = (folder: string) =>
  ['checkpoint.safetensors', 'config.json', 'curves.svg', 'metrics.jsonl', 'model.onnx'].map((name) =>
    read(folder, name),
  )

it('trains by the kernels of the build, and ends in the same bytes when it is killed on the way', async () => {
  const { code, out, err } = run('rdm-fit', [model, '--data', data, '--out', whole, ...settings])
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/\nfinished after 10 steps: test error /)
  const { config, plan } = JSON.parse(read(whole, 'config.json'))
  expect(config).toMatchObject({ runtime: 'web-training', target: 'auto', threads: 1 })
  expect(plan).toEqual({ target: 'ort-training' })
  const { versions, ...timing } = JSON.parse(read(whole, 'timing.jsonl').split('\n')[0]!)
  expect(timing).toMatchObject({ target: 'ort-training', threads: 1 })
  expect(Object.keys(versions).sort()).toEqual(['node', 'onnxruntime-web', 'rdm-onnx'])

  const killed = join(root, 'killed', 'run')
  const running = start('rdm-fit', [model, '--data', data, '--out', killed, ...settings, '--json'], (line) => {
    if (JSON.parse(line).step === 6) running.child.kill('SIGKILL')
  })
  expect(await running.finished).toMatchObject({ signal: 'SIGKILL' })
  expect(run('rdm-fit', ['--resume', '--out', killed])).toMatchObject({ code: 0, err: '' })
  expect(bytesOf(killed)).toEqual(bytesOf(whole))
})

it('is evaluated in the same runtime to the same numbers', () => {
  const argv = [join(whole, 'model.onnx'), '--data', data, '--json']
  const evaluated = JSON.parse(run('rdm-eval', [...argv, ...web]).out)
  const { testLoss, testError } = JSON.parse(read(whole, 'metrics.jsonl').trimEnd().split('\n').at(-1)!)
  expect(evaluated).toMatchObject({ loss: testLoss, error: testError })
  const elsewhere = JSON.parse(run('rdm-eval', argv).out)
  expect(elsewhere.loss).toBeCloseTo(testLoss, 4)
})

it('goes on in another runtime, by what is fastest there', () => {
  const moved = join(root, 'moved')
  cpSync(whole, moved, { recursive: true })
  const { code, out } = run('rdm-fit', ['--resume', '--out', moved, '--runtime', 'node', '--epochs', '3'])
  expect(code).toBe(0)
  expect(out).toMatch(/^going on from step 10 of 15\n/)
  const { config, plan } = JSON.parse(read(moved, 'config.json'))
  expect(config).toMatchObject({ runtime: 'node', epochs: 3 })
  expect(plan.target).toBe('ort-cpu')
})

it('--explain counts the kernels, --profile has nothing to read', () => {
  const { code, out } = run('rdm-fit', [model, '--explain', ...web])
  expect(code).toBe(0)
  expect(out).toMatch(
    /^target ort-training: one way for every machine, nothing to choose; of \d+ nodes of a step these/,
  )
  const explained = JSON.parse(run('rdm-fit', [model, '--explain', '--json', ...web]).out)
  // The second and the third stage begin with a stride in each of their two functions.
  expect(explained.kernels).toMatchObject({ ConvGrad: 4, SoftmaxCrossEntropyLossInternal: 1 })
  expect(explained.nodes).toBeGreaterThan(200)
  for (const [kernel, count] of Object.entries(explained.kernels))
    expect(out).toMatch(new RegExp(`^${kernel} +${count}$`, 'm'))
  expect(run('rdm-fit', [model, '--profile', '--data', data, ...web])).toMatchObject({
    code: 2,
    out: '',
    err: "rdm-fit: --profile reads what ONNX Runtime's profiler writes, and --runtime web-training has none: leave out one of them\n",
  })
  expect(run('rdm-eval', [model, '--data', data, '--ep', 'cuda', ...web])).toMatchObject({
    code: 2,
    out: '',
    err: 'rdm-eval: --ep cuda is for --runtime node, not web-training: leave out one of them\n',
  })
})

describe('without onnxruntime-web', () => {
  /** The project with all that it depends on but that. */
  const bare = join(root, 'bare')
  beforeAll(() => {
    const project = fileURLToPath(new URL('../..', import.meta.url))
    mkdirSync(join(bare, 'node_modules'), { recursive: true })
    for (const name of ['bin', 'dist', 'tools', 'package.json', 'tsconfig.json', 'tsconfig.build.json'])
      cpSync(join(project, name), join(bare, name), { recursive: true, preserveTimestamps: true })
    for (const name of readdirSync(join(project, 'node_modules')))
      if (!name.startsWith('onnxruntime-web'))
        symlinkSync(join(project, 'node_modules', name), join(bare, 'node_modules', name))
  })

  it.each<[string, string, () => string[]]>([
    ['a run', 'rdm-fit', () => [model, '--data', data, '--out', join(root, 'none'), ...web]],
    ['by the portable step', 'rdm-fit', () => [model, '--explain', '--target', 'portable', ...web]],
    [
      'several runs',
      'rdm-fit',
      () => [model, '--data', data, '--out', join(root, 'several'), '--seeds', '1,2', ...web],
    ],
    ['an evaluation', 'rdm-eval', () => [model, '--data', data, ...web]],
  ])('%s says what to install', (_, command, argv) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(bare, 'bin', `${command}.js`), ...argv()], {
      encoding: 'utf8',
    })
    expect([status, stdout, stderr]).toEqual([
      2,
      '',
      `${command}: --runtime web-training needs onnxruntime-web 1.19.2, the last with a training build, and it is not installed: ` +
        'npm install onnxruntime-web-training@npm:onnxruntime-web@1.19.2\n',
    ])
  })
})

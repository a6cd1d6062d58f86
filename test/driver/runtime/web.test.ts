// The training build of onnxruntime-web behind the sessions: the same steps as onnxruntime-node takes, what it refuses, and
// threads that end.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { openSession, openTrainingSession, portable, type Tensors, UserError } from 'rdm-onnx'
import { expect, it, onTestFinished } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { apply1, input } from '../../../src/core/graph/value.js'
import { relu } from '../../../src/core/ops/index.js'
import { findWebBuild } from '../../../src/driver/runtime/webBuild.js'
import { BatchNormalizationGrad } from '../../../src/driver/targets/ort-training/kernels.js'
import { modelOf } from '../../support/runtime.js'
import { float32, tinyModel } from '../../support/tinyModel.js'

const model = tinyModel()
const bytes = model.step(portable)
const web = { runtime: 'web-training', threads: 1 } as const

const feeds = (count: number): Tensors => ({
  images: {
    dtype: 'uint8',
    shape: [count, 3, 8, 8],
    data: Uint8Array.from({ length: count * 192 }, (_, i) => (i * 37) % 256),
  },
  labels: { dtype: 'int64', shape: [count], data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 10)) },
  learning_rate: float32([], [0.1]),
})

it('carries the state from step to step, whatever the size of the batch, and keeps it when a step fails', async () => {
  const { state, signature } = model
  const losses: number[][] = []
  const states: Tensors[] = []
  for (const settings of [{ runtime: 'node', threads: 1 } as const, { ...web, threads: 2 }]) {
    const session = await openTrainingSession({
      models: () => bytes,
      batch: 16,
      state,
      carried: signature.updates,
      ...settings,
    })
    onTestFinished(() => session.close())
    const steps: number[] = []
    for (const count of [16, 16, 5, 16]) steps.push(Number((await session.step(feeds(count), count)).loss!.data[0]))
    losses.push(steps)
    states.push(await session.readState())
    await expect(session.step({ ...feeds(16), images: feeds(3).images! }, 16)).rejects.toThrow(
      / cannot run the model: /,
    )
    expect(await session.readState()).toEqual(states.at(-1))
  }
  losses[0]!.forEach((loss, i) => {
    expect(losses[1]![i]).toBeCloseTo(loss, 5)
  })
  for (const [name, { data }] of Object.entries(states[0]!))
    [...data].forEach((value, i) => {
      expect(Number(states[1]![name]!.data[i])).toBeCloseTo(Number(value), 5)
    })
  // The state that it was given is still the caller's, untouched.
  expect(model.state['w.momentum']!.data.every((value) => value === 0)).toBe(true)
})

it('says what goes wrong on one line', async () => {
  const session = await openSession(bytes, web)
  onTestFinished(() => session.close())
  expect(session.inputs[0]).toEqual({ name: 'images', dtype: 'uint8', shape: ['batch', 3, 8, 8] })
  expect(session.outputs.find(({ name }) => name === 'loss')).toEqual({ name: 'loss', dtype: 'float32', shape: [] })
  await expect(session.run({})).rejects.toThrow(/^onnxruntime-web cannot run the model: input 'images' is missing/)
  const refusal = async (given: Uint8Array) => {
    const error = await session.replace(given).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(UserError)
    return (error as Error).message
  }
  const x = input('x', 'float32', [2, 3])
  const vector = input('v', 'float32', [3])
  expect(await refusal(new Uint8Array([1, 2, 3]))).toMatch(/^this is not an ONNX model \([^\n]+$/)
  const unknown = { ...BatchNormalizationGrad, name: 'NoSuchKernel' }
  const grads = (operator: typeof unknown, epsilon: number) =>
    modelOf(graph('g', [x, vector], { y: apply1(operator, [x, x, vector, vector, vector], { epsilon }) }), 'functions')
  expect(await refusal(grads(unknown, 1))).toMatch(
    /^onnxruntime-web refuses the model: .*com\.microsoft:NoSuchKernel\(-1\) is not a registered function\/op[^\n]*$/,
  )
  // Its kernel throws without a word when the attribute is not written, as it is not where it has its default.
  const mute = {
    ...BatchNormalizationGrad,
    attributes: { epsilon: { kind: 'float', optional: false, default: 1 } },
  } as const
  expect(await refusal(grads(mute as never, 1))).toBe(
    'onnxruntime-web refuses the model: it ended without a reason; WebAssembly has 4 GiB of memory at most, so try a smaller batch',
  )
  expect(await session.replace(modelOf(graph('g', [x], { y: relu(x) }), 'functions'))).toBe(undefined)
})

it('keeps no process alive, closed or not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-web-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'relu.onnx')
  const x = input('x', 'float32', [2])
  writeFileSync(path, modelOf(graph('g', [x], { y: relu(x) }), 'functions'))
  const script = join(folder, 'script.mjs')
  writeFileSync(
    script,
    `import { readFileSync } from 'node:fs'
    const { openSession } = await import(${JSON.stringify(new URL('../../../dist/src/index.js', import.meta.url).href)})
    const settings = { runtime: 'web-training', threads: 3 }
    const sessions = [0, 1].map(() => openSession(readFileSync(${JSON.stringify(path)}), settings))
    const [closed, open] = await Promise.all(sessions)
    const feeds = { x: { dtype: 'float32', shape: [2], data: Float32Array.of(-1, 2) } }
    for (const session of [closed, open]) console.log((await session.run(feeds)).y.data.join())
    await closed.close()`,
  )
  const child = spawn(process.execPath, [script])
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (printed += text))
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect([code, printed]).toEqual([0, '0,2\n0,2\n'])
})

it('says what to install', () => {
  const root = mkdtempSync(join(tmpdir(), 'rdm-web-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  /** A project with these packages: its address, and where their files are. */
  const project = (name: string, packages: Readonly<Record<string, string>>) => {
    const folder = join(root, name)
    const dist = (installed: string) => join(folder, 'node_modules', installed, 'dist')
    for (const [installed, version] of Object.entries(packages)) {
      mkdirSync(dist(installed), { recursive: true })
      writeFileSync(join(dist(installed), 'main.js'), '')
      writeFileSync(join(dist(installed), '..', 'package.json'), JSON.stringify({ version, main: 'dist/main.js' }))
    }
    return { from: pathToFileURL(join(folder, 'module.js')).href, dist }
  }
  const refusal = (found: string) =>
    `--runtime web-training needs onnxruntime-web 1.19.2, the last with a training build, and ${found} installed: ` +
    'npm install onnxruntime-web-training@npm:onnxruntime-web@1.19.2'
  expect(() => findWebBuild(project('none', {}).from)).toThrow(new UserError(refusal('it is not')))
  const current = project('current', { 'onnxruntime-web': '1.30.0' })
  expect(() => findWebBuild(current.from)).toThrow(new UserError(refusal('1.30.0 is')))
  // Under its own name, where a project has no other.
  const alone = project('alone', { 'onnxruntime-web': '1.19.2' })
  expect(findWebBuild(alone.from)).toBe(alone.dist('onnxruntime-web'))
  const beside = project('beside', { 'onnxruntime-web': '1.30.0', 'onnxruntime-web-training': '1.19.2' })
  expect(findWebBuild(beside.from)).toBe(beside.dist('onnxruntime-web-training'))
  const here = new URL('../../../node_modules/onnxruntime-web-training/dist', import.meta.url)
  expect(findWebBuild()).toBe(fileURLToPath(here))
})

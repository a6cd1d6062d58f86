// ONNX Runtime's last training builds: the one for the web, on the test's own thread, and Python's, in a process of its own.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DType, type Numbers, narrow, numbers, widen } from '../../src/core/graph/tensor.js'
import { load } from '../../src/driver/runtime/ortWeb.js'
import type { Tensors } from './runtime.js'

export const rootFile = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
/** Where Python's build is installed (test/support/ortTraining.sh). */
export const python = rootFile('.venv/ort-training/bin/python')
/** Whether tests that need it run: where it is installed, and always in CI, where they fail without it. */
export const hasPython = existsSync(python) || process.env.CI !== undefined

/** A model, run once for each batch on the state that the run before it left. */
export interface Runs {
  readonly model: Uint8Array
  readonly state: Tensors
  /** Output → the state tensor that it replaces. */
  readonly updates: Readonly<Record<string, string>>
  readonly batches: readonly Tensors[]
}

/**
 * Runs a program with text on standard input. Of the machine ONNX Runtime may say on standard error what it likes, but not
 * that the shapes of a model are others than the model says.
 */
export function output(command: string, argv: readonly string[], input = ''): Promise<string> {
  const child = spawn(command, argv)
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 && !/shape/i.test(err) ? resolve(out) : reject(new Error(`code ${code}: ${err}`)),
    )
  })
}

async function inWeb({ model, state, updates, batches }: Runs): Promise<readonly Tensors[]> {
  const loaded = await load(model, { threads: 1 })
  const fetches = Object.fromEntries(loaded.outputs.map(({ name }) => [name, null]))
  const results: Tensors[] = []
  let current = state
  for (const batch of batches) {
    const feeds = Object.fromEntries([...current, ...batch].map(([name, t]) => [name, narrow(t)]))
    const outputs = new Map(
      Object.entries(await loaded.run(feeds, fetches)).map(([name, value]) => [name, widen(value)]),
    )
    results.push(outputs)
    current = new Map([
      ...current,
      ...Object.entries(updates).map(([from, name]) => [name, outputs.get(from)!] as const),
    ])
  }
  await loaded.release()
  return results
}

/** As JSON; a float32 is exact in it. */
const plain = (tensors: Tensors) =>
  Object.fromEntries([...tensors].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: [...data] }]))

async function inPython(jobs: readonly Runs[]): Promise<readonly (readonly Tensors[])[]> {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-python-'))
  try {
    const given = jobs.map(({ model, state, updates, batches }, i) => {
      const path = join(folder, `${i}.onnx`)
      writeFileSync(path, model)
      return { model: path, state: plain(state), carried: updates, batches: batches.map(plain) }
    })
    const text = await output(python, [rootFile('test/support/trainingSteps.py')], JSON.stringify(given))
    const results = JSON.parse(text) as Record<string, { dtype: DType; shape: number[]; data: number[] }>[][]
    const read = ({ dtype, shape, data }: { dtype: DType; shape: number[]; data: number[] }): Numbers =>
      numbers(dtype, shape, data)
    return results.map((runs) =>
      runs.map((outputs) => new Map(Object.entries(outputs).map(([name, value]) => [name, read(value)]))),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Each build, and what runs some models in it. */
export const trainingBuilds: Readonly<
  Record<string, (jobs: readonly Runs[]) => Promise<readonly (readonly Tensors[])[]>>
> = {
  async 'onnxruntime-web 1.19.2'(jobs) {
    const results: (readonly Tensors[])[] = []
    for (const job of jobs) results.push(await inWeb(job))
    return results
  },
  ...(hasPython ? { 'onnxruntime-training-cpu 1.19.2': inPython } : {}),
}

// What the step benchmark lets run against each other. Each is a process of its own, so that its peak of memory is its
// own, and is stopped (SIGSTOP) while another has its turn, so that no idle pool of threads spins beside it. Linux only.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { targetNames } from 'rdm-onnx'

const peer = (name) => fileURLToPath(new URL(`peers/${name}`, import.meta.url))
const node = (script, ...args) => ({ command: process.execPath, args: [peer(script), ...args] })
const python = (environment, script, ...args) => ({
  command: peer(`.venv-${environment}/bin/python`),
  args: [peer(script), ...args],
})

export const oursBy = (target) => `ours ${target}`

const ours = Object.fromEntries(
  targetNames
    // ort-training is for another runtime: bench/trainingBuilds.mjs.
    .filter((target) => target !== 'auto' && target !== 'ort-training')
    .map((target) => [oursBy(target), node('ours.mjs', '--target', target)]),
)
const ofCpu = [oursBy('portable'), oursBy('ort-cpu')]

/** PyTorch's step by a script, in both layouts and compiled. */
const torch = (environment, script, ...args) =>
  Object.fromEntries(
    [
      ['contiguous', '--memory-format', 'contiguous'],
      ['channels_last', '--memory-format', 'channels_last'],
      ['compiled', '--memory-format', 'channels_last', '--compile'],
    ].map(([name, ...layout]) => [`torch ${name}`, python(environment, script, ...args, ...layout)]),
  )
const onPage = (library, ...args) => node('page.mjs', '--library', library, ...args)
const onGpuPage = (library) => onPage(library, '--webgpu')

/** Kind of subject → name → how to start it; each is given the folder of the case as well. */
export const contestants = {
  /** Networks of our zoo. */
  zoo: {
    ...ours,
    ...torch('torch', 'torch_step.py'),
    'ort-training': python('ort-training', 'ort_training_step.py'),
    OpenVINO: python('openvino', 'openvino_step.py'),
  },
  airbench: { ...ours, ...torch('torch', 'airbench_step.py') },
  /** Networks that lie in the folder as PyTorch exported them. */
  foreign: {
    ...ours,
    ...torch('networks', 'torch_networks.py', 'step'),
    onnxsim: python('onnxsim', 'onnxsim_step.py'),
  },
  /** A network that the libraries of a page know as well. */
  page: {
    ...ours,
    onnxsim: python('onnxsim', 'onnxsim_step.py'),
    'page: ours': onPage('ours'),
    'page: tfjs': onPage('tfjs'),
    'page: jax-js': onPage('jax'),
    'GPU page: ours': onGpuPage('ours'),
    'GPU page: tfjs': onGpuPage('tfjs'),
    'GPU page: jax-js': onGpuPage('jax'),
  },
}
export const sgemm = node('sgemm.mjs')
export const exporter = python('networks', 'torch_networks.py', 'export')

/** Those that take part unless others are named: none that wants a GPU, and target ort-cuda, which runs on a CPU, is made for one. */
export const usual = (kind) =>
  Object.keys(contestants[kind]).filter(
    (name) => (!name.startsWith('ours') || ofCpu.includes(name)) && !name.startsWith('GPU'),
  )

const pageLibraries = fileURLToPath(new URL('peers/.venv-page/node_modules', import.meta.url))

export const isInstalled = (kind, name) => {
  const { command, args } = contestants[kind][name]
  const isOfPage = args.includes('--library') && !args.includes('ours')
  return existsSync(command) && (!isOfPage || existsSync(pageLibraries))
}

/** Largest relative difference of losses. */
export const lossDifference = (losses, expected) =>
  Math.max(...losses.map((loss, i) => Math.abs(loss - expected[i]) / Math.abs(expected[i])))

/**
 * Gives each contestant a turn a round, whose time a step is added to its `ms`; `after` comes at the end of a round. Whoever has used up
 * its time, in milliseconds, sits out, but for one step.
 */
export async function takeTurns(running, rounds, { budget = Number.POSITIVE_INFINITY, after = async () => {} } = {}) {
  const used = ({ ms }) => ms.reduce((sum, each) => sum + each, 0)
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one, so that none always follows the same.
    for (let i = 0; i < running.length; i++) {
      const each = running[(round + i) % running.length]
      if (each.ms.length > 0 && used(each) + each.ms.at(-1) > budget) continue
      each.ms.push(await each.contestant.turn())
    }
    await after()
  }
}

// A stopped process would outlive a benchmark that is interrupted.
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

export class Contestant {
  #child
  #lines
  #errors = ''

  /** Starts the process and waits until it is ready. */
  static async start(name, { command, args }, folder, env = {}) {
    const contestant = new Contestant()
    contestant.name = name
    contestant.#start(command, [...args, '--case', folder], env)
    contestant.ready = await contestant.#answer()
    contestant.#child.kill('SIGSTOP')
    return contestant
  }

  #start(command, args, env) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#child.stderr.on('data', (text) => {
      this.#errors = `${this.#errors}${text}`.slice(-4000)
    })
    this.#child.stdin.on('error', () => {})
    running.add(this.#child)
  }

  async #answer() {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`${this.name} has ended: ${this.#errors.trim() || 'without a word'}`)
    return JSON.parse(value)
  }

  /** Runs so many steps: {ms, loss}, a number each for every step. */
  async steps(count) {
    this.#child.kill('SIGCONT')
    this.#child.stdin.write(`${JSON.stringify({ steps: count })}\n`)
    const answer = await this.#answer()
    this.#child.kill('SIGSTOP')
    return answer
  }

  /** Runs a step, or as many as it takes at once where it trains. @returns milliseconds a step */
  async turn() {
    const steps = this.ready.stepsPerRun ?? 1
    const { ms } = await this.steps(steps)
    return ms.reduce((sum, each) => sum + each, 0) / steps
  }

  /** The largest resident memory so far. */
  get peakBytes() {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)[1]) * 1024
  }

  end() {
    this.#child.kill('SIGKILL')
    running.delete(this.#child)
  }
}

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

/** Name → how to start it; each is given the folder of the case as well. */
export const contestants = {
  ...Object.fromEntries(
    targetNames
      // ort-training is for another runtime: bench/trainingBuilds.mjs.
      .filter((target) => target !== 'auto' && target !== 'ort-training')
      .map((target) => [oursBy(target), node('ours.mjs', '--target', target)]),
  ),
  'torch contiguous': python('torch', 'torch_step.py', '--memory-format', 'contiguous'),
  'torch channels_last': python('torch', 'torch_step.py', '--memory-format', 'channels_last'),
  'ort-training': python('ort-training', 'ort_training_step.py'),
}
export const sgemm = node('sgemm.mjs')

/** The same for networks of others (bench/networks.mjs), which lie in the folder as PyTorch exported them. */
export const networkContestants = {
  ...Object.fromEntries(['portable', 'ort-cpu'].map((target) => [oursBy(target), contestants[oursBy(target)]])),
  ...Object.fromEntries(
    ['contiguous', 'channels_last'].map((layout) => [
      `torch ${layout}`,
      python('networks', 'torch_networks.py', 'step', '--memory-format', layout),
    ]),
  ),
  onnxsim: python('onnxsim', 'onnxsim_step.py'),
}
export const exporter = python('networks', 'torch_networks.py', 'export')

/** Those of a CPU: target ort-cuda runs there too, if asked for by name, but is made for a GPU. */
export const usual = Object.keys(contestants).filter((name) => name !== oursBy('ort-cuda'))

export const isInstalled = (name) => existsSync(contestants[name].command)

/** Largest relative difference of losses. */
export const lossDifference = (losses, expected) =>
  Math.max(...losses.map((loss, i) => Math.abs(loss - expected[i]) / Math.abs(expected[i])))

/** Gives each contestant a step a round, whose time is added to its `ms`; `after` comes at the end of a round. */
export async function takeTurns(running, rounds, after = async () => {}) {
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one, so that none always follows the same.
    for (let i = 0; i < running.length; i++) {
      const { contestant, ms } = running[(round + i) % running.length]
      ms.push(...(await contestant.steps(1)).ms)
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
  static async start(name, { command, args }, folder) {
    const contestant = new Contestant()
    contestant.name = name
    contestant.#start(command, [...args, '--case', folder])
    contestant.ready = await contestant.#answer()
    contestant.#child.kill('SIGSTOP')
    return contestant
  }

  #start(command, args) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
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

// Child processes of the GPU benchmark: commands of ours and PyTorch, none of which outlives it or its part.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const rdm = fileURLToPath(new URL('rdm.mjs', import.meta.url))
const peer = (name) => fileURLToPath(new URL(`../peers/${name}`, import.meta.url))

/** How to start a command of ours, such as rdm-fit. */
export const ours = (name, args) => [process.execPath, [rdm, name, ...args.map(String)]]
/** How to start a script of bench/peers in the Python that has PyTorch. */
export const python = (script, args) => [process.env.PYTHON ?? 'python3', [peer(script), ...args]]

const everything = new Set()
process.on('exit', () => {
  for (const child of everything) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

/** Of what a process said on standard error, the last line that names an error, or the last line. */
function reasonIn(text) {
  const lines = text.trim().split('\n')
  return (lines.findLast((line) => /\b\w*Error\b.*:/.test(line)) ?? lines.at(-1)).trim() || 'without a word'
}

/** The processes of one part of the benchmark, which end with it. */
export class Processes {
  #children = new Set()

  /**
   * @param env variables beside those of this process
   * @param options of Node's spawn
   */
  spawn([command, args], env = {}, options = {}) {
    const stdio = ['pipe', 'pipe', 'pipe']
    const child = spawn(command, args, { stdio, env: { ...process.env, ...env }, ...options })
    child.stdin.on('error', () => {})
    child.errors = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      child.errors = `${child.errors}${text}`.slice(-4000)
    })
    child.ended = new Promise((resolve) => {
      child.on('error', ({ message }) => resolve({ code: null, reason: message }))
      child.on('close', (code, signal) => resolve({ code, reason: signal ?? reasonIn(child.errors) }))
    })
    for (const set of [everything, this.#children]) {
      set.add(child)
      child.ended.then(() => set.delete(child))
    }
    return child
  }

  /** Runs a command to its end and returns what it printed; throws when it fails. */
  async run(command, env) {
    const child = this.spawn(command, env)
    child.stdin.end()
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text
    })
    const { code, reason } = await child.ended
    if (code !== 0) throw new Error(reason)
    return out
  }

  /** Runs a command that prints an object a line, and returns them. */
  async events(command, env) {
    const out = await this.run(command, env)
    return out
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
  }

  end() {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

/** The objects that a process prints, one a line, each with when it arrived, `at` in ms, however late it is asked for. */
export class Events {
  #waiting = []
  #wake = () => {}
  #ended = false

  constructor(child) {
    createInterface({ input: child.stdout })
      .on('line', (line) => {
        if (line.startsWith('{')) this.#waiting.push({ ...JSON.parse(line), at: performance.now() })
        this.#wake()
      })
      .on('close', () => {
        this.#ended = true
        this.#wake()
      })
  }

  /** The next one; undefined after the last. */
  async next() {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#waiting.shift()
  }

  /** Those that have arrived and were not asked for. */
  take() {
    return this.#waiting.splice(0)
  }

  async *[Symbol.asyncIterator]() {
    for (let event = await this.next(); event; event = await this.next()) yield event
  }
}

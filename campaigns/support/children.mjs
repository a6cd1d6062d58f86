// The processes of a campaign: the product's commands and the servers around them, all of which end with it.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const alive = new Set()

function kill(child) {
  // What is frozen is killed as well as what is not.
  child.kill('SIGKILL')
}

// Whatever ends the campaign, an error or Ctrl-C, ends them.
process.on('exit', () => {
  for (const child of alive) kill(child)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))

/** Starts a program. `finished` is its exit code, signal and texts; `onLine` sees the lines of standard output. */
export function startProgram(file, argv, { onLine, env = {}, cwd } = {}) {
  const child = spawn(file, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, cwd })
  alive.add(child)
  // Of a long life only the end is kept.
  const kept = { out: '', err: '' }
  const keep = (name, text) => {
    kept[name] = (kept[name] + text).slice(-200_000)
  }
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    keep('out', text)
    if (!onLine) return
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    lines.forEach(onLine)
  })
  child.stderr.setEncoding('utf8').on('data', (text) => keep('err', text))
  const finished = new Promise((resolve) => {
    child.on('error', (error) => keep('err', error.message))
    child.on('close', (code, signal) => {
      alive.delete(child)
      resolve({ code, signal, ...kept })
    })
  })
  return { child, finished, kept }
}

/** Starts a command of the product, `rdm-fit` for one. */
export const startCommand = (name, argv, options) =>
  startProgram(process.execPath, [join(root, 'bin', `${name}.js`), ...argv], options)

/** Runs a command that must do its work. */
export async function runCommand(name, argv, options) {
  const found = await startCommand(name, argv, options).finished
  if (found.code !== 0) throw new Error(`${name} ${argv.join(' ')}: ${found.err || found.signal}`)
  return found
}

export const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null

/** Ends a program and waits for it. */
export async function end({ child, finished }, signal = 'SIGKILL') {
  if (!hasEnded(child)) {
    child.kill('SIGCONT')
    child.kill(signal)
  }
  return finished
}

/** Ends all that is left. */
export async function endAll() {
  const ended = [...alive].map((child) => new Promise((resolve) => child.once('close', resolve)))
  for (const child of alive) kill(child)
  await Promise.all(ended)
}

/** Megabytes of memory that a process has, undefined where it is no more (or this is no Linux). */
export function residentOf(pid) {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
  } catch {
    return undefined
  }
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]

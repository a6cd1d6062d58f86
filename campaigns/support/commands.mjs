// The product's commands as child processes, with a limit of time.

import { spawn } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** Processes that are still there when this one ends. */
const living = new Set()
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** A child that is killed at the end whatever happens. */
export function kept(child) {
  living.add(child)
  child.on('exit', () => living.delete(child))
  return child
}

/**
 * Runs a command to its end, or kills it after so many seconds.
 * @param name such as rdm-fit
 * @param stdin bytes for its standard input; nothing unless given
 * @returns {code, signal, seconds, late, out, err}
 */
export function command(name, args, { seconds = 60, env = {}, stdin } = {}) {
  const begun = performance.now()
  const child = kept(
    spawn(process.execPath, [join(root, 'bin', `${name}.js`), ...args], {
      env: { ...process.env, ...env },
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    }),
  )
  const [out, err] = [[], []]
  child.stdout.on('data', (piece) => out.push(piece))
  child.stderr.on('data', (piece) => err.push(piece))
  if (stdin !== undefined) child.stdin.on('error', () => {}).end(stdin)
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, seconds * 1000)
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const taken = (performance.now() - begun) / 1000
      resolve({ code, signal, seconds: taken, late, out: Buffer.concat(out), err: Buffer.concat(err).toString('utf8') })
    })
  })
}

/** What is wrong with how a command ended that was given bad input, or input that is right after all; undefined: nothing. */
export function problemOf({ code, signal, late, err, seconds }) {
  if (late) return `does not end within ${Math.round(seconds)} s`
  if (signal) return `ended by ${signal}: ${err.slice(-300)}`
  if (code !== 0 && code !== 2) return `exit code ${code}: ${err.slice(-500)}`
  // What a run tells on its way are lines of their own; the one that says why it ended begins with the command.
  const lines = err
    .split('\n')
    .filter((line) => line.startsWith('rdm-') || /^\s+at |internal error|terminate called|Aborted/.test(line))
  if (code === 2 && lines.length !== 1) return `exit code 2 with ${lines.length} lines: ${err.slice(0, 500)}`
  return undefined
}

/** Does the work for each number from 0 to `count`, so many at a time. */
export async function inParallel(count, jobs, work) {
  let next = 0
  const one = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: jobs }, one))
}

// How a subject is measured: all contestants start from the same weights and train on the same batch; they are timed only if their
// first losses agree. Then each round gives every contestant one step, so that a slow moment of the machine falls on all of them.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { median, quartiles, short } from './common.mjs'
import { Contestant, contestants, lossDifference, oursBy, sgemm, takeTurns } from './contestants.mjs'

/** Steps whose losses must agree before anything is timed; they also warm up. */
const CHECKED = 3
const TOLERANCE = 1e-3

/** Of what a process leaves behind, the line that says why: Python's last, and the one with the name of JavaScript's error. */
const reasonOf = (message) => {
  const lines = message.trim().split('\n')
  return lines.find((line) => /^\s*(\w*Error|page\.evaluate|page\.\w+): /.test(line)) ?? lines.at(-1)
}

/** Starts a contestant and checks its losses. @returns what it is; `failed` says why it takes no part */
async function start(kind, name, folder, expected) {
  let contestant
  try {
    // Tuning belongs to neither time nor memory: a process before finds the timings that this one reads from the cache.
    if (name === oursBy('ort-cpu')) (await Contestant.start(name, contestants[kind][name], folder)).end()
    contestant = await Contestant.start(name, contestants[kind][name], folder)
    const { loss: losses } = await contestant.steps(CHECKED)
    const difference = expected ? lossDifference(losses, expected) : 0
    console.log(
      `  ${name.padEnd(20)} losses ${losses.map((loss) => loss.toFixed(6)).join(' ')}, off by ${difference.toExponential(1)}`,
    )
    // Written so that NaN fails, too.
    if (!(difference <= TOLERANCE))
      throw new Error(`it computes another step: its losses are off by ${difference.toExponential(1)}`)
    return { name, contestant, losses, difference, ms: [] }
  } catch ({ message }) {
    contestant?.end()
    const failed = short(reasonOf(message))
    console.log(`  ${name.padEnd(20)} ${failed}`)
    return { name, failed }
  }
}

/** Seconds from the start of a process to the end of its first step. */
async function firstStep(kind, name, folder, env) {
  const started = performance.now()
  const contestant = await Contestant.start(name, contestants[kind][name], folder, env)
  await contestant.steps(1)
  contestant.end()
  return (performance.now() - started) / 1000
}

function nodeStart() {
  const started = performance.now()
  spawnSync(process.execPath, ['-e', '0'])
  return (performance.now() - started) / 1000
}

/** Of our fastest target: with what it keeps between processes, and once without where that is asked for. */
async function firstSteps({ kind, goals = {} }, name, folder, starts) {
  const seconds = []
  for (let i = 0; i < starts; i++) seconds.push(await firstStep(kind, name, folder))
  if (goals.untuned === undefined || starts === 0) return { seconds, node: nodeStart() }
  const cache = mkdtempSync(join(folder, 'cache-'))
  return { seconds, node: nodeStart(), untuned: await firstStep(kind, name, folder, { XDG_CACHE_HOME: cache }) }
}

/**
 * Measures a subject.
 * @param options names of contestants, rounds, starts (processes for the time to the first step), budget (ms a contestant), threads
 * @returns its figures; rows in the order of the names
 */
export async function measure(subject, folder, options) {
  const { kind } = subject
  const { names, rounds, starts, threads, budget, batch = subject.batch } = options
  mkdirSync(folder)
  const flops = subject.write(folder, { batch, threads })
  const rows = []
  for (const name of names) rows.push(await start(kind, name, folder, rows.find(({ losses }) => losses)?.losses))
  const running = rows.filter(({ contestant }) => contestant)
  const gflops = []
  const peak = flops === undefined ? undefined : await Contestant.start('sgemm', sgemm, folder)
  await peak?.steps(1)
  await takeTurns(running, rounds, {
    budget,
    after: async () => peak && gflops.push(...(await peak.steps(1)).loss),
  })
  peak?.end()
  const results = rows.map(({ contestant, ...row }) => {
    if (!contestant) return row
    const { version, libraryBytes = 0, hasOtherProcesses = false } = contestant.ready
    // What a browser takes is not this process's.
    const memory = hasOtherProcesses ? {} : { peakBytes: contestant.peakBytes, libraryBytes }
    contestant.end()
    return { ...row, version, ...memory, median: median(row.ms), quartiles: quartiles(row.ms) }
  })
  const own = results.find(({ name, median }) => name === oursBy('ort-cpu') && median !== undefined)
  return {
    batch,
    threads,
    results,
    ...(flops === undefined ? {} : { flops, sgemm: { peak: Math.max(...gflops), median: median(gflops) } }),
    ...(own && starts > 0 ? { firstStep: await firstSteps(subject, own.name, folder, starts) } : {}),
  }
}

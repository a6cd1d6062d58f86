// What the trials of the campaign share: mounts, what a command may say, and a run that goes on when all is well again.

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { startCommand } from '../support/children.mjs'
import { toItsEnd, wasKilled } from '../support/moments.mjs'
import { differences, halfFiles } from '../support/wholeFiles.mjs'

const mount = (...argv) => spawnSync('mount', argv, { encoding: 'utf8' })

/** A file system of its own at a folder. @param limits such as size=64k,nr_inodes=9 */
export function mountAt(folder, limits) {
  mkdirSync(folder, { recursive: true })
  const { status, stderr } = mount('-t', 'tmpfs', '-o', limits, 'none', folder)
  if (status !== 0) throw new Error(stderr)
}

/** @returns false while files are open that it would make read-only */
export const remount = (folder, limits) => mount('-o', `remount,${limits}`, folder).status === 0
export const unmount = (folder) => spawnSync('umount', ['-l', folder])

/** One line, which names a file or folder of its own: a reader knows which disk it is. */
export function refusalFaults({ code, err, signal }, folder) {
  const said = err.trim()
  if (wasKilled({ signal })) return ['hangs']
  if (code !== 2) return [`ended with ${code ?? signal}: ${said}`]
  const lines = said.split('\n').filter((line) => !/^(downloading|timing) /.test(line))
  if (lines.length !== 1) return [`says ${lines.length} lines: ${said}`]
  return lines[0].includes(folder) ? [] : [`names nothing of ${folder}: ${said}`]
}

/** Begins the run again, or goes on with it, and compares what it ends in. */
export async function goOn({ fit, env, reference }, out) {
  const run = (argv) => toItsEnd(() => startCommand('rdm-fit', argv, { env }))
  let end = await run(fit.resume(out))
  if (end.code === 2 && /leave out --resume to start/.test(end.err)) end = await run(fit.begin(out))
  if (end.code !== 0) return [`does not go on (${end.code ?? end.signal}): ${end.err.trim()}`]
  return [...differences(out, reference), ...halfFiles(out)]
}

/** The row of a kind of trial; a fault a trial is one that went wrong. */
export function rowOf(what, good, results) {
  const wrong = results.filter((faults) => faults.length > 0).length
  return [what, results.length, `${good}: ${results.length - wrong} of ${results.length}`]
}

export const skipped = (what) => ({
  rows: [[what, 0, 'skipped: this machine lets nobody mount a file system']],
  faults: [],
})

/** `count` of the whole numbers from 1 to `most`, evenly, the last one among them. */
export const evenly = (most, count) => {
  const picked = Array.from({ length: Math.min(count, most) }, (_, i) =>
    Math.ceil(((i + 1) * most) / Math.min(count, most)),
  )
  return [...new Set(picked)]
}

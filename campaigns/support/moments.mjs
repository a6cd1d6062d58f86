// Killing a command at a drawn moment of its life.

import { watch } from 'node:fs'

/** Far longer than anything here takes. */
const HANGS = 300_000

/** Tells the number of each change below a folder. */
function watchChanges(folder, onChange) {
  let count = 0
  const watcher = watch(folder, { recursive: true }, () => onChange(++count))
  // Of a folder that went away meanwhile.
  watcher.on('error', () => {})
  return watcher
}

/** Runs a command to its end. @returns its end, how long it took, and how many changes of files below the folder it made */
export async function undisturbed(begin, folder) {
  let changes = 0
  const watcher = watchChanges(folder, (count) => {
    changes = count
  })
  const begun = performance.now()
  const end = await killedAt({ ms: HANGS }, begin, folder)
  const ms = performance.now() - begun
  watcher.close()
  return { end, life: { ms, changes } }
}

/**
 * A moment of a life. Half of them are anywhere between the first instruction and the last; half come right after a file
 * changed, for there the next one is half done.
 */
export function drawMoment(random, { ms, changes }) {
  if (changes === 0 || random.uniform() < 0.5) return { ms: random.uniform() * ms }
  return { change: 1 + random.below(changes), ms: random.uniform() * 3 }
}

/** Runs a command and kills it at the moment, unless it ends before. */
export async function killedAt({ change, ms }, begin, folder) {
  const running = begin()
  let timer
  const arm = () => {
    timer = setTimeout(() => running.child.kill('SIGKILL'), ms)
  }
  const watcher = change === undefined ? undefined : watchChanges(folder, (count) => count === change && arm())
  if (!watcher) arm()
  // A change that does not come again must not leave it running for ever.
  const hangs = setTimeout(() => running.child.kill('SIGKILL'), HANGS)
  const end = await running.finished
  clearTimeout(timer)
  clearTimeout(hangs)
  watcher?.close()
  return end
}

export const wasKilled = ({ signal }) => signal === 'SIGKILL'

/** Runs a command to its end, however long that takes; one that hangs is killed. */
export const toItsEnd = (begin) => killedAt({ ms: HANGS }, begin)

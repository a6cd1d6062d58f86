// One part of the GPU benchmark, within its time.

import { setTimeout } from 'node:timers/promises'
import { Processes } from './processes.mjs'

/**
 * Does the work of a part: `work(report, processes, settings, timeLeft)` fills the report as it goes, so that what it has is
 * there when it fails or runs out of time.
 * @param left how many ms there are for all parts
 * @returns the report with a verdict; the part's processes are gone by then
 */
export async function runPart({ seconds, work }, settings, left) {
  const report = {}
  const begun = performance.now()
  const limit = Math.min(1000 * seconds, left())
  const timeLeft = () => limit - (performance.now() - begun)
  if (limit < 3000) return { ...report, verdict: 'not begun: no time left' }
  const processes = new Processes()
  const over = new AbortController()
  const late = setTimeout(limit, 'late', { signal: over.signal }).catch(() => {})
  const working = work(report, processes, settings, timeLeft).then(
    () => 'done',
    ({ message }) => `failed: ${message}`,
  )
  const verdict = await Promise.race([working, late])
  over.abort()
  processes.end()
  report.verdict = verdict === 'late' ? `stopped after ${Math.round(limit / 1000)} s` : verdict
  report.seconds = Math.round((performance.now() - begun) / 1000)
  // What the part does of its own comes to its end without its processes; the report no longer changes.
  return structuredClone(report)
}

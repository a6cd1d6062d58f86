// The chart of a run, where the library for charts is installed.

import { basename, resolve } from 'node:path'
import { installHint } from '../optional.js'
import type { EpochMetrics } from '../run/metrics.js'

/** curves.svg of the run in a folder, or what to install for it. */
export async function drawCurves(
  history: readonly EpochMetrics[],
  folder: string,
): Promise<{ readonly svg: string } | { readonly hint: string }> {
  try {
    // It takes most of a second to load, which a run that is refused should not cost.
    const { curvesSvg } = await import('./curves.js')
    return { svg: curvesSvg(history, basename(resolve(folder))) }
  } catch (error) {
    const hint = installHint(error)
    if (hint === undefined) throw error
    return { hint: `no curves.svg: ${hint}` }
  }
}

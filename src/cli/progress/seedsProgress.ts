// Shows the runs of several seeds.

import { seedFolder } from '../../driver/seeds/seedsFolder.js'
import type { ProgressOutput } from './progress.js'
import { type RunNames, type RunsReporter, runsJsonReporter, runsTextReporter } from './runsProgress.js'

export type SeedsReporter = RunsReporter<number>

const namesIn = (folder: string): RunNames<number> => ({
  label: (seed) => `seed ${seed}`,
  folder: (seed) => seedFolder(folder, seed),
  tag: (seed) => ({ seed }),
})

/** One object a line; those of a run say its `seed`. */
export const seedsJsonReporter = (output: ProgressOutput): SeedsReporter =>
  runsJsonReporter(output, namesIn(output.folder))

/** The lines of each run with its seed before them; on a terminal a bar each. */
export const seedsTextReporter = (output: ProgressOutput): SeedsReporter =>
  runsTextReporter(output, namesIn(output.folder))

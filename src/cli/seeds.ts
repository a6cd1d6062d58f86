// rdm-fit --seeds: which runs there are to be, from what they are trained, and what is printed of them at the end.

import { join } from 'node:path'
import { messageOf, UserError } from '../core/errors.js'
import { readTrainableModel } from '../core/model/read.js'
import { readDataset } from '../driver/data/readers.js'
import { table } from '../driver/format/table.js'
import { percentage } from '../driver/format/units.js'
import { runFiles } from '../driver/run/runFolder.js'
import { fitSeeds, type SeedsOptions } from '../driver/seeds/seeds.js'
import {
  firstBegunRun,
  plainSummary,
  readSeeds,
  type SeedOutcome,
  type SeedsSummary,
  seedFolder,
} from '../driver/seeds/seedsFolder.js'
import { readFirstModel, readInput } from './input.js'
import { print } from './output.js'

export interface SeedsFlags {
  readonly seed?: number
  readonly seeds?: readonly number[]
  readonly jobs?: number
  readonly resume?: true
}

/**
 * The seeds that are given or, for runs that go on, those of the folder; undefined where one run is meant.
 * @throws UserError when the options do not go together
 */
export async function chosenSeeds(
  out: string,
  { seed, seeds, jobs, resume }: SeedsFlags,
): Promise<readonly number[] | undefined> {
  const chosen = seeds ?? (resume ? await readSeeds(out) : undefined)
  if (chosen && seed !== undefined)
    throw new UserError(`--seed is for one run, and these are several: leave it out${seeds ? ', or --seeds' : ''}`)
  if (!chosen && jobs !== undefined) throw new UserError('--jobs is for several runs: say which with --seeds')
  return chosen
}

export interface SeedsRequest extends Omit<SeedsOptions, 'model' | 'data'> {
  readonly modelPath: string | undefined
  readonly holdOut?: number | undefined
}

/** Reads model and data, of which runs that go on know theirs, and trains. */
export async function trainSeeds({ modelPath, holdOut, ...options }: SeedsRequest): Promise<SeedsSummary> {
  const { out, seeds } = options
  const begun = options.resume ? await firstBegunRun(out, seeds) : undefined
  const dataPath = options.dataPath ?? begun?.info.data.path ?? undefined
  if (dataPath === undefined) throw new UserError('which data? Give their file or folder with --data')
  const source = modelPath ?? (begun && join(begun.folder, runFiles.initial))
  if (source === undefined) throw new UserError('which model? Give its file, or - to read standard input')
  const bytes = await (modelPath === undefined && begun ? readFirstModel(begun.folder) : readInput(source))
  const model = readTrainableModel(bytes, source === '-' ? 'standard input' : source)
  const data = await readDataset(dataPath, { holdOut: holdOut ?? begun?.info.data.heldOut })
  return fitSeeds({ ...options, model, data, dataPath })
}

/**
 * Prints what the runs came to, and sets the exit code where all of them came to their end.
 * @throws UserError when a run failed and none was stopped
 */
export function printSummary(summary: SeedsSummary, out: string, json: boolean): void {
  const text = json
    ? `${JSON.stringify({ event: 'summary', ...plainSummary(summary) })}\n`
    : `${outcomeTable(summary.runs, out)}${spreadLine(summary)}`
  print(text)
  const { runs } = summary
  const stopped = runs.some(({ end }) => end === 'interrupted' || end === 'waiting')
  // What ended the process early says so by its exit code.
  if (stopped) {
    if (!json) print(`go on with: rdm-fit --resume --out ${out}\n`)
    return
  }
  const failed = runs.filter((run) => run.end === 'failed')
  const fault = failed.find(({ error }) => !(error instanceof UserError))
  if (fault) throw fault.error
  if (failed.length > 0)
    throw new UserError(
      `${failed.length} of ${runs.length} runs failed: ${failed.map(({ seed }) => `seed ${seed}`).join(', ')}`,
    )
  process.exitCode = 0
}

/** What is to be said of a run besides its error. */
function note(run: SeedOutcome): string {
  switch (run.end) {
    case 'finished':
      return ''
    case 'steps':
      return `ended as asked after ${run.step} steps`
    case 'interrupted':
      return `stopped at step ${run.step}`
    case 'waiting':
      return 'not begun'
    case 'failed':
      return `failed: ${messageOf(run.error)}`
  }
}

function outcomeTable(runs: readonly SeedOutcome[], out: string): string {
  const rows = runs.map((run) => {
    const error = run.end === 'failed' || run.testError === null ? '-' : percentage(run.testError)
    return [`${run.seed}`, error, seedFolder(out, run.seed), note(run)]
  })
  return table([['seed', 'test error %', 'folder', ''], ...rows])
}

/** Median (mean ± standard deviation), as papers give it. */
export function spreadLine({ runs, testError }: SeedsSummary): string {
  if (!testError) return 'no run has come to its end with a test error\n'
  const { median, mean, std } = testError
  const around = std === null ? percentage(mean) : `${percentage(mean)} ± ${percentage(std)}`
  const counted = runs.filter((run) => (run.end === 'finished' || run.end === 'steps') && run.testError !== null).length
  const over = counted < runs.length ? ` over ${counted} of ${runs.length} runs` : ''
  return `median ${percentage(median)} % (${around} %)${over}\n`
}

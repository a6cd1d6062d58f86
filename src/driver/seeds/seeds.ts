// Several runs of one model, each from first weights and a seed of its own, in a run folder of its own: one after the
// other, or side by side where one run does not fill the machine.
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import pLimit from 'p-limit'
import { messageOf, UserError } from '../../core/errors.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Dataset } from '../data/dataset.js'
import { checkData } from '../fit/checks.js'
import { type FitConfig, newConfig, resumedConfig } from '../fit/config.js'
import type { FitEvent } from '../fit/events.js'
import { requireProvider } from '../planning/plan.js'
import { checkpointFiles } from '../run/checkpoint.js'
import { lockFolder } from '../run/lock.js'
import { ensureFolder, planFor, runFiles } from '../run/runFolder.js'
import { planOnce } from './planOnce.js'
import { type SeedRun, type SeedsOverrides, trainSeed } from './seedRun.js'
import {
  type BegunRun,
  firstBegunRun,
  hasBegun,
  keepSeeds,
  type SeedOutcome,
  type SeedsSummary,
  seedFolder,
  withKnownSeeds,
  writeSummary,
} from './seedsFolder.js'
import { spreadOf } from './statistics.js'

/** What {@link fitSeeds} trains, with which seeds, and how many runs side by side. */
export interface SeedsOptions {
  readonly model: TrainableModel
  readonly data: Dataset
  /** Where the data came from, for config.json. */
  readonly dataPath?: string | undefined
  /** Holds a run folder `seed-<n>` for each seed, and the summary; created when it is not there. */
  readonly out: string
  /** Each once. */
  readonly seeds: readonly number[]
  /** How many runs at a time; unless given, all of them with CUDA, which shares a GPU among them, and one elsewhere. */
  readonly jobs?: number | undefined
  /** Runs side by side share the cores where it names no threads. */
  readonly config?: SeedsOverrides
  /** Goes on with the runs that are not finished, leaves those that are, and begins those that are not there. */
  readonly resume?: boolean
  /** Stops each run after its step in progress, with a checkpoint, and begins no other. */
  readonly signal?: AbortSignal
  /** `seed` says of which run; an event without belongs to all of them. */
  readonly onEvent?: (event: FitEvent, seed?: number) => void
}

/**
 * Trains a model once for each seed, from first weights that the initialization in its file draws by that seed. A run
 * that fails does not stop the others; each of them ends in the bytes that it would have alone.
 * @throws UserError where none can be trained: model and data that do not fit, a model that draws no first weights, a
 *   folder that is in use or holds runs already, settings other than those of the runs in it, a provider that is not there
 */
export async function fitSeeds(options: SeedsOptions): Promise<SeedsSummary> {
  const { model, data, seeds, resume = false, signal } = options
  const out = resolve(options.out)
  const first = resume ? await firstBegunRun(out, seeds) : undefined
  checkData(model, data, options.config?.inputs ?? first?.info.config.inputs)
  if (!first) await refuseRuns(out, seeds)
  else if (first.info.model !== model.fingerprint)
    throw new UserError(
      `the runs in ${out} belong to another model: leave out the model to go on with theirs, or choose another folder`,
    )
  const goesOn = (seed: number) => resume && hasBegun(out, seed)
  const fresh = seeds.find((seed) => !goesOn(seed))
  // A file that draws nothing is refused before anything is written.
  if (fresh !== undefined) model.initialization(fresh)
  const { jobs, config } = settingsOf(options, first)
  // A runtime that is not there is told once, not by each run.
  await requireProvider(config)

  await ensureFolder(out, false)
  const unlock = lockFolder(out)
  try {
    await keepSeeds(out, resume ? await withKnownSeeds(out, seeds) : seeds)
    const known = { named: options.config?.target, earlier: first && planFor(first.info, config) }
    const plan =
      fresh === undefined
        ? undefined
        : await planOnce({ ...known, model, data, config, signal, onEvent: options.onEvent })
    const train = async (seed: number): Promise<SeedOutcome> => {
      try {
        const run: SeedRun = {
          ...{ model, data, dataPath: options.dataPath, folder: seedFolder(out, seed), seed, plan, signal },
          onEvent: (event) => options.onEvent?.(event, seed),
        }
        const overrides = goesOn(seed) ? options.config : config
        return { seed, ...(await trainSeed({ ...run, config: overrides }, goesOn(seed))) }
      } catch (error) {
        options.onEvent?.({ event: 'notice', message: `failed: ${messageOf(error)}` }, seed)
        return { seed, end: 'failed', error }
      }
    }
    const runs = await pLimit(jobs).map(seeds, train)
    const errors = runs.flatMap((run) =>
      (run.end === 'finished' || run.end === 'steps') && run.testError !== null ? [run.testError] : [],
    )
    const summary = { runs, testError: spreadOf(errors) }
    await writeSummary(out, summary)
    return summary
  } finally {
    unlock()
  }
}

/** What was trained for hours is not begun anew by mistake. */
async function refuseRuns(out: string, seeds: readonly number[]): Promise<void> {
  if (existsSync(join(out, runFiles.config)))
    throw new UserError(`${out} holds a single run: choose another folder for several runs`)
  const taken = (await withKnownSeeds(out, seeds)).find((seed) =>
    checkpointFiles.some((name) => existsSync(join(seedFolder(out, seed), name))),
  )
  if (taken !== undefined)
    throw new UserError(
      `${seedFolder(out, taken)} holds a run already: add --resume to go on with what is there and to begin the rest, ` +
        'or choose another folder for new runs',
    )
}

/** How many runs at a time, and the configuration of those that begin: that of the first run, where there is one. */
function settingsOf(
  { model, seeds, jobs: wanted, config = {} }: SeedsOptions,
  first: BegunRun | undefined,
): { readonly jobs: number; readonly config: FitConfig } {
  const jobsFor = (provider: FitConfig['provider']) =>
    Math.min(seeds.length, wanted ?? (provider === 'cuda' ? seeds.length : 1))
  if (first) {
    const resumed = resumedConfig(first.info.config, config, first.folder)
    return { jobs: jobsFor(resumed.provider), config: resumed }
  }
  const alone = newConfig(model.recipe, config)
  const jobs = jobsFor(alone.provider)
  const threads = config.threads ?? Math.max(1, Math.floor(availableParallelism() / jobs))
  return { jobs, config: { ...alone, threads } }
}

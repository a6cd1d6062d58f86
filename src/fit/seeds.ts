// Several runs of one model, each from first weights and a seed of its own, in a run folder of its own: one after the
// other, or side by side where one run does not fill the machine.
import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import pLimit from 'p-limit'
import type { Dataset } from '../data/imageSet.js'
import { messageOf, UserError } from '../errors.js'
import { readTrainableModel } from '../model/read.js'
import type { TrainableModel } from '../model/trainable.js'
import { planStep, requireProvider, type StepPlan } from '../tuning/plan.js'
import { type Checkpoint, checkpointFiles, loadCheckpoint } from './checkpoint.js'
import { type FitConfig, type FitOverrides, newConfig, resumedConfig } from './config.js'
import type { FitEvent } from './events.js'
import { drawState } from './firstState.js'
import { checkData, type FitOptions, type FitResult, fit } from './fit.js'
import { lockFolder } from './lock.js'
import { startOfRun } from './metrics.js'
import { ensureFolder, readRunInfo, runFiles } from './runFolder.js'
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

/** What a user may set for all runs. */
export type SeedsOverrides = Omit<FitOverrides, 'seed'>

export interface SeedsOptions {
  readonly model: TrainableModel
  readonly data: Dataset
  /** Where the data came from, for config.json. */
  readonly dataPath?: string | undefined
  /** Holds a run folder `seed-<n>` for each seed, and the summary; created when it is not there. */
  readonly out: string
  /** Each once. */
  readonly seeds: readonly number[]
  /** How many runs at a time; unless given, all of them on a GPU and one on a CPU. */
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
  checkData(model, data)
  const first = resume ? await firstBegunRun(out, seeds) : undefined
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
  // A provider that is not there is told once, not by each run.
  if (config.provider !== 'cpu') await requireProvider(config)

  await ensureFolder(out, false)
  const unlock = lockFolder(out)
  try {
    await keepSeeds(out, resume ? await withKnownSeeds(out, seeds) : seeds)
    const plan = fresh === undefined ? undefined : await planOnce(options, config, first)
    const train = async (seed: number): Promise<SeedOutcome> => {
      try {
        const run = { options, folder: seedFolder(out, seed), seed, plan }
        const standing: SeedOutcome = goesOn(seed)
          ? await standingOf(run)
          : { seed, end: 'waiting', ...standingAt(startOfRun) }
        if (standing.end === 'finished' || standing.end === 'steps' || signal?.aborted) return standing
        return goesOn(seed) ? await resumeOne(run) : await startOne(run, config)
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
    Math.min(seeds.length, wanted ?? (provider === 'cpu' ? 1 : seeds.length))
  if (first) {
    const resumed = resumedConfig(first.info.config, config, first.folder)
    return { jobs: jobsFor(resumed.provider), config: resumed }
  }
  const alone = newConfig(model.recipe, config)
  const jobs = jobsFor(alone.provider)
  const threads = config.threads ?? Math.max(1, Math.floor(availableParallelism() / jobs))
  return { jobs, config: { ...alone, threads } }
}

/** Once for all, before any run: convolutions that are timed beside another run are timed wrong. */
async function planOnce(
  { model, data, config: overrides = {}, signal, onEvent }: SeedsOptions,
  { batchSize, target, precision, threads, provider, device }: FitConfig,
  first: BegunRun | undefined,
): Promise<StepPlan | undefined> {
  const earlier = first?.info.plan
  const planned = await planStep({
    model,
    batch: Math.min(batchSize, data.train.count),
    wanted: target,
    earlier: overrides.target === undefined || overrides.target === earlier?.target ? earlier : undefined,
    precision,
    threads,
    provider,
    device,
    signal,
    onNotice: (message) => onEvent?.({ event: 'notice', message }),
    onProgress: (done, total) => onEvent?.({ event: 'tuning', done, total }),
  })
  return planned?.plan
}

interface OneRun {
  readonly options: SeedsOptions
  readonly folder: string
  readonly seed: number
  readonly plan: StepPlan | undefined
}

async function startOne({ options, folder, seed, plan }: OneRun, config: FitConfig): Promise<SeedOutcome> {
  const model = { ...options.model, state: await drawState(options.model, seed) }
  // The plan says more than `auto`, and gives way to a target that is named.
  const target = config.target === 'auto' ? undefined : config.target
  return trainOne(options, { model, out: folder, config: { ...config, target, seed }, plan }, seed)
}

async function resumeOne({ options, folder, seed, plan }: OneRun): Promise<SeedOutcome> {
  const initial = join(folder, runFiles.initial)
  const begins = !checkpointFiles.some((name) => existsSync(join(folder, name)))
  // Without a checkpoint it goes on from its own first weights.
  const { state } = begins ? readTrainableModel(await readFile(initial), initial) : options.model
  const model = { ...options.model, state }
  return trainOne(options, { model, out: folder, config: { ...options.config, seed }, resume: true, plan }, seed)
}

async function trainOne(
  { data, dataPath, signal, onEvent }: SeedsOptions,
  own: Pick<FitOptions, 'model' | 'out' | 'config' | 'resume' | 'plan'>,
  seed: number,
): Promise<SeedOutcome> {
  const { reason, ...result } = await fit({
    ...own,
    data,
    ...(dataPath === undefined ? {} : { dataPath }),
    ...(signal ? { signal } : {}),
    onEvent: (event) => onEvent?.(event, seed),
  })
  return { seed, end: reason, ...standingAt(result) }
}

const standingAt = ({ step, history }: Pick<FitResult, 'step' | 'history'>) => ({
  step,
  epochs: history.length,
  testError: history.at(-1)?.testError ?? null,
})

/** Where a run stands by its files: at its end only if nothing of it is left to do, not even to write. */
async function standingOf({ options, folder, seed }: OneRun): Promise<SeedOutcome> {
  const { model, config: overrides = {} } = options
  const info = await readRunInfo(folder)
  const { epochs, steps } = resumedConfig(info.config, { ...overrides, seed }, folder)
  const loaded = info.model === model.fingerprint ? await loadCheckpoint(folder) : undefined
  if (!loaded) return { seed, end: 'interrupted', ...standingAt(startOfRun) }
  const { progress } = loaded.checkpoint
  const end = progress.epoch >= epochs ? 'finished' : progress.step >= (steps ?? Infinity) ? 'steps' : undefined
  const written = loaded.damaged === undefined && (await isPublished(folder, model, loaded.checkpoint))
  return { seed, end: end && written ? end : 'interrupted', ...standingAt(progress) }
}

/** Whether the folder's model is that of its checkpoint, and its curves, which are written last, are no older. */
async function isPublished(folder: string, model: TrainableModel, { state, progress }: Checkpoint): Promise<boolean> {
  const [modelFile, curves] = [join(folder, runFiles.model), join(folder, runFiles.curves)]
  const within = progress.epochStep > 0
  if (!existsSync(modelFile) || !(within || existsSync(curves))) return false
  if (!within && statSync(curves).mtimeMs < statSync(modelFile).mtimeMs) return false
  return (await readFile(modelFile)).equals(model.withState(state))
}

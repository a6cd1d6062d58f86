// One run of a model from first weights and draws of a seed: started in its folder, taken up again, or found done.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readTrainableModel } from '../../core/model/read.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Dataset } from '../data/dataset.js'
import { type FitOverrides, resumedConfig } from '../fit/config.js'
import { drawCurves } from '../fit/drawCurves.js'
import type { EndReason, FitEvent } from '../fit/events.js'
import { drawState } from '../fit/firstState.js'
import { type FitOptions, type FitResult, fit } from '../fit/fit.js'
import { type Checkpoint, checkpointFiles, loadCheckpoint } from '../run/checkpoint.js'
import { readPlainFile } from '../run/files.js'
import { startOfRun } from '../run/metrics.js'
import { readRunInfo, runFiles } from '../run/runFolder.js'
import type { StepPlan } from '../targets/index.js'

/** What a user may set for the runs of several seeds. */
export type SeedsOverrides = Omit<FitOverrides, 'seed'>

export interface SeedRun {
  readonly model: TrainableModel
  readonly data: Dataset
  /** Where the data came from, for config.json. */
  readonly dataPath?: string | undefined
  /** The run folder; created when it is not there. */
  readonly folder: string
  /** Draws the first weights, by the initialization in the model's file, and all that is drawn later. */
  readonly seed: number
  /** Of a run that begins; one that goes on must agree with it. */
  readonly config?: SeedsOverrides | undefined
  /** How to write the step, for a run that has not decided it yet and whose configuration names no other target. */
  readonly plan?: StepPlan | undefined
  /** Stops the run after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: FitEvent) => void) | undefined
  /** As of `fit`. */
  readonly onSaved?: (() => Promise<void>) | undefined
}

/** How far a run is. */
export interface RunStanding {
  /** How it ended; `waiting`: stopped before it began. */
  readonly end: EndReason | 'waiting'
  /** Steps done in all. */
  readonly step: number
  /** Complete epochs. */
  readonly epochs: number
  /** Fraction of the test images that were classified wrong after the last complete epoch; null before there is one. */
  readonly testError: number | null
}

/**
 * Trains a run to its end, or until the signal. The bytes that it ends in do not depend on how often it was stopped.
 * @param resume go on with the run in the folder, if something of it is left to do; else begin one
 * @throws UserError as `fit` does, and for a model that draws no first weights
 */
export async function trainSeed(run: SeedRun, resume: boolean): Promise<RunStanding> {
  const standing: RunStanding = resume ? await standingOf(run) : { end: 'waiting', ...standingAt(startOfRun) }
  if (standing.end === 'finished' || standing.end === 'steps' || run.signal?.aborted) return standing
  return resume ? resumeRun(run) : startRun(run)
}

async function startRun(run: SeedRun): Promise<RunStanding> {
  const { seed, config } = run
  const model = { ...run.model, state: await drawState(run.model, seed) }
  // The plan says more than `auto`, and gives way to a target that is named.
  const target = config?.target === 'auto' ? undefined : config?.target
  return train(run, { model, config: { ...config, target, seed } })
}

async function resumeRun(run: SeedRun): Promise<RunStanding> {
  const { folder, seed, config } = run
  const initial = join(folder, runFiles.initial)
  const begins = !checkpointFiles.some((name) => existsSync(join(folder, name)))
  // Without a checkpoint it goes on from its own first weights.
  const { state } = begins ? readTrainableModel(await readPlainFile(initial), initial) : run.model
  return train(run, { model: { ...run.model, state }, config: { ...config, seed }, resume: true })
}

async function train(
  { data, dataPath, folder, plan, signal, onEvent, onSaved }: SeedRun,
  own: Pick<FitOptions, 'model' | 'config' | 'resume'>,
): Promise<RunStanding> {
  const { reason, ...result } = await fit({
    ...own,
    data,
    out: folder,
    plan,
    ...(dataPath === undefined ? {} : { dataPath }),
    ...(signal ? { signal } : {}),
    ...(onEvent ? { onEvent } : {}),
    ...(onSaved ? { onSaved } : {}),
  })
  return { end: reason, ...standingAt(result) }
}

const standingAt = ({ step, history }: Pick<FitResult, 'step' | 'history'>) => ({
  step,
  epochs: history.length,
  testError: history.at(-1)?.testError ?? null,
})

/** Where a run that has begun stands by its files: at its end only if nothing of it is left to do, not even to write. */
export async function standingOf({
  model,
  folder,
  seed,
  config: overrides = {},
}: Pick<SeedRun, 'model' | 'folder' | 'seed' | 'config'>): Promise<RunStanding> {
  const info = await readRunInfo(folder)
  const { epochs, steps } = resumedConfig(info.config, { ...overrides, seed }, folder)
  const loaded = info.model === model.fingerprint ? await loadCheckpoint(folder) : undefined
  if (!loaded) return { end: 'interrupted', ...standingAt(startOfRun) }
  const { progress } = loaded.checkpoint
  const end = progress.epoch >= epochs ? 'finished' : progress.step >= (steps ?? Infinity) ? 'steps' : undefined
  const written = loaded.damaged === undefined && (await isPublished(folder, model, loaded.checkpoint))
  return { end: end && written ? end : 'interrupted', ...standingAt(progress) }
}

/** Whether the folder's model is that of its checkpoint, and so are its curves. */
async function isPublished(folder: string, model: TrainableModel, { state, progress }: Checkpoint): Promise<boolean> {
  const [modelFile, curves] = [join(folder, runFiles.model), join(folder, runFiles.curves)]
  const within = progress.epochStep > 0
  if (!existsSync(modelFile) || !(await readPlainFile(modelFile)).equals(model.withState(state))) return false
  if (within) return true
  const drawn = await drawCurves(progress.history, folder)
  return !('svg' in drawn) || (existsSync(curves) && (await readPlainFile(curves)).toString() === drawn.svg)
}

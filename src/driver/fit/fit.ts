// The training driver: takes any trainable model through its recipe, in a run folder that survives a crash.
import { resolve } from 'node:path'
import type { TrainableModel } from '../../core/model/trainable.js'
import { type Dataset, type ImageSet, type Split, withColumns } from '../data/dataset.js'
import { sessionPredictor } from '../evaluation/predictor.js'
import { planStep } from '../planning/plan.js'
import { folderRecord } from '../run/folderRecord.js'
import { lockFolder } from '../run/lock.js'
import { ensureFolder, openRun } from '../run/runFolder.js'
import { nodeEngine } from '../runtime/engine.js'
import type { StepPlan } from '../targets/index.js'
import { checkData } from './checks.js'
import { type FitOverrides, stepsPerRunOf } from './config.js'
import type { FitEvent } from './events.js'
import { checkRate } from './hyperparameters.js'
import type { FitResult } from './run.js'
import { settle, train } from './train.js'

export type { FitResult }

/** What {@link fit} trains, on what, and where the run folder is. */
export interface FitOptions {
  readonly model: TrainableModel
  readonly data:
    | Dataset
    | { readonly train: Split | Omit<ImageSet, 'columns'>; readonly test: Split | Omit<ImageSet, 'columns'> }
  /** The run folder; created when it is not there. */
  readonly out: string
  /** What to do otherwise than the model's recipe and the defaults say. */
  readonly config?: FitOverrides
  /** Goes on with the run in the folder; its configuration is kept, and `config` must agree with it. */
  readonly resume?: boolean
  /** How to write the step, for a run that has not decided it yet and whose configuration names no other target. */
  readonly plan?: StepPlan | undefined
  /** Where the data came from, for config.json. */
  readonly dataPath?: string
  /** Stops the run after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal
  /** Is told each event as it comes: start, steps, epochs, notices, the end. */
  readonly onEvent?: (event: FitEvent) => void
  /**
   * Awaited after each checkpoint, when everything that follows from it is written too: for who keeps a copy of the
   * folder elsewhere. The run fails with it.
   */
  readonly onSaved?: () => Promise<void>
}

/**
 * Trains a model. Every draw is a function of the seed and the position, so a run that was stopped or killed at any
 * moment and is resumed ends as the uninterrupted one would, bit for bit on the same machine with the same threads.
 * @throws UserError on bad input: model and data that do not fit, a folder that is in use or belongs to another run, a
 *   loss that is not finite, a full disk. The last good checkpoint is then still there.
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const folder = resolve(options.out)
  const resume = options.resume ?? false
  const data = withColumns(options.data)
  const { model, dataPath, config: overrides = {} } = options
  checkRate(model, overrides)
  // A run that goes on knows its own inputs, and has its folder.
  const checked = resume ? undefined : checkData(model, data, overrides.inputs)
  await ensureFolder(folder, resume)
  const unlock = lockFolder(folder)
  try {
    const {
      checkpoint,
      notice,
      plan: earlier = options.plan,
    } = await openRun({
      folder,
      model,
      data,
      dataPath,
      config: overrides,
      resume,
    })
    const { config } = checkpoint
    const tell = (message: string) => options.onEvent?.({ event: 'notice', message })
    if (notice !== undefined) tell(notice)
    const bound = checked ?? checkData(model, data, config.inputs)
    const { stepModel, hyperparameters } = settle(model, data.train.count, config)
    const { threads, runtime, device, precision, stepsPerRun } = config
    const planned = await planStep({
      model: stepModel,
      batch: Math.min(config.batchSize, data.train.count),
      wanted: config.target,
      precision,
      severalSteps: true,
      earlier: overrides.target === undefined || overrides.target === earlier?.target ? earlier : undefined,
      ...{ threads, runtime, provider: config.provider, device },
      stepsPerRun: stepsPerRun ?? undefined,
      signal: options.signal,
      onNotice: tell,
      onProgress: (done, total) => options.onEvent?.({ event: 'tuning', done, total }),
    })
    if (!planned) {
      const { step, history } = checkpoint.progress
      const state = Object.keys(checkpoint.state).length > 0 ? checkpoint.state : stepModel.state
      return { reason: 'interrupted', step, config, history, state }
    }
    const provider = planned.provider ?? config.provider
    const settings = { threads, runtime, provider, device, apart: model.foreign ?? false }
    const engine = nodeEngine(settings)
    return await train({
      ...{ model, stepModel, bound, checkpoint, planned, hyperparameters, engine },
      stepsPerRun: planned.inLoop ? (planned.stepsPerRun ?? stepsPerRunOf(config)) : undefined,
      predictor: (outputs, optimize) =>
        planned.predictor?.(outputs, settings) ??
        sessionPredictor(model, (bytes) => engine.open(bytes, { optimize }), engine.keepsPredictor),
      record: folderRecord({ folder, name: options.out, onSaved: options.onSaved, runtime, provider }),
      ...{ signal: options.signal, onEvent: options.onEvent },
    })
  } finally {
    unlock()
  }
}

// The training driver: takes any trainable model through its recipe, in a run folder that survives a crash.
import { resolve } from 'node:path'
import { UserError } from '../../core/errors.js'
import { isKnown, type Shape } from '../../core/graph/shape.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { accumulating } from '../../core/model/accumulating.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { BatchNormTraining } from '../../core/ops/index.js'
import { Epochs } from '../data/batches.js'
import { openBatches } from '../data/batchSource.js'
import { type Bound, bindColumns } from '../data/bind.js'
import { type Dataset, type ImageSet, type Split, withColumns } from '../data/dataset.js'
import { transformsOf } from '../data/transforms.js'
import { openEvaluator } from '../evaluation/splitEvaluator.js'
import { planStep } from '../planning/plan.js'
import { lockFolder } from '../run/lock.js'
import type { EpochMetrics } from '../run/metrics.js'
import { checkFits, ensureFolder, keepPlan, openRun } from '../run/runFolder.js'
import { openTrainingSession, type TrainingSession, type TrainingSessionOptions } from '../runtime/session.js'
import type { StepPlan } from '../targets/index.js'
import type { PlannedStep } from '../targets/target.js'
import { type FitConfig, type FitOverrides, stepsPerRunOf } from './config.js'
import type { EndReason, FitEvent } from './events.js'
import { Feeds } from './feeds.js'
import { checkRate, hyperparametersOf } from './hyperparameters.js'
import { Run } from './run.js'

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
  readonly onEvent?: (event: FitEvent) => void
  /**
   * Awaited after each checkpoint, when everything that follows from it is written too: for who keeps a copy of the
   * folder elsewhere. The run fails with it.
   */
  readonly onSaved?: () => Promise<void>
}

export interface FitResult {
  readonly reason: EndReason
  readonly step: number
  readonly config: FitConfig
  /** The complete epochs. */
  readonly history: readonly EpochMetrics[]
  /** State after the last step. */
  readonly state: Tensors
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
  const open: { close(): Promise<void> }[] = []
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
    const { bindings, splits } = checked ?? checkData(model, data, config.inputs)
    checkBatches(model, data.train.count, config)
    const stepModel = config.accumulate === 1 ? model : accumulating(model)
    const hyperparameters = hyperparametersOf(stepModel.signature, config)
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
    const expected = { ...stepModel.state, ...planned?.added }
    const begun = Object.keys(checkpoint.state).length > 0
    const state = begun ? checkpoint.state : expected
    if (!planned) {
      const { step, history } = checkpoint.progress
      return { reason: 'interrupted', step, config, history, state }
    }
    if (begun) checkFits(state, expected, folder)
    await keepPlan(folder, planned.plan)
    const settings = { threads, runtime, provider: planned.provider ?? config.provider, device }
    const { batchSize, dropLast, seed, augment, accumulate } = config
    const source = await openBatches(splits.training, bindings, {
      ...{ batchSize, dropLast, seed },
      transforms: transformsOf(augment),
    })
    open.push(source)
    const evaluator = await openEvaluator({ model, splits, bindings, planned, settings })
    open.push(evaluator)
    // What the runtime refuses after an epoch it refuses before the first step.
    await evaluator.check(state)
    const session = await openStep(planned, state, {
      batch: source.sizeOf(0),
      keepModels: planned.keepModels ?? false,
      optimize: planned.optimize,
      ...settings,
    })
    open.push(session)
    const totalSteps = Math.ceil(config.epochs * source.stepsPerEpoch)
    const feeds = new Feeds({
      ...{ signature: planned.signature, source, hyperparameters, seed, totalSteps, accumulate },
      stepsPerRun: planned.inLoop ? (planned.stepsPerRun ?? stepsPerRunOf(config)) : undefined,
      allOrOne: planned.allOrOne,
    })
    const parts = { options, folder, planned, session, evaluator, source, feeds, totalSteps }
    return await new Run({ ...parts, checkpoint: { ...checkpoint, state } }).go()
  } finally {
    for (const each of open.reverse()) await each.close()
    unlock()
  }
}

/** Opens a planned step on a state, which comes and goes by the names of the signature however the models have it. */
async function openStep(
  { models, signature, stepsPerRun, held }: PlannedStep<StepPlan>,
  state: Tensors,
  options: Omit<TrainingSessionOptions, 'models' | 'steps' | 'state' | 'carried'>,
): Promise<TrainingSession> {
  const steps = stepsPerRun ?? 1
  if (!held) return openTrainingSession({ ...options, models, steps, state, carried: signature.updates })
  const carried = held.updates
  const session = await openTrainingSession({ ...options, models, steps, state: held.hold(state), carried })
  return { ...session, readState: async () => held.release(await session.readState()) }
}

/**
 * Finds what feeds the step, and checks all of it.
 * @throws UserError when model and data do not fit
 */
export function checkData(
  model: TrainableModel,
  { train, test }: Dataset,
  inputs?: FitConfig['inputs'],
): Bound<'training' | 'test'> {
  const bound = bindColumns(model.signature, { training: train, test }, inputs)
  for (const { name, classes } of model.signature.targets) {
    const column = bound.splits.training.columns[name]
    const found = column?.kind === 'tensor' ? column.classes : undefined
    if (classes === undefined || !model.classes || !found || model.classes.join('\n') === found.join('\n')) continue
    throw new UserError(
      `the model's classes are ${model.classes.join(', ')}, in this order, and those of the data ${found.join(', ')}; derive a model with --data`,
    )
  }
  return bound
}

/** Whether a batch norm sees one number a channel of each example, so that a batch of one has no variance. */
const seesOne = (shape: Shape): boolean => shape.slice(2).every((dim) => isKnown(dim) && dim === 1)

/** @throws UserError for batches that the step cannot take */
function checkBatches(model: TrainableModel, count: number, config: FitConfig): void {
  const { batchSize, dropLast } = config
  const { fixedBatch } = model
  const last = new Epochs(count, { batchSize, dropLast })
  const smallest = last.sizeOf(last.stepsPerEpoch - 1)
  if (fixedBatch !== undefined) {
    if (batchSize !== fixedBatch)
      throw new UserError(
        `the training step takes ${fixedBatch} examples at a time, not ${batchSize}: give --batch ${fixedBatch}`,
      )
    if (smallest !== fixedBatch)
      throw new UserError(
        `the training step takes ${fixedBatch} examples at a time, and the last batch of an epoch has ${smallest}: add --drop-last`,
      )
  }
  if (smallest > 1) return
  const norm = model
    .graph()
    .nodes.find(({ operator, inputs: [x] }) => operator === BatchNormTraining && seesOne(x!.shape))
  if (norm)
    throw new UserError(
      `the last batch of an epoch has one example, of which the batch norm ${norm.scope} has no variance: choose another --batch, or add --drop-last`,
    )
}

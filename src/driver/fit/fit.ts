// The training driver: takes any trainable model through its recipe, in a run folder that survives a crash.
import { join, resolve } from 'node:path'
import { UserError } from '../../core/errors.js'
import { isKnown, type Shape } from '../../core/graph/shape.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { accumulating } from '../../core/model/accumulating.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { BatchNormTraining } from '../../core/ops/index.js'
import { valueAt } from '../../core/training/schedule.js'
import { Epochs } from '../data/batches.js'
import { type BatchSource, openBatches } from '../data/batchSource.js'
import { type Bound, bindColumns } from '../data/bind.js'
import { type Dataset, type ImageSet, type Split, withColumns } from '../data/dataset.js'
import { transformsOf } from '../data/transforms.js'
import { type Evaluator, openEvaluator } from '../evaluation/splitEvaluator.js'
import { planStep } from '../planning/plan.js'
import { type Checkpoint, saveCheckpoint } from '../run/checkpoint.js'
import { writeAtomically } from '../run/files.js'
import { lockFolder } from '../run/lock.js'
import {
  addBatch,
  afterEpoch,
  afterStep,
  apart,
  type EpochMetrics,
  metricsText,
  type Progress,
  type Scores,
  scoresOf,
} from '../run/metrics.js'
import { checkFits, ensureFolder, keepPlan, openRun, runFiles } from '../run/runFolder.js'
import { appendTiming, type EpochTiming, surroundings } from '../run/timing.js'
import { openTrainingSession, type TrainingSession } from '../runtime/session.js'
import type { StepPlan } from '../targets/index.js'
import type { PlannedStep } from '../targets/target.js'
import { type FitConfig, type FitOverrides, stepsPerRunOf } from './config.js'
import { drawCurves } from './drawCurves.js'
import type { EndReason, FitEvent } from './events.js'
import { Feeds } from './feeds.js'
import { hyperparametersOf } from './hyperparameters.js'

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

/** The loss or the weights are no longer finite: the same run, begun again, comes to the same. */
export class DivergedError extends UserError {
  override name = 'DivergedError'
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
  // A run that goes on knows its own inputs, and has its folder.
  if (!resume) checkData(model, data, overrides.inputs)
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
    const { bindings, splits } = checkData(model, data, config.inputs)
    checkBatches(model, data.train.count, config)
    const stepModel = config.accumulate === 1 ? model : accumulating(model)
    const hyperparameters = hyperparametersOf(stepModel.signature, config)
    const { threads, runtime, provider, device, precision } = config
    const planned = await planStep({
      model: stepModel,
      batch: Math.min(config.batchSize, data.train.count),
      wanted: config.target,
      precision,
      earlier: overrides.target === undefined || overrides.target === earlier?.target ? earlier : undefined,
      ...{ threads, runtime, provider, device },
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
    const settings = { threads, runtime, provider, device }
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
    const session = await openTrainingSession({
      models: planned.models,
      batch: source.sizeOf(0),
      state,
      carried: planned.signature.updates,
      keepModels: planned.keepModels ?? false,
      optimize: planned.optimize,
      ...settings,
    })
    open.push(session)
    const totalSteps = Math.ceil(config.epochs * source.stepsPerEpoch)
    const feeds = new Feeds({
      ...{ signature: planned.signature, source, hyperparameters, seed, totalSteps, accumulate },
      stepsPerRun: planned.inLoop ? stepsPerRunOf(config) : undefined,
    })
    const parts = { options, folder, planned, session, evaluator, source, feeds, totalSteps }
    return await new Run({ ...parts, checkpoint: { ...checkpoint, state } }).go()
  } finally {
    for (const each of open.reverse()) await each.close()
    unlock()
  }
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
  return bindColumns(model.signature, { training: train, test }, inputs)
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

interface RunParts {
  readonly options: FitOptions
  readonly folder: string
  readonly planned: PlannedStep<StepPlan>
  readonly session: TrainingSession
  readonly evaluator: Evaluator
  readonly source: BatchSource
  readonly feeds: Feeds
  /** Of all epochs. */
  readonly totalSteps: number
  readonly checkpoint: Checkpoint
}

/** Names that tell the mean of an epoch so far from a value of a batch. */
const asMeans = ({ error, metrics }: ReturnType<typeof apart>) => ({
  ...(error === undefined ? {} : { meanError: error }),
  ...(metrics ? { meanMetrics: metrics } : {}),
})

/** One process's part of a run. */
class Run {
  readonly #parts: RunParts
  readonly #emit: (event: FitEvent) => void
  readonly #saved: () => Promise<void>
  #progress: Progress
  #savedAt = performance.now()
  /** Why there are no curves, once it was said. */
  #curvesHint: string | undefined

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#progress = parts.checkpoint.progress
    this.#emit = parts.options.onEvent ?? (() => {})
    this.#saved = parts.options.onSaved ?? (async () => {})
  }

  get #config(): FitConfig {
    return this.#parts.checkpoint.config
  }

  get #aborted(): boolean {
    return this.#parts.options.signal?.aborted ?? false
  }

  get #lastStep(): number {
    return Math.min(this.#parts.totalSteps, this.#config.steps ?? Infinity)
  }

  /** Steps of the epoch in progress: the last one may be a part. */
  get #epochSteps(): number {
    const { totalSteps, source } = this.#parts
    return Math.min(source.stepsPerEpoch, totalSteps - this.#progress.epoch * source.stepsPerEpoch)
  }

  async go(): Promise<FitResult> {
    const started = performance.now()
    this.#emitStart()
    // What the files say of complete epochs follows from the checkpoint; a crash may have come between the two.
    if (this.#progress.epochStep === 0 && this.#progress.epoch > 0) {
      await this.#publish(this.#parts.checkpoint.state)
      await this.#saved()
    } else await this.#writeMetrics()
    const reason = await this.#train()
    const state = await this.#parts.session.readState()
    this.#emitEnd(reason, performance.now() - started)
    return { reason, step: this.#progress.step, config: this.#config, history: this.#progress.history, state }
  }

  async #train(): Promise<EndReason> {
    // An epoch ends with its evaluation: a run may go on from between the last step and that.
    while (this.#epochSteps > 0) {
      const { epoch, epochStep, examples } = this.#progress
      const begun = performance.now()
      while (this.#progress.epochStep < this.#epochSteps) {
        if (this.#progress.step >= this.#lastStep) return this.#stopAtStep()
        await this.#advance()
        if (this.#aborted) return this.#interrupt()
        if (performance.now() - this.#savedAt < this.#config.checkpointSeconds * 1000) continue
        await this.#save()
        await this.#saved()
      }
      const trained = performance.now()
      const own = { epoch, steps: this.#epochSteps - epochStep, images: this.#progress.examples - examples }
      const state = await this.#goodState()
      const metrics = await this.#evaluate(state)
      if (!metrics) return this.#interrupt()
      this.#progress = afterEpoch(this.#progress, metrics)
      await this.#save(state)
      await this.#publish(state)
      const ended = performance.now()
      await this.#writeTiming(own, trained - begun, ended - trained)
      await this.#saved()
      this.#emit({ event: 'epoch', ...metrics, ms: Math.round(ended - begun) })
    }
    return 'finished'
  }

  /** One run of the model: a step, or several in a loop. */
  async #advance(): Promise<void> {
    const { epoch, epochStep, step } = this.#progress
    const { feeds, session, planned } = this.#parts
    const begun = performance.now()
    const fed = await feeds.of(epoch, epochStep, this.#lastStep - step)
    const computing = session.step(fed.tensors, fed.examples)
    // The worker thread computes; meanwhile the next run's feeds are made.
    feeds.prepareAfter(fed)
    const outputs = await computing
    const { steps, examples } = fed
    const ms = Math.round(((performance.now() - begun) / steps) * 1000) / 1000
    for (let i = 0; i < steps; i++) {
      const numbers = numbersOf(outputs, steps, i)
      const fault = planned.fault?.(numbers)
      this.#count(numbers, examples, fault)
      this.#emitStep(numbers, epoch, examples, ms)
    }
  }

  /** Takes a step's outputs into the sums of the epoch. */
  #count(numbers: Readonly<Record<string, number>>, examples: number, fault: string | undefined): void {
    const { loss: name } = this.#parts.planned.signature
    const loss = numbers[name]
    if (loss === undefined) throw new UserError(`the training step gives no value "${name}" for each step`)
    if (!Number.isFinite(loss)) this.#diverged(`the loss is ${loss}`, this.#progress.step + 1)
    if (fault !== undefined) this.#diverged(fault, this.#progress.step + 1)
    const sums = addBatch(this.#progress.sums, numbers, this.#parts.planned.signature, examples)
    this.#progress = afterStep(this.#progress, sums, examples)
  }

  #emitStep(numbers: Readonly<Record<string, number>>, epoch: number, examples: number, ms: number): void {
    const { signature } = this.#parts.planned
    const means = this.#means()
    const own = addBatch({}, numbers, signature, examples)
    this.#emit({
      event: 'step',
      step: this.#progress.step,
      epoch,
      loss: numbers[signature.loss]!,
      ...apart(scoresOf(signature.metrics, own, examples)),
      ms,
      images: examples,
      meanLoss: means.loss,
      ...asMeans(apart(means.scores)),
    })
  }

  /** Over the epoch so far; zero before its first batch. */
  #means(): { readonly loss: number; readonly scores: Scores } {
    const { signature } = this.#parts.planned
    const { sums, examples } = this.#progress
    return {
      loss: examples === 0 ? 0 : sums[signature.loss]! / examples,
      scores: scoresOf(signature.metrics, sums, examples, this.#parts.evaluator.trainingVariance),
    }
  }

  /** Over the whole test set by the network that predicts; undefined when stopped on the way. */
  async #evaluate(state: Tensors): Promise<EpochMetrics | undefined> {
    const { evaluator, options, planned } = this.#parts
    const { epoch, step } = this.#progress
    // Variants of each image cost as much again for each of them: they are for the end.
    const isLast = step >= this.#parts.totalSteps
    const result = await evaluator.evaluate(state, isLast ? this.#config.testAugment : 'none', options.signal)
    if (!result) return undefined
    if (!Number.isFinite(result.loss)) this.#diverged(`the test loss is ${result.loss}`, step)
    const means = this.#means()
    const test = apart(result.scores)
    return {
      epoch,
      step,
      learningRate: this.#learningRate(epoch),
      loss: means.loss,
      ...apart(means.scores),
      testLoss: result.loss,
      ...(test.error === undefined ? {} : { testError: test.error }),
      ...(test.metrics ? { testMetrics: test.metrics } : {}),
      ...(planned.skipped ? { skippedSteps: planned.skipped(state) } : {}),
    }
  }

  /** At the beginning of an epoch. */
  #learningRate(epoch: number): number {
    const { totalSteps, source } = this.#parts
    const { stepsPerEpoch } = source
    return valueAt(this.#config.learningRate, { step: epoch * stepsPerEpoch, steps: totalSteps, stepsPerEpoch })
  }

  /** The state, checked: the loss of a step is that of the weights before it, so weights can be lost behind a good loss. */
  async #goodState(): Promise<Tensors> {
    const state = await this.#parts.session.readState()
    for (const [name, { dtype, data }] of Object.entries(state)) {
      if (dtype !== 'float32' && dtype !== 'float64') continue
      for (let i = 0; i < data.length; i++) {
        if (!Number.isFinite(data[i])) this.#diverged(`"${name}" has a value that is ${data[i]}`, this.#progress.step)
      }
    }
    return state
  }

  #diverged(what: string, step: number): never {
    const { epoch } = this.#progress
    throw new DivergedError(
      `${what} at step ${step} (epoch ${epoch}, learning rate ${this.#learningRate(epoch)}): training diverged; try a lower ` +
        `learning rate (--lr). Checkpoints in ${this.#parts.options.out} are from before it`,
    )
  }

  async #stopAtStep(): Promise<EndReason> {
    // At an epoch's start everything is written already.
    if (this.#progress.epochStep === 0 && this.#progress.step > 0) return 'steps'
    const state = await this.#goodState()
    await this.#save(state)
    await this.#writeModel(state)
    await this.#saved()
    return 'steps'
  }

  async #interrupt(): Promise<EndReason> {
    await this.#save()
    await this.#saved()
    return 'interrupted'
  }

  async #save(state?: Tensors): Promise<void> {
    const { folder, checkpoint } = this.#parts
    const now = { ...checkpoint, state: state ?? (await this.#goodState()), progress: this.#progress }
    await saveCheckpoint(folder, now)
    this.#savedAt = performance.now()
  }

  #write(name: string, content: Uint8Array | string): Promise<void> {
    return writeAtomically(join(this.#parts.folder, name), content)
  }

  #writeModel(state: Tensors): Promise<void> {
    return this.#write(runFiles.model, this.#parts.options.model.withState(state))
  }

  #writeMetrics(): Promise<void> {
    return this.#write(runFiles.metrics, metricsText(this.#progress.history))
  }

  /** Writes what follows from the complete epochs. */
  async #publish(state: Tensors): Promise<void> {
    await this.#writeMetrics()
    await this.#writeModel(state)
    const curves = await drawCurves(this.#progress.history, this.#parts.folder)
    if ('svg' in curves) await this.#write(runFiles.curves, curves.svg)
    else if (this.#curvesHint !== curves.hint) this.#emit({ event: 'notice', message: curves.hint })
    this.#curvesHint = 'hint' in curves ? curves.hint : undefined
  }

  async #writeTiming(
    own: Pick<EpochTiming, 'epoch' | 'steps' | 'images'>,
    trainingMs: number,
    evaluationMs: number,
  ): Promise<void> {
    const { batchSize, threads, runtime, provider } = this.#config
    await appendTiming(this.#parts.folder, {
      ...own,
      trainingMs: Math.round(trainingMs),
      evaluationMs: Math.round(evaluationMs),
      ...{ batchSize, threads, provider, target: this.#parts.planned.plan.target },
      ...(await surroundings(runtime, provider)),
    })
  }

  #emitStart(): void {
    const { step, epoch } = this.#progress
    const { epochs, batchSize } = this.#config
    const { stepsPerEpoch } = this.#parts.source
    this.#emit({ event: 'start', step, epoch, epochs, stepsPerEpoch, lastStep: this.#lastStep, batchSize })
  }

  #emitEnd(reason: EndReason, ms: number): void {
    const last = this.#progress.history.at(-1)
    const within = this.#progress.examples > 0 || !last
    const means = this.#means()
    const { loss, error, metrics } = within ? { loss: means.loss, ...apart(means.scores) } : last
    this.#emit({
      event: 'end',
      step: this.#progress.step,
      epoch: within ? this.#progress.epoch : last.epoch,
      loss,
      ...(error === undefined ? {} : { error }),
      ...(metrics ? { metrics } : {}),
      testLoss: last?.testLoss ?? null,
      testError: last?.testError ?? null,
      ...(last?.testMetrics ? { testMetrics: last.testMetrics } : {}),
      ms: Math.round(ms),
      reason,
    })
  }
}

/** What step `i` of a run gave, by output. */
function numbersOf(outputs: Tensors, steps: number, i: number): Readonly<Record<string, number>> {
  const entries = Object.entries(outputs).filter(([, { data }]) => data.length === steps)
  return Object.fromEntries(entries.map(([name, { data }]) => [name, Number(data[i])]))
}

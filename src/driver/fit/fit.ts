// The training driver: takes any trainable model through its recipe, in a run folder that survives a crash.
import { basename, join, resolve } from 'node:path'
import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { learningRateAt } from '../../core/model/schedule.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { Batches } from '../data/batches.js'
import type { Dataset } from '../data/imageSet.js'
import { type Evaluator, loopEvaluator, sessionEvaluator } from '../evaluation/evaluator.js'
import { planStep, type StepPlan, type TargetName } from '../planning/plan.js'
import { type Checkpoint, saveCheckpoint } from '../run/checkpoint.js'
import { writeAtomically } from '../run/files.js'
import { lockFolder } from '../run/lock.js'
import { afterEpoch, afterStep, type EpochMetrics, meansOf, metricsText, type Progress } from '../run/metrics.js'
import { ensureFolder, keepPlan, openRun, runFiles } from '../run/runFolder.js'
import { appendTiming, type EpochTiming, surroundings } from '../run/timing.js'
import { openTrainingSession, type TrainingSession } from '../runtime/session.js'
import { LOSS_SCALES, lossScaling } from '../targets/ort-cuda/steps.js'
import { type FitConfig, type FitOverrides, stepsPerRunOf } from './config.js'
import type { EndReason, FitEvent } from './events.js'
import { datasetOf, Feeds } from './feeds.js'

export interface FitOptions {
  readonly model: TrainableModel
  readonly data: Dataset
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
  checkData(options.model, options.data)
  await ensureFolder(folder, resume)
  const unlock = lockFolder(folder)
  try {
    const { model, data, dataPath, config = {} } = options
    const opened = await openRun({ folder, model, data, dataPath, config, resume })
    const { checkpoint, notice, plan: earlier = options.plan } = opened
    const tell = (message: string) => options.onEvent?.({ event: 'notice', message })
    if (notice !== undefined) tell(notice)
    const { threads, runtime, provider, device, target, precision, batchSize } = checkpoint.config
    const batch = Math.min(batchSize, data.train.count)
    const planned = await planStep({
      model,
      batch,
      wanted: target,
      precision,
      data: datasetOf(model, data.train),
      earlier: config.target === undefined || config.target === earlier?.target ? earlier : undefined,
      threads,
      runtime,
      provider,
      device,
      signal: options.signal,
      onNotice: tell,
      onProgress: (done, total) => options.onEvent?.({ event: 'tuning', done, total }),
    })
    const { state, progress } = checkpoint
    if (!planned) {
      const { step, history } = progress
      return { reason: 'interrupted', step, config: checkpoint.config, history, state }
    }
    const { plan, models, carried, optimize, inLoop, keepModels = false } = planned
    await keepPlan(folder, plan)
    const settings = { threads, runtime, provider, device, optimize }
    const session = await openTrainingSession({ models, batch, state, carried, keepModels, ...settings })
    const evaluator = inLoop ? loopEvaluator(model, data.test, settings) : sessionEvaluator(model, data.test, settings)
    try {
      const stepsPerRun = inLoop ? stepsPerRunOf(checkpoint.config) : undefined
      return await new Run(options, folder, session, evaluator, checkpoint, plan.target, stepsPerRun).go()
    } finally {
      await session.close()
      await evaluator.close()
    }
  } finally {
    unlock()
  }
}

/** The loss or the weights are no longer finite: the same run, begun again, comes to the same. */
export class DivergedError extends UserError {
  override name = 'DivergedError'
}

/** @throws UserError when model and data do not fit */
export function checkData({ signature: { imageShape, classes } }: TrainableModel, { train, test }: Dataset): void {
  for (const [name, set] of Object.entries({ training: train, test })) {
    const shape = [set.channels, set.height, set.width]
    if (String(shape) !== String(imageShape)) {
      throw new UserError(
        `the model takes images of [${imageShape.join(', ')}], the ${name} images are [${shape.join(', ')}]`,
      )
    }
    if (set.classes.length !== classes) {
      throw new UserError(`the model has ${classes} classes, the ${name} data have ${set.classes.length}`)
    }
    if (set.count === 0) throw new UserError(`there are no ${name} images`)
  }
}

/** 2^16, with which half precision begins, halved thirty times. */
const MIN_LOSS_SCALE = 2 ** -14

/** One process's part of a run. */
class Run {
  readonly #options: FitOptions
  readonly #folder: string
  readonly #session: TrainingSession
  readonly #evaluator: Evaluator
  readonly #checkpoint: Checkpoint
  readonly #config: FitConfig
  readonly #target: TargetName
  readonly #stepsPerEpoch: number
  readonly #feeds: Feeds
  readonly #emit: (event: FitEvent) => void
  readonly #saved: () => Promise<void>
  #progress: Progress
  #savedAt = performance.now()

  constructor(
    options: FitOptions,
    folder: string,
    session: TrainingSession,
    evaluator: Evaluator,
    checkpoint: Checkpoint,
    target: TargetName,
    stepsPerRun: number | undefined,
  ) {
    this.#evaluator = evaluator
    this.#options = options
    this.#folder = folder
    this.#session = session
    this.#checkpoint = checkpoint
    this.#config = checkpoint.config
    this.#target = target
    this.#progress = checkpoint.progress
    const { batchSize, seed, augment } = this.#config
    const batches = new Batches(options.data.train, { batchSize, seed, augment })
    this.#stepsPerEpoch = batches.stepsPerEpoch
    this.#feeds = new Feeds(options.model.signature, batches, this.#config, stepsPerRun)
    this.#emit = options.onEvent ?? (() => {})
    this.#saved = options.onSaved ?? (async () => {})
  }

  get #aborted(): boolean {
    return this.#options.signal?.aborted ?? false
  }

  get #lastStep(): number {
    const { epochs, steps } = this.#config
    return Math.min(epochs * this.#stepsPerEpoch, steps ?? Infinity)
  }

  async go(): Promise<FitResult> {
    const started = performance.now()
    this.#emitStart()
    // What the files say of complete epochs follows from the checkpoint; a crash may have come between the two.
    if (this.#progress.epochStep === 0 && this.#progress.epoch > 0) {
      await this.#publish(this.#checkpoint.state)
      await this.#saved()
    } else await this.#writeMetrics()
    const reason = await this.#train()
    const state = await this.#session.readState()
    this.#emitEnd(reason, performance.now() - started)
    return { reason, step: this.#progress.step, config: this.#config, history: this.#progress.history, state }
  }

  async #train(): Promise<EndReason> {
    while (this.#progress.epoch < this.#config.epochs) {
      const { epoch, epochStep, images } = this.#progress
      const begun = performance.now()
      while (this.#progress.epochStep < this.#stepsPerEpoch) {
        if (this.#progress.step >= this.#lastStep) return this.#stopAtStep()
        await this.#advance()
        if (this.#aborted) return this.#interrupt()
        if (performance.now() - this.#savedAt < this.#config.checkpointSeconds * 1000) continue
        await this.#save()
        await this.#saved()
      }
      const trained = performance.now()
      const own = { epoch, steps: this.#stepsPerEpoch - epochStep, images: this.#progress.images - images }
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
    return this.#progress.step >= this.#config.epochs * this.#stepsPerEpoch ? 'finished' : 'steps'
  }

  /** One run of the model: a step, or several in a loop. */
  async #advance(): Promise<void> {
    const { epoch, epochStep, step } = this.#progress
    const { signature } = this.#options.model
    const begun = performance.now()
    const feeds = this.#feeds.of(epoch, epochStep, this.#lastStep - step)
    const computing = this.#session.step(feeds.tensors, feeds.images)
    // The worker thread computes; meanwhile this one makes what the next run needs.
    this.#feeds.prepareAfter(feeds)
    const outputs = await computing
    const { steps, images } = feeds
    const losses = numbersOf(outputs, signature.loss, steps)
    const corrects = numbersOf(outputs, signature.correct, steps)
    const scales = LOSS_SCALES in outputs ? numbersOf(outputs, LOSS_SCALES, steps) : undefined
    const ms = Math.round(((performance.now() - begun) / steps) * 1000) / 1000
    for (const [i, loss] of losses.entries()) {
      const correct = corrects[i]!
      if (!Number.isFinite(loss)) this.#diverged(`the loss is ${loss}`, this.#progress.step + 1)
      // Halved thirty times in a row, and the gradients of a loss this small still overflow.
      if (scales && scales[i]! < MIN_LOSS_SCALE)
        this.#diverged(`the gradients overflow, whatever the loss is scaled by (${scales[i]})`, this.#progress.step + 1)
      this.#progress = afterStep(this.#progress, loss, correct, images)
      const means = meansOf(this.#progress)
      this.#emit({
        event: 'step',
        step: this.#progress.step,
        epoch,
        loss,
        error: (images - correct) / images,
        ms,
        images,
        meanLoss: means.loss,
        meanError: means.error,
      })
    }
  }

  /** Over the whole test set by the inference graph with the running statistics; undefined when stopped on the way. */
  async #evaluate(state: Tensors): Promise<EpochMetrics | undefined> {
    const result = await this.#evaluator.evaluate(state, this.#options.signal)
    if (!result) return undefined
    const { epoch, step } = this.#progress
    if (!Number.isFinite(result.loss)) this.#diverged(`the test loss is ${result.loss}`, step)
    const skipped = state[lossScaling.skipped]
    return {
      epoch,
      step,
      learningRate: learningRateAt(this.#config.learningRate, epoch),
      ...meansOf(this.#progress),
      testLoss: result.loss,
      testError: result.error,
      ...(skipped ? { skippedSteps: Number(skipped.data[0]) } : {}),
    }
  }

  /** The state, checked: the loss of a step is that of the weights before it, so weights can be lost behind a good loss. */
  async #goodState(): Promise<Tensors> {
    const state = await this.#session.readState()
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
    const rate = learningRateAt(this.#config.learningRate, epoch)
    throw new DivergedError(
      `${what} at step ${step} (epoch ${epoch}, learning rate ${rate}): training diverged; try a lower learning rate ` +
        `(--lr). Checkpoints in ${this.#options.out} are from before it`,
    )
  }

  async #stopAtStep(): Promise<EndReason> {
    // At an epoch's start everything is written already.
    if (this.#progress.epochStep === 0 && this.#progress.step > 0) return 'steps'
    const state = await this.#goodState()
    await this.#save(state)
    await writeAtomically(join(this.#folder, runFiles.model), this.#options.model.withState(state))
    await this.#saved()
    return 'steps'
  }

  async #interrupt(): Promise<EndReason> {
    await this.#save()
    await this.#saved()
    return 'interrupted'
  }

  async #save(state?: Tensors): Promise<void> {
    await saveCheckpoint(this.#folder, {
      ...this.#checkpoint,
      state: state ?? (await this.#goodState()),
      progress: this.#progress,
    })
    this.#savedAt = performance.now()
  }

  /** Writes what follows from the complete epochs. */
  async #publish(state: Tensors): Promise<void> {
    await this.#writeMetrics()
    await writeAtomically(join(this.#folder, runFiles.model), this.#options.model.withState(state))
    // The chart library takes most of a second to load, which a run that is refused should not cost.
    const { curvesSvg } = await import('./curves.js')
    const svg = curvesSvg(this.#progress.history, basename(this.#folder))
    await writeAtomically(join(this.#folder, runFiles.curves), svg)
  }

  #writeMetrics(): Promise<void> {
    return writeAtomically(join(this.#folder, runFiles.metrics), metricsText(this.#progress.history))
  }

  async #writeTiming(
    own: Pick<EpochTiming, 'epoch' | 'steps' | 'images'>,
    trainingMs: number,
    evaluationMs: number,
  ): Promise<void> {
    const { batchSize, threads, runtime, provider } = this.#config
    await appendTiming(this.#folder, {
      ...own,
      trainingMs: Math.round(trainingMs),
      evaluationMs: Math.round(evaluationMs),
      ...{ batchSize, threads, provider, target: this.#target },
      ...(await surroundings(runtime, provider)),
    })
  }

  #emitStart(): void {
    const { step, epoch } = this.#progress
    const { epochs, batchSize } = this.#config
    const stepsPerEpoch = this.#stepsPerEpoch
    this.#emit({ event: 'start', step, epoch, epochs, stepsPerEpoch, lastStep: this.#lastStep, batchSize })
  }

  #emitEnd(reason: EndReason, ms: number): void {
    const last = this.#progress.history.at(-1)
    const within = this.#progress.images > 0
    const { loss, error } = within || !last ? meansOf(this.#progress) : last
    this.#emit({
      event: 'end',
      step: this.#progress.step,
      epoch: within || !last ? this.#progress.epoch : last.epoch,
      loss,
      error,
      testLoss: last?.testLoss ?? null,
      testError: last?.testError ?? null,
      ms: Math.round(ms),
      reason,
    })
  }
}

/** The numbers of a tensor that holds one a step. */
function numbersOf(outputs: Tensors, name: string, steps: number): number[] {
  const tensor = outputs[name]
  if (tensor?.data.length !== steps) throw new UserError(`the training step gives no value "${name}" for each step`)
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number)
}

// One process's part of a run: steps, epochs, what is written of them, and where it stops.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { valueAt } from '../../core/training/schedule.js'
import type { BatchSource } from '../data/batchSource.js'
import type { Evaluator } from '../evaluation/splitEvaluator.js'
import type { Checkpoint } from '../run/checkpointFile.js'
import {
  addBatch,
  afterEpoch,
  afterStep,
  apart,
  type EpochMetrics,
  type Progress,
  type Scores,
  scoresOf,
} from '../run/metrics.js'
import type { EpochTiming } from '../run/timing.js'
import type { TrainingSession } from '../runtime/session.js'
import type { PlannedStep } from '../targets/target.js'
import type { EndReason, FitEvent } from './events.js'
import type { Feeds } from './feeds.js'
import type { RunRecord } from './record.js'
import type { FitConfig } from './settings.js'

/** The loss or the weights are no longer finite: the same run, begun again, comes to the same. */
export class DivergedError extends UserError {
  override name = 'DivergedError'
}

/** How a run is followed, and stopped. */
export interface RunControls {
  /** Stops the run after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: FitEvent) => void) | undefined
  /** Asked after each step. Where it gives a promise, a checkpoint is written and the run waits for it. */
  readonly pause?: (() => Promise<void> | undefined) | undefined
}

/** How a run ended, with its state after the last step. */
export interface FitResult {
  readonly reason: EndReason
  readonly step: number
  readonly config: FitConfig
  /** The complete epochs. */
  readonly history: readonly EpochMetrics[]
  /** State after the last step. */
  readonly state: Tensors
}

export interface RunParts extends RunControls {
  readonly model: Pick<TrainableModel, 'rateAt' | 'withState'>
  readonly record: RunRecord
  readonly planned: PlannedStep
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
export class Run {
  readonly #parts: RunParts
  readonly #emit: (event: FitEvent) => void
  #progress: Progress
  #savedAt = performance.now()
  /** Why there are no curves, once it was said. */
  #curvesHint: string | undefined

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#progress = parts.checkpoint.progress
    this.#emit = parts.onEvent ?? (() => {})
  }

  get #config(): FitConfig {
    return this.#parts.checkpoint.config
  }

  get #record(): RunRecord {
    return this.#parts.record
  }

  get #aborted(): boolean {
    return this.#parts.signal?.aborted ?? false
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
      await this.#record.saved()
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
        const paused = this.#parts.pause?.()
        if (paused) {
          await this.#save()
          await this.#record.saved()
          await paused
          if (this.#aborted) return 'interrupted'
        }
        if (performance.now() - this.#savedAt < this.#config.checkpointSeconds * 1000) continue
        await this.#save()
        await this.#record.saved()
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
      await this.#record.saved()
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
    const computing = session.step(fed.tensors, fed.examples, fed.steps)
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
    const { evaluator, model, signal, planned } = this.#parts
    const { epoch, step } = this.#progress
    // Variants of each image cost as much again for each of them: they are for the end.
    const isLast = step >= this.#parts.totalSteps
    const result = await evaluator.evaluate(state, isLast ? this.#config.testAugment : 'none', signal)
    if (!result) return undefined
    if (!Number.isFinite(result.loss)) this.#diverged(`the test loss is ${result.loss}`, step)
    const means = this.#means()
    const test = apart(result.scores)
    return {
      epoch,
      step,
      learningRate: model.rateAt?.(state) ?? this.#learningRate(epoch),
      loss: means.loss,
      ...apart(means.scores),
      testLoss: result.loss,
      ...(test.error === undefined ? {} : { testError: test.error }),
      ...(test.metrics ? { testMetrics: test.metrics } : {}),
      ...(planned.skipped ? { skippedSteps: planned.skipped(state) } : {}),
    }
  }

  /** At the beginning of an epoch, by the schedule. */
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
        `learning rate (--lr). Checkpoints in ${this.#record.where} are from before it`,
    )
  }

  async #stopAtStep(): Promise<EndReason> {
    // At an epoch's start everything is written already.
    if (this.#progress.epochStep === 0 && this.#progress.step > 0) return 'steps'
    const state = await this.#goodState()
    await this.#save(state)
    await this.#writeModel(state)
    await this.#record.saved()
    return 'steps'
  }

  async #interrupt(): Promise<EndReason> {
    await this.#save()
    await this.#record.saved()
    return 'interrupted'
  }

  async #save(state?: Tensors): Promise<void> {
    const { checkpoint } = this.#parts
    const now = { ...checkpoint, state: state ?? (await this.#goodState()), progress: this.#progress }
    await this.#record.saveCheckpoint(now)
    this.#savedAt = performance.now()
  }

  #writeModel(state: Tensors): Promise<void> {
    return this.#record.writeModel(this.#parts.model.withState(state))
  }

  #writeMetrics(): Promise<void> {
    return this.#record.writeMetrics(this.#progress.history)
  }

  /** Writes what follows from the complete epochs. */
  async #publish(state: Tensors): Promise<void> {
    await this.#writeMetrics()
    await this.#writeModel(state)
    const hint = await this.#record.drawCurves(this.#progress.history)
    if (hint !== undefined && hint !== this.#curvesHint) this.#emit({ event: 'notice', message: hint })
    this.#curvesHint = hint
  }

  async #writeTiming(
    own: Pick<EpochTiming, 'epoch' | 'steps' | 'images'>,
    trainingMs: number,
    evaluationMs: number,
  ): Promise<void> {
    const { batchSize, threads } = this.#config
    const { plan, provider = this.#config.provider } = this.#parts.planned
    await this.#record.addTiming({
      ...own,
      trainingMs: Math.round(trainingMs),
      evaluationMs: Math.round(evaluationMs),
      // Names of targets are those of the registry.
      ...{ batchSize, threads, provider, target: plan.target as NonNullable<EpochTiming['target']> },
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

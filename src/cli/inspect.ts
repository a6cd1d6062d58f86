// What rdm-fit tells of a model without training it: how its step is written on this machine, and where its time goes.

import { UserError } from '../core/errors.js'
import { accumulating } from '../core/model/accumulating.js'
import type { TrainableModel } from '../core/model/trainable.js'
import { openBatches } from '../driver/data/batchSource.js'
import type { Dataset } from '../driver/data/dataset.js'
import { transformsOf } from '../driver/data/transforms.js'
import { checkData } from '../driver/fit/checks.js'
import { type FitConfig, stepsPerRunOf } from '../driver/fit/config.js'
import type { FitEvent } from '../driver/fit/events.js'
import { Feeds } from '../driver/fit/feeds.js'
import { hyperparametersOf } from '../driver/fit/hyperparameters.js'
import { table } from '../driver/format/table.js'
import { planStep } from '../driver/planning/plan.js'
import { profileStep } from '../driver/profile/profile.js'
import { formatProfile } from '../driver/profile/table.js'
import { type StepPlan, targetOf } from '../driver/targets/index.js'
import type { PlannedStep } from '../driver/targets/target.js'

export interface InspectOptions {
  readonly model: TrainableModel
  readonly config: FitConfig
  readonly json: boolean
  readonly signal: AbortSignal
  onEvent(event: FitEvent): void
}

/** The model as the run would train it. */
const stepModelOf = ({ model, config }: InspectOptions): TrainableModel =>
  config.accumulate === 1 ? model : accumulating(model)

function planFor(
  options: InspectOptions,
  batch: number,
  severalSteps: boolean,
): Promise<PlannedStep<StepPlan> | undefined> {
  const { config, signal, onEvent } = options
  const { precision, threads, runtime, provider, device, target, stepsPerRun } = config
  return planStep({
    model: stepModelOf(options),
    batch,
    ...{ wanted: target, severalSteps },
    ...{ precision, threads, runtime, provider, device, signal },
    stepsPerRun: stepsPerRun ?? undefined,
    onNotice: (message) => onEvent({ event: 'notice', message }),
    onProgress: (done, total) => onEvent({ event: 'tuning', done, total }),
  })
}

/** The target, and what it chose or counts; undefined when stopped. */
export async function explain(options: InspectOptions): Promise<string | undefined> {
  const { config, json } = options
  const planned = await planFor(options, config.batchSize, true)
  if (!planned) return undefined
  const { precision, batchSize } = config
  const explained = targetOf(planned.plan.target).explain(planned, {
    model: stepModelOf(options),
    batch: batchSize,
    precision,
    stepsPerRun: stepsPerRunOf(config),
  })
  if (json) return `${JSON.stringify({ event: 'explain', ...explained.json })}\n`
  return `${explained.text}\n${explained.table ? `\n${table(explained.table)}` : ''}`
}

/** Where the time of a step goes; undefined when stopped. */
export async function profile(options: InspectOptions, data: Dataset, steps: number): Promise<string | undefined> {
  const { model, config, signal } = options
  const { batchSize, dropLast, seed, augment, threads, runtime, provider, device, accumulate } = config
  if (runtime !== 'node')
    throw new UserError(
      `--profile reads what ONNX Runtime's profiler writes, and --runtime ${runtime} has none: leave out one of them`,
    )
  if (provider === 'webgpu')
    throw new UserError(
      "--profile reads what ONNX Runtime's profiler writes, which ends the process with --ep webgpu now and then: leave out one of them",
    )
  const { bindings, splits } = checkData(model, data, config.inputs)
  const transforms = transformsOf(augment)
  const source = await openBatches(splits.training, bindings, { batchSize, dropLast, seed, transforms })
  try {
    const examples = source.sizeOf(0)
    const planned = await planFor(options, examples, false)
    if (!planned) return undefined
    const { models, optimize, inLoop, signature, added, held } = planned
    const stepModel = stepModelOf(options)
    const feeds = new Feeds({
      ...{ signature, source, seed, accumulate },
      hyperparameters: hyperparametersOf(stepModel.signature, config),
      totalSteps: Math.ceil(config.epochs * source.stepsPerEpoch),
      stepsPerRun: inLoop ? 1 : undefined,
    })
    const { tensors } = await feeds.of(0, 0)
    const state = { ...stepModel.state, ...added }
    const result = await profileStep({
      model: models(examples),
      feeds: { ...(held?.hold(state) ?? state), ...tensors },
      settings: { threads, provider: planned.provider ?? provider, device, optimize },
      steps,
      // Forward once, and as much again for each of the two gradients.
      nominalFlops: 2 * 3 * examples * model.multiplyAdds,
      signal,
    })
    if (!result) return undefined
    return options.json ? `${JSON.stringify({ event: 'profile', ...result })}\n` : formatProfile(result)
  } finally {
    await source.close()
  }
}

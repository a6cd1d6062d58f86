// How the step of several runs is written: decided once, before any of them.

import { accumulating } from '../../core/model/accumulating.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Dataset } from '../data/dataset.js'
import type { FitConfig } from '../fit/config.js'
import type { FitEvent } from '../fit/events.js'
import { planStep } from '../planning/plan.js'
import type { StepPlan, TargetName } from '../targets/index.js'

export interface PlanOnceOptions {
  readonly model: TrainableModel
  readonly data: Dataset
  /** Of the runs. */
  readonly config: FitConfig
  /** The target, where the user names one. */
  readonly named?: TargetName | undefined
  /** What a run of the model that has begun was decided to be. */
  readonly earlier?: StepPlan | undefined
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: FitEvent) => void) | undefined
}

/**
 * Convolutions that are timed beside another run are timed wrong.
 * @returns undefined when the signal stops it
 * @throws UserError when the runtime or its provider is not there, or the target that is asked for does not run here
 */
export async function planOnce(options: PlanOnceOptions): Promise<StepPlan | undefined> {
  const { model, data, config, named, earlier, signal, onEvent } = options
  const { batchSize, accumulate, target, precision, threads, runtime, provider, device } = config
  const planned = await planStep({
    model: accumulate === 1 ? model : accumulating(model),
    batch: Math.min(batchSize, data.train.count),
    wanted: target,
    severalSteps: true,
    earlier: named === undefined || named === earlier?.target ? earlier : undefined,
    ...{ precision, threads, runtime, provider, device, signal },
    onNotice: (message) => onEvent?.({ event: 'notice', message }),
    onProgress: (done, total) => onEvent?.({ event: 'tuning', done, total }),
  })
  return planned?.plan
}

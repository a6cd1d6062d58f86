// Targets whose step has a symbolic batch size: one model for all of them.

import type { TrainableModel } from '../../core/model/trainable.js'
import type { Target } from '../../core/targets/target.js'
import { type Plan, type PlannedStep, singleStep } from './target.js'

export function symbolicStep<P extends Plan>(model: TrainableModel, target: Target, plan: P): PlannedStep<P> {
  let bytes: Uint8Array | undefined
  const models = () => {
    bytes ??= model.step(target)
    return bytes
  }
  return { plan, models, ...singleStep(model), optimize: true, timings: new Map() }
}

// How a step is written for the runtime of a page: the seam where a target of its own goes.

import type { TrainableModel } from '../core/model/trainable.js'
import { portable } from '../core/targets/portable/index.js'
import { symbolicStep } from '../driver/targets/symbolic.js'
import type { PlannedStep } from '../driver/targets/target.js'
import type { WebProvider } from './protocol.js'

export interface WebPlanOptions {
  readonly model: TrainableModel
  /** Examples in a batch. */
  readonly batch: number
  readonly provider: WebProvider
}

export const planWebStep = async ({ model }: WebPlanOptions): Promise<PlannedStep> =>
  symbolicStep(model, portable, { target: 'portable' })

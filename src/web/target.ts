// How a step is written for the runtime of a page.

import type { TrainableModel } from '../core/model/trainable.js'
import { portable } from '../core/targets/portable/index.js'
import { webgpuSteps } from '../driver/targets/ort-webgpu/planned.js'
import { symbolicStep } from '../driver/targets/symbolic.js'
import type { PlannedStep } from '../driver/targets/target.js'
import type { WebProvider } from './protocol.js'

export interface WebPlanOptions {
  readonly model: TrainableModel
  /** Examples in a batch. */
  readonly batch: number
  readonly provider: WebProvider
}

/** One step a run: state stays where it is, so that a run costs nothing more than its launch. */
export const planWebStep = ({ model, batch, provider }: WebPlanOptions): PlannedStep =>
  provider === 'webgpu'
    ? webgpuSteps({ model, batch, stepsPerRun: 1 })
    : symbolicStep(model, portable, { target: 'portable' })

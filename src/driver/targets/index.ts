// The registry: every target that the driver knows. A target describes itself; nothing else lists them.

import { z } from 'zod'
import type { Provider, RuntimeName, SessionSettings } from '../runtime/protocol.js'
import { type OwnTargetName, ownTargetNames, type TargetName, targetNames } from './names.js'
import { ortCpuTarget } from './ort-cpu/driver.js'
import { ortCudaTarget } from './ort-cuda/driver.js'
import { ortTrainingTarget } from './ort-training/driver.js'
import { ortWebgpuTarget } from './ort-webgpu/driver.js'
import { portableTarget } from './portable/driver.js'
import type { DriverTarget, Plan } from './target.js'

const all = [portableTarget, ortCpuTarget, ortCudaTarget, ortWebgpuTarget, ortTrainingTarget] as const
// Each name has its target, and each target its name.
all satisfies readonly { readonly name: OwnTargetName }[]
ownTargetNames satisfies readonly (typeof all)[number]['name'][]

/** How a step was written, as run folders keep it. */
export const stepPlanSchema = z.union([
  portableTarget.planSchema,
  ortCpuTarget.planSchema,
  ortCudaTarget.planSchema,
  ortWebgpuTarget.planSchema,
  ortTrainingTarget.planSchema,
])
/** How the step of a run is written, decided once by {@link planStep}: taken again, it gives the same bits. */
export type StepPlan = z.infer<typeof stepPlanSchema>

export { type OwnTargetName, ownTargetNames, type TargetName, targetNames }

/** A target takes the plans of its own alone; they are told apart by its name. */
export const targetOf = (name: OwnTargetName): DriverTarget =>
  all.find((target) => target.name === name) as DriverTarget<Plan>

const fastest = { cpu: ortCpuTarget, cuda: ortCudaTarget, webgpu: ortWebgpuTarget } as const

/** The fastest of those that are for a runtime and a provider. */
export function fastestFor({ runtime = 'node', provider = 'cpu' }: SessionSettings): OwnTargetName {
  if (runtime === 'web-training') return ortTrainingTarget.name
  return fastest[provider].name
}

export interface TargetSettings {
  readonly target: TargetName
  readonly runtime: RuntimeName
  readonly provider: Provider
}

/** The target that is meant. */
export const meantBy = ({ target, ...settings }: TargetSettings): DriverTarget =>
  targetOf(target === 'auto' ? fastestFor(settings) : target)

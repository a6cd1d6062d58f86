// How a model's step will be written on this machine: by the target that is asked for, or by the fastest that gives the right step.

import { messageOf, UserError } from '../../core/errors.js'
import { graph } from '../../core/graph/graph.js'
import { constant } from '../../core/graph/value.js'
import { encodeModel } from '../../core/onnx/tensors.js'
import { writeModel } from '../../core/onnx/write.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession } from '../runtime/session.js'
import { findWebBuild } from '../runtime/webBuild.js'
import { fastestFor, type StepPlan, type TargetName, targetOf } from '../targets/index.js'
import { portableTarget } from '../targets/portable/driver.js'
import type { PlannedStep, PlanOptions as TargetOptions } from '../targets/target.js'

export interface PlanOptions extends Omit<TargetOptions, 'earlier'> {
  readonly wanted: TargetName
  readonly earlier?: StepPlan | undefined
}

/**
 * Decides how the step is written. Where `auto` meets a target that fails, it falls back to the portable step and says why.
 * @returns undefined when the signal stops it
 * @throws UserError when the provider is not there, or the target that is asked for does not run here
 */
export async function planStep({ earlier, ...options }: PlanOptions): Promise<PlannedStep<StepPlan> | undefined> {
  const { wanted, runtime = 'node', provider = 'cpu', precision = 'fp32' } = options
  const target = targetOf(wanted === 'auto' ? fastestFor(options) : wanted)
  // A CPU target says itself that it is not for a GPU.
  if (target.providers.includes(provider) || wanted === 'auto') await requireProvider(options)
  const asPortable = () => portableTarget.plan({ ...options, earlier: undefined })
  if (target === portableTarget) return asPortable()
  if (wanted === 'auto' && !target.inLoop && earlier?.target === 'portable') return asPortable()
  let problem: string
  try {
    if (runtime !== target.runtime) throw new UserError(`it is for the runtime ${target.runtime}, not ${runtime}`)
    if (!target.providers.includes(provider))
      throw new UserError(`it is for the ${target.providers.join(' or ')} provider, not ${provider}`)
    const planned = await target.plan({ ...options, earlier: earlier?.target === target.name ? earlier : undefined })
    // A target of the registry gives a plan of the registry.
    return planned as PlannedStep<StepPlan> | undefined
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    problem = messageOf(error)
  }
  if (wanted === target.name || precision !== 'fp32')
    throw new UserError(`target ${target.name} does not train this model here: ${problem}; use --target portable`)
  options.onNotice?.(`training with the portable step, which is slower: ${problem}`)
  return asPortable()
}

/** @throws UserError saying what to install when the runtime or its provider is not there */
export async function requireProvider(settings: SessionSettings): Promise<void> {
  const { runtime = 'node', provider = 'cpu', device = 0 } = settings
  if (runtime === 'web-training') findWebBuild()
  // What is there after a plain install.
  if (provider === 'cpu') return
  const something = graph('something', [], { one: constant('float32', 1) })
  const bytes = encodeModel(writeModel({ graph: something, weights: new Map() }))
  const session = await openSession(bytes, { runtime, provider, device, threads: 1 })
  await session.close()
}

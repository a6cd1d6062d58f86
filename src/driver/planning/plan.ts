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

/** What {@link planStep} decides for: a model, a batch size, a runtime and the target that is wanted. */
export interface PlanOptions extends Omit<TargetOptions, 'earlier'> {
  readonly wanted: TargetName
  readonly earlier?: StepPlan | undefined
}

/**
 * Decides how the step is written. Where `auto` meets a target that fails, it falls back to the portable step and says why. WebGPU is
 * for whatever GPU there is: where there is none, and where its step is wrong, the CPU trains, and a notice says why.
 * @returns undefined when the signal stops it
 * @throws UserError when the provider is not there, or the target that is asked for does not run here
 */
export async function planStep(options: PlanOptions): Promise<PlannedStep<StepPlan> | undefined> {
  const { wanted, runtime = 'node', provider = 'cpu', precision = 'fp32', earlier } = options
  const target = targetOf(wanted === 'auto' ? fastestFor(options) : wanted)
  // A CPU target says itself that it is not for a GPU.
  if (target.providers.includes(provider) || wanted === 'auto') {
    const absent = await absenceOf(options)
    if (absent && provider === 'webgpu') return onCpu(options, absent.message)
    if (absent) throw absent
  }
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
  // By the same kernels the portable step would go wrong as well.
  if (provider === 'webgpu') return onCpu(options, problem)
  options.onNotice?.(`training with the portable step, which is slower: ${problem}`)
  return asPortable()
}

/** The step on the CPU instead. */
async function onCpu(options: PlanOptions, why: string): Promise<PlannedStep<StepPlan> | undefined> {
  options.onNotice?.(`training on the CPU, which is slower: ${why}`)
  const planned = await planStep({ ...options, provider: 'cpu' })
  return planned && { ...planned, provider: 'cpu' }
}

/** @throws UserError saying what to install when the runtime or its provider is not there, and no other would do */
export async function requireProvider(settings: SessionSettings): Promise<void> {
  const absent = settings.provider === 'webgpu' ? undefined : await absenceOf(settings)
  if (absent) throw absent
}

/** What to install where the runtime or its provider is not there; undefined where both are. */
async function absenceOf(settings: SessionSettings): Promise<UserError | undefined> {
  const { runtime = 'node', provider = 'cpu', device = 0 } = settings
  try {
    if (runtime === 'web-training') findWebBuild()
    // What is there after a plain install.
    if (provider === 'cpu') return undefined
    const something = graph('something', [], { one: constant('float32', 1) })
    const bytes = encodeModel(writeModel({ graph: something, weights: new Map() }))
    const session = await openSession(bytes, { runtime, provider, device, threads: 1 })
    await session.close()
    return undefined
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
}

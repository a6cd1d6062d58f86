// Profiles a training step: where its time goes, against what the machine can do.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf, UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { GraphProto, NodeProto } from '../../core/onnx/protos.js'
import { decodeModel } from '../../core/onnx/tensors.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { mostSeconds, RequestThread } from '../threads/thread.js'
import { type Profile, profileOf } from './aggregate.js'
import type { StepTimes } from './events.js'
import { operatorLabel } from './names.js'
import { measureSgemmPeak } from './sgemm.js'

/** The step that {@link profileStep} times, and how often. */
export interface ProfileOptions {
  /** One training step as a plain model, all of whose state tensors are inputs. */
  readonly model: Uint8Array
  /** State and one batch: every step is given the same. */
  readonly feeds: Tensors
  readonly settings?: SessionSettings
  /** Steps to measure; 5 when left out. */
  readonly steps?: number
  /** Steps before them, which do not count; 2 when left out. */
  readonly warmUp?: number
  /** Floating-point operations of a step by the usual count, for the report. */
  readonly nominalFlops?: number
  /** The sgemm peak in GFLOP/s; measured when left out. */
  readonly peak?: number
  /** Ends the work after the step in progress. */
  readonly signal?: AbortSignal
}

export type ProfileRequest =
  | {
      readonly kind: 'open'
      readonly model: Uint8Array
      readonly feeds: Tensors
      readonly settings: SessionSettings
      /** An empty folder for the profiler's file. */
      readonly folder: string
    }
  | { readonly kind: 'step' }
  | { readonly kind: 'times'; readonly warmUp: number }

export interface ProfileReplies {
  readonly open: undefined
  readonly step: undefined
  readonly times: StepTimes
}

/** The times of the steps; undefined when the signal came first. The model may be one that the runtime does not survive. */
async function inProcess(
  { model, feeds, settings = {}, steps = 5, warmUp = 2, signal }: ProfileOptions,
  folder: string,
): Promise<StepTimes | undefined> {
  const file = new URL('./worker.js', import.meta.url)
  const thread = new RequestThread<ProfileRequest, ProfileReplies>(file, 'the process that is profiled', {
    seconds: mostSeconds(),
  })
  try {
    await thread.request({ kind: 'open', model, feeds, settings, folder })
    for (let i = 0; i < warmUp + steps; i++) {
      if (signal?.aborted) return undefined
      await thread.request({ kind: 'step' })
    }
    return await thread.request({ kind: 'times', warmUp })
  } finally {
    await thread.end()
  }
}

async function temporaryFolder(): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), 'rdm-profile-'))
  } catch (error) {
    throw new UserError(`cannot make a temporary folder for the profile: ${messageOf(error)}`)
  }
}

/** The nodes of a graph and of the graphs that are bodies of them, such as a loop's. */
const nodesOf = (graph: GraphProto | null | undefined): NodeProto[] =>
  (graph?.node ?? []).flatMap((node) => [node, ...(node.attribute ?? []).flatMap(({ g }) => nodesOf(g))])

/** The label of each node's operator. The profiler leaves the domain out; the model has it, by the node's name. */
function operatorsOf(model: Uint8Array): (name: string, operator: string) => string {
  const nodes = new Map(nodesOf(decodeModel(model).graph).map((node) => [node.name, node]))
  return (name, operator) => {
    const node = nodes.get(name)
    // Convolutions that the runtime put into blocks by itself are named after their output.
    const blocked = node === undefined && name.endsWith('_nchwc')
    const domain = node?.opType === operator ? (node.domain ?? '') : blocked ? 'com.microsoft.nchwc' : ''
    return operatorLabel(operator, domain)
  }
}

/**
 * Runs a step some times under ONNX Runtime's profiler, in a process of its own, and adds up what its nodes take. On the CUDA
 * provider a node's time is that of its launch. Resolves to undefined when the signal stops it.
 * @throws UserError when ONNX Runtime refuses the model or the feeds or does not survive them, or there is no place for the
 *   profile
 */
export async function profileStep(options: ProfileOptions): Promise<Profile | undefined> {
  const { model, settings = {}, nominalFlops, signal } = options
  if (signal?.aborted) return undefined
  const operator = operatorsOf(model)
  const folder = await temporaryFolder()
  let times: StepTimes | undefined
  try {
    times = await inProcess(options, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  if (!times) return undefined
  // After the step's session is gone: one that waits would spin its threads beside this one.
  const peak = options.peak ?? (await measureSgemmPeak(settings))
  return profileOf(times, { operator, peak, nominalFlops })
}

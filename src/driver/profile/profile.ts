// Profiles a training step: where its time goes, against what the machine can do.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { messageOf, UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { GraphProto, NodeProto } from '../../core/onnx/protos.js'
import { decodeModel } from '../../core/onnx/tensors.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { copyTensor, memoryOf } from '../runtime/tensor.js'
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

/** What the worker thread is to do. */
export interface ProfileJob {
  readonly model: Uint8Array
  readonly feeds: Tensors
  readonly settings: SessionSettings
  readonly steps: number
  readonly warmUp: number
  /** An empty folder for the profiler's file. */
  readonly folder: string
  /** Shared memory of one number: other than 0, the thread stops before the next step. */
  readonly stop: Int32Array
}

export type ProfileAnswer =
  | { readonly times: StepTimes | undefined }
  | { readonly failure: { readonly message: string; readonly user: boolean } }

/**
 * The worker's answer; undefined when the signal came first. The thread is gone when this returns; it ends by itself,
 * because the process dies when a thread is ended within the runtime.
 */
async function inWorker(
  job: Omit<ProfileJob, 'stop'>,
  signal: AbortSignal | undefined,
): Promise<StepTimes | undefined> {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const model = new Uint8Array(job.model)
  const feeds = Object.fromEntries(Object.entries(job.feeds).map(([name, tensor]) => [name, copyTensor(tensor)]))
  const onAbort = () => Atomics.store(stop, 0, 1)
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort)
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { ...job, model, feeds, stop } satisfies ProfileJob,
    transferList: [model.buffer, ...memoryOf(feeds)],
  })
  try {
    const answer = await new Promise<ProfileAnswer>((resolve, reject) => {
      let found: ProfileAnswer | undefined
      worker.on('message', (message: ProfileAnswer) => {
        found = message
      })
      worker.on('error', (error) => reject(new Error(`the profiler's thread failed: ${messageOf(error)}`)))
      worker.on('exit', (code) =>
        found ? resolve(found) : reject(new Error(`the profiler's thread ended with code ${code}`)),
      )
    })
    if ('times' in answer) return answer.times
    const { message, user } = answer.failure
    throw user ? new UserError(message) : new Error(message)
  } finally {
    signal?.removeEventListener('abort', onAbort)
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
 * Runs a step some times under ONNX Runtime's profiler, off this thread, and adds up what its nodes take. On the CUDA
 * provider a node's time is that of its launch. Resolves to undefined when the signal stops it.
 * @throws UserError when ONNX Runtime refuses the model or the feeds, or there is no place for the profile
 */
export async function profileStep(options: ProfileOptions): Promise<Profile | undefined> {
  const { model, feeds, settings = {}, steps = 5, warmUp = 2, nominalFlops, signal } = options
  const operator = operatorsOf(model)
  const folder = await temporaryFolder()
  let times: StepTimes | undefined
  try {
    times = await inWorker({ model, feeds, settings, steps, warmUp, folder }, signal)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  if (!times) return undefined
  // After the step's session is gone: one that waits would spin its threads beside this one.
  const peak = options.peak ?? (await measureSgemmPeak(settings))
  return profileOf(times, { operator, peak, nominalFlops })
}

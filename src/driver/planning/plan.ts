// How a model's step will be written on this machine: the target, and for `ort-cpu` the way of each convolution.

import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { messageOf, UserError } from '../../core/errors.js'
import { type Graph, graph } from '../../core/graph/graph.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { constant } from '../../core/graph/value.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { encodeModel } from '../../core/onnx/tensors.js'
import { writeModel } from '../../core/onnx/write.js'
import { portable } from '../../core/targets/portable/index.js'
import type { Target } from '../../core/targets/target.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession, type StepModels } from '../runtime/session.js'
import { findWebBuild } from '../runtime/webBuild.js'
import type { Call } from '../targets/ort-cpu/candidates.js'
import { ortCpu } from '../targets/ort-cpu/index.js'
import { ortCuda, type Precision } from '../targets/ort-cuda/index.js'
import { trainingSteps } from '../targets/ort-cuda/steps.js'
import { ortTraining } from '../targets/ort-training/index.js'
import { fingerprint, TuningCache } from './cache.js'
import { compareSteps } from './compare.js'
import { probeBlock } from './probe.js'
import { type Timing, Tuner } from './tune.js'

/** `auto` takes the fastest target that gives the right step here. */
export const targetNames = ['auto', 'portable', 'ort-cpu', 'ort-cuda', 'ort-training'] as const
export type TargetName = (typeof targetNames)[number]

export const stepPlanSchema = z.discriminatedUnion('target', [
  z.strictObject({ target: z.literal('portable') }),
  z.strictObject({ target: z.literal('ort-cuda') }),
  z.strictObject({ target: z.literal('ort-training') }),
  z.strictObject({
    target: z.literal('ort-cpu'),
    /** Channels in a block of the machine that the plan is for. */
    block: z.int().min(2).max(64),
    /** Call → way. */
    choices: z.record(z.string(), z.string()),
  }),
])
export type StepPlan = Readonly<z.infer<typeof stepPlanSchema>>
type CpuPlan = Extract<StepPlan, { target: 'ort-cpu' }>

export interface PlanOptions extends SessionSettings {
  readonly model: TrainableModel
  /** Images in a batch. */
  readonly batch: number
  readonly wanted: TargetName
  /** For ort-cuda; fp32 unless given. */
  readonly precision?: Precision
  /** The data set and its labels, by their names in the step: kept in the model where steps are taken in a loop. */
  readonly data?: Tensors
  /** The plan of an earlier part of the run: taken again where it is for this machine. */
  readonly earlier?: StepPlan | undefined
  onNotice?(message: string): void
  /** While convolutions are timed. */
  onProgress?(done: number, total: number): void
  readonly signal?: AbortSignal | undefined
  /** Where timings are kept; the user's cache folder unless given. */
  readonly cacheFile?: string
  /** Finds the block; another one is for tests, as is another comparison. */
  readonly probe?: typeof probeBlock
  readonly compare?: typeof compareSteps
}

export interface PlannedStep {
  readonly plan: StepPlan
  readonly models: StepModels
  /** Output of the models → the state tensor that it replaces. */
  readonly carried: Readonly<Record<string, string>>
  /** Whether the models take many steps a run (targets/ort-cuda/steps.ts), each cut from the data set. */
  readonly inLoop: boolean
  /** Whether models for several batch sizes stay open side by side. */
  readonly keepModels?: boolean
  /** Whether the runtime should rewrite the step's graph: what ort-cpu writes is fast as it stands. */
  readonly optimize: boolean
  /** Timings of the calls that were a choice. */
  readonly timings: ReadonlyMap<string, Timing>
}

/** A step with a symbolic batch size: one model for all of them. */
function symbolicStep(model: TrainableModel, target: Target, plan: StepPlan): PlannedStep {
  let bytes: Uint8Array | undefined
  const models = () => {
    bytes ??= model.step(target)
    return bytes
  }
  return { plan, models, ...singleSteps(model), optimize: true, timings: new Map() }
}

const portableStep = (model: TrainableModel) => symbolicStep(model, portable, { target: 'portable' })

const singleSteps = ({ carried }: TrainableModel) => ({ carried, inLoop: false })

/**
 * On a GPU a model for each batch size, which stays open: cuDNN looks for its kernels anew where a shape changes, which for
 * RDM-83 on an H200 takes 4 s in float32 and 8 s in half precision, twice an epoch.
 */
function cudaSteps({ model, precision = 'fp32', data = {}, provider }: PlanOptions): PlannedStep {
  const fixed = provider === 'cuda' && model.fixedBatch === undefined
  const stepsFor = (batch?: number) => trainingSteps(model.graph(batch), model.signature, model.carried, { precision })
  const written = new Map<number | undefined, Uint8Array>()
  const models = (batch: number) => {
    const key = fixed ? batch : undefined
    const known = written.get(key)
    if (known) return known
    const { graph, carried } = stepsFor(key)
    const bytes = model.encode(graph, { constants: data, carried })
    written.set(key, bytes)
    return bytes
  }
  const { carried } = stepsFor()
  return {
    plan: { target: 'ort-cuda' },
    models,
    carried,
    inLoop: true,
    keepModels: fixed,
    optimize: true,
    timings: new Map(),
  }
}

/** The step for each batch size; a graph that is lowered already need not be lowered again. */
function cpuModels(model: TrainableModel, plan: CpuPlan, lowered = new Map<number, Graph>()): StepModels {
  const written = new Map<number, Uint8Array>()
  return (batch) => {
    const known = written.get(batch)
    if (known) return known
    const bytes = model.encode(lowered.get(batch) ?? targetOf(plan).lower(model.graph(batch)))
    written.set(batch, bytes)
    lowered.delete(batch)
    return bytes
  }
}

const targetOf = ({ block, choices }: CpuPlan) =>
  ortCpu({ block, choose: (key) => (Object.hasOwn(choices, key) ? choices[key] : undefined) })

/**
 * Decides how the step is written: probes the machine, times what has not been timed yet, compares the result with the
 * portable step, and falls back to that one, saying why, where anything fails.
 * @returns undefined when the signal stops it
 * @throws UserError when the provider is not there, or the target that is asked for does not run here
 */
export async function planStep(options: PlanOptions): Promise<PlannedStep | undefined> {
  const { model, wanted, runtime = 'node', provider = 'cpu', precision = 'fp32', earlier } = options
  if (wanted !== 'ort-cpu') await requireProvider(options)
  if (wanted === 'portable') return portableStep(model)
  const target = wanted !== 'auto' ? wanted : fastestFor(options)
  if (wanted === 'auto' && target !== 'ort-cuda' && earlier?.target === 'portable') return portableStep(model)
  let problem: string
  try {
    const needed = target === 'ort-training' ? 'web-training' : 'node'
    if (runtime !== needed) throw new UserError(`it is for the runtime ${needed}, not ${runtime}`)
    if (target === 'ort-cuda') return await planForCuda(options)
    if (provider !== 'cpu') throw new UserError(`it is for the cpu provider, not ${provider}`)
    return await (target === 'ort-training' ? planForTraining(options) : planForCpu(options))
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    problem = messageOf(error)
  }
  if (wanted === target || precision !== 'fp32')
    throw new UserError(`target ${target} does not train this model here: ${problem}; use --target portable`)
  options.onNotice?.(`training with the portable step, which is slower: ${problem}`)
  return portableStep(model)
}

const fastestFor = ({ runtime = 'node', provider = 'cpu' }: SessionSettings) =>
  runtime === 'web-training' ? 'ort-training' : provider === 'cuda' ? 'ort-cuda' : 'ort-cpu'

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

/** A loss scale for the comparison of one step: large enough for gradients of an average over a few images. */
const COMPARISON_SCALE = 1024

async function planForCuda(options: PlanOptions): Promise<PlannedStep> {
  const { model, threads, provider = 'cpu', device = 0, precision = 'fp32', compare = compareSteps } = options
  const cache = await TuningCache.open({ provider, device }, options.cacheFile)
  const proof = fingerprint(model.fingerprint, 'ort-cuda', precision)
  if (!cache.isVerified(proof)) {
    const lossScale = precision === 'fp16' ? { lossScale: constant('float32', COMPARISON_SCALE) } : {}
    const few = model.fixedBatch ?? 16
    const candidate = model.step(ortCuda({ precision, ...lossScale }), few)
    const onCpu = { ...(threads === undefined ? {} : { threads }), optimize: false }
    const problem = await compare(model, model.step(portable, few), candidate, few, onCpu, {
      settings: provider === 'cpu' ? onCpu : { provider, device },
      coarse: precision === 'fp16' || provider !== 'cpu',
    })
    if (problem) throw new UserError(`its step by the ${provider} provider is not the portable step (${problem})`)
    cache.keepVerified(proof)
    await cache.save()
  }
  return cudaSteps(options)
}

async function planForTraining(options: PlanOptions): Promise<PlannedStep> {
  const { model, threads = availableParallelism(), compare = compareSteps } = options
  const settings = { runtime: 'web-training', threads } as const
  const planned = symbolicStep(model, ortTraining, { target: 'ort-training' })
  const cache = await TuningCache.open(settings, options.cacheFile)
  const proof = fingerprint(model.fingerprint, 'ort-training')
  if (!cache.isVerified(proof)) {
    const few = model.fixedBatch ?? 16
    const problem = await compare(model, model.step(portable), planned.models(few), few, settings)
    if (problem) throw new UserError(`its step is not the portable step (${problem})`)
    cache.keepVerified(proof)
    await cache.save()
  }
  return planned
}

async function planForCpu(options: PlanOptions): Promise<PlannedStep | undefined> {
  const { model, batch, earlier, probe = probeBlock, compare = compareSteps, threads, signal } = options
  const settings: SessionSettings = { ...(threads === undefined ? {} : { threads }), optimize: false }
  const block = await probe(settings)
  if (block === undefined) throw new UserError('this ONNX Runtime has no blocked convolutions')
  if (earlier?.target === 'ort-cpu' && earlier.block === block)
    return {
      plan: earlier,
      models: cpuModels(model, earlier),
      ...singleSteps(model),
      optimize: false,
      timings: new Map(),
    }

  const cache = await TuningCache.open({ threads: threads ?? availableParallelism(), block }, options.cacheFile)
  let timings: Map<string, Timing>
  let lowered: Graph
  // What is chosen decides in which layout the next operator gets its operands: new calls may turn up.
  for (;;) {
    const missing = new Map<string, { call: Call; names: readonly string[] }>()
    timings = new Map()
    lowered = ortCpu({
      block,
      choose(key, names, call) {
        if (names.length === 1) return undefined
        const timing = cache.timing(batch, key)
        if (timing) timings.set(key, timing)
        else missing.set(key, { call, names })
        return timing?.choice
      },
    }).lower(model.graph(batch))
    if (missing.size === 0) break
    let done = 0
    const tuner = new Tuner(block, settings)
    try {
      for (const [key, { call, names }] of missing) {
        if (signal?.aborted) return undefined
        options.onProgress?.(done++, missing.size)
        const timing = await tuner.time(call, names)
        if (!timing) throw new UserError(`ONNX Runtime runs no way of ${key}`)
        cache.keep(batch, key, timing)
      }
    } finally {
      await tuner.close()
      await cache.save()
    }
    options.onProgress?.(done, missing.size)
  }

  const choices = Object.fromEntries([...timings].map(([key, { choice }]) => [key, choice]))
  const plan: CpuPlan = { target: 'ort-cpu', block, choices }
  const models = cpuModels(model, plan, new Map([[batch, lowered]]))
  const proof = fingerprint(model.fingerprint, JSON.stringify(plan))
  if (!cache.isVerified(proof)) {
    // Whole blocks of images, so that the ways that need them are compared too.
    const few = model.fixedBatch ?? 2 * block
    const problem = await compare(model, model.step(portable), models(few), few, settings)
    if (problem) throw new UserError(`its step is not the portable step (${problem})`)
    cache.keepVerified(proof)
    await cache.save()
  }
  return { plan, models, ...singleSteps(model), optimize: false, timings }
}

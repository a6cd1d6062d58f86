// Target `ort-cpu` to the driver: probes the machine, times what has not been timed yet, and compares the result with the
// portable step.

import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { UserError } from '../../../core/errors.js'
import type { Graph } from '../../../core/graph/graph.js'
import type { TrainableModel } from '../../../core/model/trainable.js'
import { portable } from '../../../core/targets/portable/index.js'
import { fingerprint, TuningCache, tuningFile } from '../../planning/cache.js'
import { compareSteps } from '../../planning/compare.js'
import type { SessionSettings } from '../../runtime/protocol.js'
import type { StepModels } from '../../runtime/session.js'
import { type DriverTarget, type PlanOptions, singleStep, type Timing } from '../target.js'
import type { Call } from './candidates.js'
import { ortCpu } from './index.js'
import { probeBlock } from './probe.js'
import { Tuner } from './tune.js'

const planSchema = z.strictObject({
  target: z.literal('ort-cpu'),
  /** Channels in a block of the machine that the plan is for. */
  block: z.int().min(2).max(64),
  /** Call → candidate. */
  choices: z.record(z.string(), z.string()),
})
type CpuPlan = Readonly<z.infer<typeof planSchema>>

const targetOf = ({ block, choices }: CpuPlan) =>
  ortCpu({ block, choose: (key) => (Object.hasOwn(choices, key) ? choices[key] : undefined) })

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

/** The graph lowered by the fastest candidates; what has no timing yet is timed. Undefined when stopped. */
async function tuned(
  { model, batch, signal, onProgress }: PlanOptions<CpuPlan>,
  block: number,
  settings: SessionSettings,
  cache: TuningCache,
): Promise<{ readonly lowered: Graph; readonly timings: ReadonlyMap<string, Timing> } | undefined> {
  // What is chosen decides in which layout the next operator gets its operands: new calls may turn up.
  for (;;) {
    const missing = new Map<string, { call: Call; names: readonly string[] }>()
    const timings = new Map<string, Timing>()
    const lowered = ortCpu({
      block,
      choose(key, names, call) {
        if (names.length === 1) return undefined
        const timing = cache.timing(batch, key)
        if (timing) timings.set(key, timing)
        else missing.set(key, { call, names })
        return timing?.choice
      },
    }).lower(model.graph(batch))
    if (missing.size === 0) return { lowered, timings }
    let done = 0
    const tuner = new Tuner(block, settings)
    try {
      for (const [key, { call, names }] of missing) {
        if (signal?.aborted) return undefined
        onProgress?.(done++, missing.size)
        const timing = await tuner.time(call, names)
        if (!timing) throw new UserError(`ONNX Runtime runs no candidate for ${key}`)
        cache.keep(batch, key, timing)
        timings.set(key, timing)
      }
    } finally {
      await tuner.close()
      await cache.save()
    }
    onProgress?.(done, missing.size)
    // What has no timing is written by the first of its candidates.
    if ([...missing].every(([key, { names }]) => timings.get(key)!.choice === names[0])) return { lowered, timings }
  }
}

export const ortCpuTarget: DriverTarget<CpuPlan> = {
  name: 'ort-cpu',
  about: 'as rdm-fit runs it on this CPU',
  runtime: 'node',
  providers: ['cpu'],
  precisions: ['fp32'],
  inLoop: false,
  fixesBatch: true,
  planSchema,

  async plan(options) {
    const { model, batch, earlier, probe = probeBlock, compare = compareSteps, threads } = options
    const settings: SessionSettings = { ...(threads === undefined ? {} : { threads }), optimize: false }
    const block = await probe(settings)
    if (block === undefined) throw new UserError('this ONNX Runtime has no blocked convolutions')
    // What it writes is fast as it stands.
    const written = { ...singleStep(model), optimize: false }
    if (earlier?.block === block)
      return { plan: earlier, models: cpuModels(model, earlier), ...written, timings: new Map() }

    const cache = await TuningCache.open({ threads: threads ?? availableParallelism(), block }, options.cacheFile)
    const found = await tuned(options, block, settings, cache)
    if (!found) return undefined
    const { lowered, timings } = found
    const choices = Object.fromEntries([...timings].map(([key, { choice }]) => [key, choice]))
    const plan: CpuPlan = { target: 'ort-cpu', block, choices }
    const models = cpuModels(model, plan, new Map([[batch, lowered]]))
    const proof = fingerprint(model.fingerprint, JSON.stringify(plan))
    if (!cache.isVerified(proof)) {
      // Whole blocks of images, so that the candidates that need them are compared too.
      const few = model.fixedBatch ?? 2 * block
      // With a known batch ONNX Runtime opens the reference in a third of the time. It gets one thread; the candidate has those that
      // it will train with, since what they do to each other is a part of what is compared.
      const [reference, slow] = [model.step(portable, few), { ...settings, threads: 1 }]
      const problem = await compare(model, reference, () => models(few), few, slow, { settings, coarse: false })
      if (problem) throw new UserError(`its step is not the portable step (${problem})`)
      cache.keepVerified(proof)
      await cache.save()
    }
    return { plan, models, ...written, timings }
  },

  async write(options) {
    const planned = await ortCpuTarget.plan(options)
    return planned?.models(options.batch)
  },

  explain({ plan, timings }, { batch }) {
    const calls = [...timings].map(([call, { choice, ms }]) => ({ call, choice, ms }))
    const others = (ms: Readonly<Record<string, number>>, choice: string) =>
      Object.entries(ms)
        .filter(([name]) => name !== choice)
        .sort(([, a], [, b]) => a - b)
        .map(([name, time]) => `${name} ${time.toFixed(2)}`)
        .join(', ')
    const rows = calls.map(({ call, choice, ms }) => [call, choice, ms[choice]?.toFixed(2) ?? '', others(ms, choice)])
    return {
      json: { ...plan, batchSize: batch, calls },
      text: `target ort-cpu: blocks of ${plan.block} channels, batch ${batch}; timings are kept in ${tuningFile()}`,
      table: [['call', 'candidate', 'ms', 'others, ms'], ...rows],
    }
  },
}

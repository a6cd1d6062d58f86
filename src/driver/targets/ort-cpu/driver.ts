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
import { stepsInLoop } from '../loop.js'
import { type DriverTarget, type PlanOptions, singleStep, type Timing } from '../target.js'
import type { Call } from './candidates.js'
import { ortCpu } from './index.js'
import { probeBlock } from './probe.js'
import { stepsPerRunOf } from './stepsPerRun.js'
import { Tuner } from './tune.js'

const planSchema = z.strictObject({
  target: z.literal('ort-cpu'),
  /** Channels in a block of the machine that the plan is for. */
  block: z.int().min(2).max(64),
  /** Call → candidate. */
  choices: z.record(z.string(), z.string()),
  /** In a loop; one without it unless given. */
  stepsPerRun: z.int().min(2).optional(),
})
type CpuPlan = Readonly<z.infer<typeof planSchema>>

const targetOf = ({ block, choices }: Pick<CpuPlan, 'block' | 'choices'>) =>
  ortCpu({ block, choose: (key) => (Object.hasOwn(choices, key) ? choices[key] : undefined) })

/** The step for each batch size, or so many in a loop; a graph that is lowered already need not be lowered again. */
function cpuModels(model: TrainableModel, plan: CpuPlan, lowered = new Map<number, Graph>()): StepModels {
  const { stepsPerRun = 1 } = plan
  const written = new Map<number, Uint8Array>()
  return (batch) => {
    const known = written.get(batch)
    if (known) return known
    const step = lowered.get(batch) ?? targetOf(plan).lower(model.graph(batch))
    const bytes = model.encode(stepsPerRun === 1 ? step : stepsInLoop(step, model.signature))
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

const inRuns = ({ stepsPerRun }: CpuPlan) => (stepsPerRun === undefined ? '' : `, up to ${stepsPerRun} steps a run`)

/** The plan of a step as it stands, without a loop. */
const ofOne = (plan: CpuPlan): CpuPlan => ({ ...plan, stepsPerRun: undefined })

interface Decided {
  readonly plan: CpuPlan
  readonly timings: ReadonlyMap<string, Timing>
  /** By its batch size; none where an earlier plan is taken again. */
  readonly lowered: Map<number, Graph>
}

/** The plan for this machine, compared with the portable step; undefined when stopped. */
async function decide(options: PlanOptions<CpuPlan>): Promise<Decided | undefined> {
  const { model, batch, earlier, severalSteps = false, probe = probeBlock, compare = compareSteps, threads } = options
  const settings: SessionSettings = { ...(threads === undefined ? {} : { threads }), optimize: false }
  const block = await probe(settings)
  if (block === undefined) throw new UserError('this ONNX Runtime has no blocked convolutions')
  if (earlier?.block === block) return { plan: earlier, timings: new Map(), lowered: new Map() }

  const cache = await TuningCache.open({ threads: threads ?? availableParallelism(), block }, options.cacheFile)
  const found = await tuned(options, block, settings, cache)
  if (!found) return undefined
  const { lowered, timings } = found
  // In an order of their own: that of the timings depends on which were known before.
  const chosen = [...timings].map(([key, { choice }]): [string, string] => [key, choice])
  const choices = Object.fromEntries(chosen.sort(([a], [b]) => (a < b ? -1 : 1)))
  const stepsPerRun = severalSteps ? stepsPerRunOf(lowered, model.state) : 1
  const plan: CpuPlan = { target: 'ort-cpu', block, choices, ...(stepsPerRun > 1 ? { stepsPerRun } : {}) }
  const proof = fingerprint(model.fingerprint, JSON.stringify({ target: plan.target, block, choices }))
  if (!cache.isVerified(proof)) {
    // Whole blocks of images, so that the candidates that need them are compared too.
    const few = model.fixedBatch ?? 2 * block
    // With a known batch ONNX Runtime opens the reference in a third of the time. It gets one thread; the candidate has those that
    // it will train with, since what they do to each other is a part of what is compared.
    const [reference, slow] = [model.step(portable, few), { ...settings, threads: 1 }]
    const candidate = () => cpuModels(model, ofOne(plan), new Map([[batch, lowered]]))(few)
    const problem = await compare(model, reference, candidate, few, slow, { settings, coarse: false })
    if (problem) throw new UserError(`its step is not the portable step (${problem})`)
    cache.keepVerified(proof)
    await cache.save()
  }
  return { plan, timings, lowered: new Map([[batch, lowered]]) }
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
    const decided = await decide(options)
    if (!decided) return undefined
    const { plan, timings, lowered } = decided
    // A plan of a run that takes several may be asked for by who feeds one.
    const stepsPerRun = options.severalSteps ? plan.stepsPerRun : undefined
    return {
      ...{ plan, timings },
      models: cpuModels(options.model, { ...plan, stepsPerRun }, lowered),
      ...singleStep(options.model),
      ...(stepsPerRun === undefined ? {} : { inLoop: true, stepsPerRun }),
      // What it writes is fast as it stands.
      optimize: false,
    }
  },

  async write(options) {
    const planned = await ortCpuTarget.plan({ ...options, severalSteps: false })
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
      text: `target ort-cpu: blocks of ${plan.block} channels, batch ${batch}${inRuns(plan)}; timings are kept in ${tuningFile()}`,
      table: [['call', 'candidate', 'ms', 'others, ms'], ...rows],
    }
  },
}

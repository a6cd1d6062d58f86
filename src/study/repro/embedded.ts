// Runs the jobs of a plan in this process: those that are not done, one after the other or several side by side.

import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import pLimit from 'p-limit'
import { messageOf, naming } from '../../core/errors.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Dataset } from '../../driver/data/dataset.js'
import { type FitConfig, newConfig } from '../../driver/fit/config.js'
import type { FitEvent } from '../../driver/fit/events.js'
import { requireProvider } from '../../driver/planning/plan.js'
import { lockFolder } from '../../driver/run/lock.js'
import { dataFingerprint, ensureFolder, hasRun, planFor, readRunInfo } from '../../driver/run/runFolder.js'
import { planOnce } from '../../driver/seeds/planOnce.js'
import type { StepPlan } from '../../driver/targets/index.js'
import { claimFolder, jobFolder } from './folder.js'
import { buildFor, jobConfig, type MachineSettings, runJob } from './job.js'
import { type Job, jobOf, type Plan, type PlanModel } from './plan.js'
import type { JobResult } from './results.js'

export interface EmbeddedOptions {
  readonly plan: Plan
  readonly data: Dataset
  /** Where the data came from. */
  readonly dataPath?: string | undefined
  /** The experiment's folder; created when it is not there. */
  readonly out: string
  /** How many at a time: unless given, one on a CPU and five on a GPU. */
  readonly jobs?: number | undefined
  /** Jobs side by side share the cores where it names no threads. */
  readonly machine?: MachineSettings
  /** Stops each job after its step in progress, with a checkpoint, and begins no other. */
  readonly signal?: AbortSignal
  /** An event without a job belongs to all of them. */
  readonly onEvent?: (event: FitEvent, job?: Job) => void
}

/** A small network leaves most of a GPU idle: as many at a time as the paper has runs of a network. */
const jobsOnGpu = 5

/** A model of the plan, built, and how its jobs are trained here. */
interface Prepared {
  readonly model: PlanModel
  readonly trainable: TrainableModel
  readonly config: FitConfig
}

/**
 * Runs every job of the plan, skips what is done and goes on with what was cut off. A job that fails does not stop the
 * others; each ends in the bytes that it would have alone, however often it is stopped on the way.
 * @throws UserError where none can be trained: a model that does not fit the data, a provider that is not there, a folder
 *   that another process is using or that holds another experiment
 */
export async function runEmbedded(options: EmbeddedOptions): Promise<readonly JobResult[]> {
  const { plan, data, machine = {}, signal, onEvent } = options
  const out = resolve(options.out)
  const jobs = Math.min(plan.jobs.length, options.jobs ?? (machine.provider === 'cuda' ? jobsOnGpu : 1))
  const threads = machine.threads ?? Math.max(1, Math.floor(availableParallelism() / jobs))
  const models = new Map(plan.models.map((model) => [model.name, prepare(model, data, { ...machine, threads })]))
  // A provider that is not there is told once, not by each job.
  const [first] = models.values()
  if (first) await requireProvider(first.config)

  await ensureFolder(out, false)
  const unlock = lockFolder(out)
  try {
    const path = options.dataPath === undefined ? null : resolve(options.dataPath)
    await claimFolder(out, { plan, data: { path, sha256: dataFingerprint(data) } })
    const planned = new Map<string, StepPlan | undefined>()
    const unplanned = new Map<string, unknown>()
    for (const [name, prepared] of models) {
      try {
        planned.set(name, await planModel(prepared, out, options))
      } catch (error) {
        unplanned.set(name, error)
      }
    }
    const run = async (job: Job): Promise<JobResult> => {
      try {
        if (unplanned.has(job.name)) throw unplanned.get(job.name)
        const { model, trainable, config } = models.get(job.name)!
        const folder = jobFolder(out, job)
        const outcome = await runJob({
          ...{ model: trainable, data, dataPath: options.dataPath, folder, seed: job.seed, signal },
          // Threads that nobody asked for are those of the process that began the run.
          config: hasRun(folder) ? jobConfig(model, machine) : config,
          plan: planned.get(job.name),
          onEvent: (event) => onEvent?.(event, job),
        })
        return { job, ...outcome }
      } catch (error) {
        onEvent?.({ event: 'notice', message: `failed: ${messageOf(error)}` }, job)
        return { job, end: 'failed', error }
      }
    }
    return await pLimit(jobs).map(plan.jobs, run)
  } finally {
    unlock()
  }
}

const prepare = (model: PlanModel, data: Dataset, machine: MachineSettings): Prepared =>
  naming(model.name, () => {
    const trainable = buildFor(model, data)
    return { model, trainable, config: newConfig(trainable.recipe, jobConfig(model, machine)) }
  })

/** How the step is written: as by the jobs of the model that have begun; undefined where each of them knows. */
async function planModel(
  { model, trainable, config }: Prepared,
  out: string,
  { data, machine, signal, onEvent }: EmbeddedOptions,
): Promise<StepPlan | undefined> {
  let earlier: StepPlan | undefined
  let unknown = false
  for (const seed of model.seeds) {
    const folder = jobFolder(out, jobOf(model.name, seed))
    // Damage is its own job's failure.
    const info = hasRun(folder) ? await readRunInfo(folder).catch(() => undefined) : undefined
    earlier ??= info && planFor(info, config)
    unknown ||= !info?.plan
  }
  if (!unknown || signal?.aborted) return earlier
  return planOnce({ model: trainable, data, config, named: machine?.target, earlier, signal, onEvent })
}

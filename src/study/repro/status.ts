// Where the jobs of an experiment stand, by their folders and, where there is one, the queue: for looking at it from another
// process.

import { readProgress } from '../../driver/run/checkpoint.js'
import { startOfRun } from '../../driver/run/metrics.js'
import { hasRun } from '../../driver/run/runFolder.js'
import { type RunState, runStateOf } from '../../driver/run/runState.js'
import { type Experiment, jobFolder, requireExperiment } from './folder.js'
import type { Job, Plan } from './plan.js'
import type { JobResult } from './results.js'

export interface JobStatus {
  readonly job: Job
  /** Of a job in the queue also: `queued`, `failed`, or `trained`, which is done as soon as rdm-repro fetches it. */
  readonly state: RunState | 'queued' | 'failed' | 'trained'
  /** Steps of its newest checkpoint, or that its worker told of. */
  readonly step: number
  /** Complete epochs, of `epochs`. */
  readonly epoch: number
  readonly epochs: number
  /** After the last complete epoch, a fraction; null before there is one. */
  readonly testError: number | null
  readonly folder: string
  /** Of a job in the queue: who trains it, and the milliseconds to its end. */
  readonly training?: { readonly worker: string; readonly imagesPerSecond: number | null; readonly left: number | null }
}

export interface ExperimentStatus {
  readonly plan: Plan
  /** In the order in which they begin. */
  readonly jobs: readonly JobStatus[]
}

/** What a queue says of jobs, by their ids. */
export type InQueue = (experiment: Experiment) => Promise<ReadonlyMap<string, Partial<JobStatus>>>

/**
 * Reads the folder of an experiment.
 * @param inQueue asks the queue that its jobs are in
 * @throws UserError when it is none
 */
export async function experimentStatus(out: string, inQueue?: InQueue): Promise<ExperimentStatus> {
  const experiment = await requireExperiment(out)
  const { plan } = experiment
  const queued = await inQueue?.(experiment)
  const jobs = plan.jobs.map(async (job) => {
    const status = await jobStatus(out, plan, job)
    return status.state === 'done' ? status : { ...status, ...queued?.get(job.id) }
  })
  return { plan, jobs: await Promise.all(jobs) }
}

async function jobStatus(out: string, plan: Plan, job: Job): Promise<JobStatus> {
  const { config } = plan.models.find(({ name }) => name === job.name)!
  const folder = jobFolder(out, job)
  const { step, epoch, history } = (hasRun(folder) ? await readProgress(folder) : undefined) ?? startOfRun
  return {
    ...{ job, step, epoch, epochs: config.epochs, testError: history.at(-1)?.testError ?? null, folder },
    state: runStateOf(folder, { step, epoch }, config),
  }
}

/** As results, for the table of models. */
export const resultsOf = ({ jobs }: ExperimentStatus): readonly JobResult[] =>
  jobs.map(({ job, state, step, epoch, testError }) => ({
    ...{ job, step, epochs: epoch, testError },
    end: state === 'done' ? 'finished' : state === 'waiting' || state === 'queued' ? 'waiting' : 'interrupted',
  }))

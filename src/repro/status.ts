// Where the jobs of an experiment stand, by their folders alone: for looking at it from another process.

import { UserError } from '../errors.js'
import { readProgress } from '../fit/checkpoint.js'
import { startOfRun } from '../fit/metrics.js'
import { hasRun } from '../fit/runFolder.js'
import { type RunState, runStateOf } from '../fit/runState.js'
import { jobFolder, planFile, readExperiment } from './folder.js'
import type { Job, Plan } from './plan.js'
import type { JobResult } from './results.js'

export interface JobStatus {
  readonly job: Job
  readonly state: RunState
  /** Steps of its newest checkpoint. */
  readonly step: number
  /** Complete epochs, of `epochs`. */
  readonly epoch: number
  readonly epochs: number
  /** After the last complete epoch, a fraction; null before there is one. */
  readonly testError: number | null
  readonly folder: string
}

export interface ExperimentStatus {
  readonly plan: Plan
  /** In the order in which they begin. */
  readonly jobs: readonly JobStatus[]
}

/**
 * Reads the folder of an experiment.
 * @throws UserError when it is none
 */
export async function experimentStatus(out: string): Promise<ExperimentStatus> {
  const experiment = await readExperiment(out)
  if (!experiment)
    throw new UserError(`${out} holds no experiment (no ${planFile}): give the folder that rdm-repro writes to`)
  const { plan } = experiment
  return { plan, jobs: await Promise.all(plan.jobs.map((job) => jobStatus(out, plan, job))) }
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
    end: state === 'done' ? 'finished' : state === 'waiting' ? 'waiting' : 'interrupted',
  }))

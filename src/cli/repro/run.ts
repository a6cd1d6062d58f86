// rdm-repro: runs the jobs of a plan.

import { join } from 'node:path'
import { kebab } from '../../../graphs/describe.js'
import { UserError } from '../../core/errors.js'
import { readDataset } from '../../driver/data/readers.js'
import { runEmbedded } from '../../study/repro/embedded.js'
import { jobFolder } from '../../study/repro/folder.js'
import { type Job, type Plan, readPlan } from '../../study/repro/plan.js'
import type { QueueOptions } from '../../study/repro/queue/engine.js'
import { type JobResult, modelResults, plainResults } from '../../study/repro/results.js'
import { type MachineFlags, machineFlagNames, machineSettings } from '../machine.js'
import { print } from '../output.js'
import type { ProgressOutput } from '../progress/progress.js'
import { type RunNames, type RunsReporter, runsJsonReporter, runsTextReporter } from '../progress/runsProgress.js'
import { type QueueFlags, withQueue } from '../queue.js'
import { reporting } from '../reporting.js'
import { modelTable } from './tables.js'

export const engines = ['embedded', 'bullmq'] as const
export type Engine = (typeof engines)[number]

export interface ReproFlags extends MachineFlags, QueueFlags {
  readonly data?: string
  readonly out?: string
  readonly engine: Engine
  readonly jobs?: number
  readonly json?: true
}

export async function runPlan(planPath: string, flags: ReproFlags): Promise<void> {
  const plan = await readPlan(planPath)
  const { data: dataPath, out = join('runs', plan.name), engine, jobs, json = false } = flags
  if (dataPath === undefined) throw new UserError('which data? Give their folder with --data')
  checkEngine(flags)
  const data = await readDataset(dataPath)
  const common = { plan, data, dataPath, out }
  const run = {
    embedded: (watched: Watched) => runEmbedded({ ...common, jobs, machine: machineSettings(flags), ...watched }),
    bullmq: (watched: Watched) => withQueue(flags, (queue) => runByWorkers({ ...common, ...queue, ...watched })),
  }[engine]
  const results = await reporting(
    jobsReporter(out, json),
    (signal, onEvent) => run({ signal, onEvent }),
    leaving[engine],
  )
  printResults(plan, results, out, json)
}

/** What a signal does. */
const leaving: Readonly<Record<Engine, string | undefined>> = {
  embedded: undefined,
  bullmq:
    'leaving: the jobs stay in the queue, and workers go on with them; `rdm-repro withdraw` takes back those not begun',
}

type Watched = Pick<QueueOptions, 'signal' | 'onEvent'>

/** The queue's library takes a while to load. */
async function runByWorkers(options: QueueOptions): Promise<readonly JobResult[]> {
  const { runQueued } = await import('../../study/repro/queue/engine.js')
  return runQueued(options)
}

/** @throws UserError for an option of the other engine */
function checkEngine(flags: ReproFlags): void {
  if (flags.engine === 'embedded') {
    const lonely = (['redis', 'store'] as const).find((name) => flags[name] !== undefined)
    if (lonely) throw new UserError(`--${lonely} is for a queue of jobs: add --engine bullmq, or leave it out`)
    return
  }
  const ofWorkers = (['jobs', ...machineFlagNames] as const).find((name) => flags[name] !== undefined)
  if (ofWorkers)
    throw new UserError(
      `--${kebab(ofWorkers)} is for the process that trains: give it to rdm-worker, or leave out --engine bullmq`,
    )
}

/** Shows the events of all jobs on standard output and standard error. */
export function jobsReporter(out: string, json: boolean): RunsReporter<Job> {
  const output: ProgressOutput = { out: process.stdout, err: process.stderr, folder: out }
  const names: RunNames<Job> = {
    label: ({ id }) => id,
    folder: (job) => jobFolder(out, job),
    tag: ({ id }) => ({ job: id }),
  }
  return json ? runsJsonReporter(output, names) : runsTextReporter(output, names)
}

/**
 * Prints what the jobs came to, and sets the exit code where all of them came to their end.
 * @throws UserError when a job failed and none was stopped
 */
export function printResults(plan: Plan, results: readonly JobResult[], out: string, json: boolean): void {
  print(
    json
      ? `${JSON.stringify({ event: 'summary', ...plainResults(plan, results, out) })}\n`
      : modelTable(modelResults(plan, results, out)),
  )
  // What ended the process early says so by its exit code.
  if (results.some(({ end }) => end === 'interrupted' || end === 'waiting')) {
    if (!json) print('the same command goes on with what is left\n')
    return
  }
  const failed = results.filter((result) => result.end === 'failed')
  const fault = failed.find(({ error }) => !(error instanceof UserError))
  if (fault) throw fault.error
  if (failed.length > 0)
    throw new UserError(
      `${failed.length} of ${results.length} jobs failed: ${failed.map(({ job }) => job.id).join(', ')}`,
    )
  process.exitCode = 0
}

// rdm-repro: runs the jobs of a plan.
import { join } from 'node:path'
import { readDataset } from '../../data/cifar.js'
import { UserError } from '../../errors.js'
import type { ProgressOutput } from '../../fit/progress.js'
import { type RunNames, type RunsReporter, runsJsonReporter, runsTextReporter } from '../../fit/runsProgress.js'
import { runEmbedded } from '../../repro/embedded.js'
import { jobFolder } from '../../repro/folder.js'
import { type Job, type Plan, readPlan } from '../../repro/plan.js'
import { type JobResult, modelResults, plainResults } from '../../repro/results.js'
import { type MachineFlags, machineSettings } from '../machine.js'
import { reporting } from '../reporting.js'
import { modelTable } from './tables.js'

export interface ReproFlags extends MachineFlags {
  readonly data?: string
  readonly out?: string
  readonly jobs?: number
  readonly json?: true
}

export async function runPlan(planPath: string, flags: ReproFlags): Promise<void> {
  const plan = await readPlan(planPath)
  const { data: dataPath, out = join('runs', plan.name), jobs, json = false } = flags
  if (dataPath === undefined) throw new UserError('which data? Give their folder with --data')
  const data = await readDataset(dataPath)
  const results = await reporting(jobsReporter(out, json), (signal, onEvent) =>
    runEmbedded({ plan, data, dataPath, out, jobs, machine: machineSettings(flags), signal, onEvent }),
  )
  printResults(plan, results, out, json)
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
  process.stdout.write(
    json
      ? `${JSON.stringify({ event: 'summary', ...plainResults(plan, results, out) })}\n`
      : modelTable(modelResults(plan, results, out)),
  )
  // What ended the process early says so by its exit code.
  if (results.some(({ end }) => end === 'interrupted' || end === 'waiting')) {
    if (!json) process.stdout.write('the same command goes on with what is left\n')
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

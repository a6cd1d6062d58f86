// rdm-worker: trains the jobs that rdm-repro puts into a queue.

import type { WorkerJob } from '../study/repro/queue/worker.js'
import { createProgram, decimalNumber, parsedBy, runProgram, wholeNumber } from './command.js'
import { addMachineOptions, type MachineFlags, machineSettings } from './machine.js'
import type { ProgressOutput } from './progress/progress.js'
import { type RunNames, runsJsonReporter, runsTextReporter } from './progress/runsProgress.js'
import { addQueueOptions, type QueueFlags, withQueue } from './queue.js'
import { reporting } from './reporting.js'

interface WorkerFlags extends MachineFlags, QueueFlags {
  readonly jobs: number
  readonly stalledAfter: number
  readonly json?: true
}

const names: RunNames<WorkerJob> = {
  label: ({ id }) => id,
  folder: ({ address }) => address,
  tag: ({ id }) => ({ job: id }),
}

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-worker', 'Train the jobs of a queue, on as many machines as there are workers.', [
    'rdm-worker --redis redis://host:6379 --store /shared/store',
    'rdm-worker --redis redis://host:6379 --store s3://bucket/experiments --ep cuda --jobs 5',
    "rdm-worker --redis redis://host:6379 --store 's3://bucket/store?endpoint=http://host:9000'",
  ])
  addQueueOptions(program)
    .option('--jobs <count>', 'how many runs at a time', parsedBy(wholeNumber(1, 1024)), 1)
    .option(
      '--stalled-after <seconds>',
      'time without a sign of life after which the jobs of a worker are given to others',
      parsedBy(decimalNumber(1, 86_400)),
      30,
    )
    .option('--json', 'print one JSON object a line: steps, epochs and ends of runs')
  addMachineOptions(program).action(runWorker)
  await runProgram(program, argv)
}

const stopping = 'stopping after the steps in progress, from which others go on; once more to stop at once'

async function runWorker(flags: WorkerFlags): Promise<void> {
  const { jobs, stalledAfter, json } = flags
  const output: ProgressOutput = { out: process.stdout, err: process.stderr, folder: '' }
  const reporter = json ? runsJsonReporter(output, names) : runsTextReporter(output, names)
  await withQueue(flags, async (queue) => {
    // The queue's library takes a while to load.
    const { work } = await import('../study/repro/queue/worker.js')
    reporter.onEvent({ event: 'notice', message: 'waiting for jobs' })
    const settings = { ...queue, jobs, machine: machineSettings(flags), stalledAfter: stalledAfter * 1000 }
    await reporting(reporter, (signal, onEvent) => work({ ...settings, signal, onEvent }), stopping)
  })
}

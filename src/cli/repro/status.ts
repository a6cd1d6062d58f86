// rdm-repro status: where the jobs of an experiment stand, once or again and again; and what is taken back of them.

import { setTimeout as sleep } from 'node:timers/promises'
import { requireExperiment } from '../../study/repro/folder.js'
import { modelResults, plainResults } from '../../study/repro/results.js'
import { type ExperimentStatus, experimentStatus, type InQueue, resultsOf } from '../../study/repro/status.js'
import { print, printable } from '../output.js'
import { type QueueFlags, withRedis } from '../queue.js'
import { jobTable, modelTable } from './tables.js'

export interface StatusFlags extends Pick<QueueFlags, 'redis'> {
  /** Seconds from one look to the next. */
  readonly watch?: number | true
  readonly json?: true
}

const defaultSeconds = 5

export async function showStatus(out: string, flags: StatusFlags): Promise<void> {
  if (flags.redis === undefined) return show(out, flags)
  return withRedis(flags, async (redis) => {
    const { jobsIn } = await import('../../study/repro/queue/jobs.js')
    return show(out, flags, jobsIn(redis))
  })
}

/** Takes back what no worker has begun. */
export async function withdraw(out: string, flags: Pick<QueueFlags, 'redis'>): Promise<void> {
  const experiment = await requireExperiment(out)
  const taken = await withRedis(flags, async (redis) => {
    const { withdrawJobs } = await import('../../study/repro/queue/jobs.js')
    return withdrawJobs(redis, experiment)
  })
  print(`${taken.length === 0 ? 'no job waits in the queue' : `taken back: ${taken.join(', ')}`}\n`)
}

async function show(out: string, { watch, json }: StatusFlags, inQueue?: InQueue): Promise<void> {
  const textOf = json ? jsonLine : tables
  const seconds = watch === true ? defaultSeconds : watch
  let shown = ''
  for (;;) {
    const status = await experimentStatus(out, inQueue)
    const text = textOf(status, out)
    // A terminal shows it in place; elsewhere only what is new is printed.
    if (text !== shown)
      process.stdout.write(
        process.stdout.isTTY && seconds !== undefined ? over(shown, printable(text)) : printable(text),
      )
    shown = text
    if (seconds === undefined || status.jobs.every(({ state }) => state === 'done')) return
    await sleep(seconds * 1000)
  }
}

/** Up to the first line of what is shown, and from there on nothing of it stays. */
const over = (shown: string, text: string) =>
  shown === '' ? text : `\u001b[${shown.split('\n').length - 1}A\u001b[0J${text}`

const tables = (status: ExperimentStatus, out: string) =>
  `${jobTable(status.jobs)}\n${modelTable(modelResults(status.plan, resultsOf(status), out))}`

function jsonLine(status: ExperimentStatus, out: string): string {
  const jobs = status.jobs.map(({ job, ...rest }) => ({ job: job.id, ...rest }))
  const { models } = plainResults(status.plan, resultsOf(status), out)
  return `${JSON.stringify({ event: 'status', models, jobs })}\n`
}

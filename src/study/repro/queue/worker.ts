// A worker: takes jobs out of the queue and trains each from where the furthest attempt at it came to.

import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job as QueuedJob, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { messageOf } from '../../../core/errors.js'
import { newConfig } from '../../../driver/fit/config.js'
import type { FitEvent } from '../../../driver/fit/events.js'
import { DivergedError } from '../../../driver/fit/run.js'
import { hasRun } from '../../../driver/run/runFolder.js'
import type { Store } from '../../store/store.js'
import { jobFolder } from '../folder.js'
import { buildModel, type JobOutcome, jobConfig, type MachineSettings, runJob } from '../job.js'
import { type Job, jobOf } from '../plan.js'
import { Attempt, takeUp } from './attempts.js'
import { SharedData } from './dataset.js'
import { modelOf, type Outcome, type Payload, parsePayload, QUEUE, type Report } from './payload.js'
import { untilBack } from './redis.js'
import { Telling } from './telling.js'

/** A job as this worker has it. */
export interface WorkerJob extends Job {
  /** Where its run is copied to. */
  readonly address: string
}

export interface WorkerSettings {
  readonly redis: Redis
  readonly store: Store
  /** How many at a time. */
  readonly jobs: number
  /** Jobs side by side share the cores where it names no threads. */
  readonly machine: MachineSettings
  /** Milliseconds without a sign of life after which a worker's jobs are given to others. */
  readonly stalledAfter: number
  /** Stops each job after its step in progress, with a checkpoint in the store, and gives it back to the queue. */
  readonly signal: AbortSignal
  /** An event without a job is the worker's own. */
  readonly onEvent: (event: FitEvent, job?: WorkerJob) => void
}

type Queued = QueuedJob<unknown, Outcome, string, Report>

/**
 * How often the queue gives a job to another worker because one died over it. A job that takes its worker with it would
 * otherwise end them all; one that had bad luck so often is put into the queue again by the next rdm-repro.
 */
const MOST_STALLED = 10

/** Works until the signal. */
export async function work(settings: WorkerSettings): Promise<void> {
  const { redis, store, jobs, stalledAfter, signal, onEvent } = settings
  const name = `${hostname()}:${process.pid}`
  const threads = settings.machine.threads ?? Math.max(1, Math.floor(availableParallelism() / jobs))
  const own: Own = { ...settings, name, threads, data: new SharedData(store) }
  let running = 0
  const worker = new Worker<unknown, Outcome, string, never, Report>(
    QUEUE,
    // BullMQ gives a signal to who takes three arguments.
    async (queued: Queued, token?: string, lost?: AbortSignal) => {
      running += 1
      try {
        return await take(own, queued, token!, lost!)
      } finally {
        running -= 1
      }
    },
    {
      ...{ connection: redis, name, concurrency: jobs },
      ...{ lockDuration: stalledAfter, stalledInterval: stalledAfter, maxStalledCount: MOST_STALLED },
    },
  )
  worker.on(
    'error',
    untilBack(redis, (message) => onEvent({ event: 'notice', message })),
  )
  // Redis was away for long, or this process was: somebody else has the job by now.
  worker.on('lockRenewalFailed', (keys) => {
    for (const key of keys) worker.cancelJob(key)
  })
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  // Waits for the jobs, which stop by the same signal. Who has none does not wait for a Redis that is away.
  await worker.close(running === 0 && redis.status !== 'ready')
}

/** What all jobs of a worker share. */
interface Own extends WorkerSettings {
  readonly name: string
  /** Of a run that begins. */
  readonly threads: number
  readonly data: SharedData
}

/**
 * Works on one job, to its end or until a signal.
 * @param lost aborted when the job is no longer this worker's
 * @returns what the queue keeps of it
 */
async function take(own: Own, queued: Queued, token: string, lost: AbortSignal): Promise<Outcome> {
  const payload = payloadIn(own, queued)
  const job = jobOf(payload.model.name, payload.seed)
  const scratch = await mkdtemp(join(tmpdir(), 'rdm-worker-'))
  // Its name, the title of the run's curves, is that of the seed's folder anywhere.
  const folder = jobFolder(scratch, job)
  const attempt = new Attempt(own.store, queued.id!, queued.attemptsStarted, folder)
  const telling = new Telling(own.name, (report) => queued.updateProgress(report).catch(() => {}))
  const tell = (event: FitEvent) => {
    telling.tell(event)
    own.onEvent(event, { ...job, address: attempt.address })
  }
  const notice = (message: string) => tell({ event: 'notice', message })
  try {
    const signal = AbortSignal.any([own.signal, lost])
    const outcome = await train(own, payload, attempt, folder, signal, tell)
    const { end } = outcome
    if (end === 'finished' || end === 'steps') return { ...outcome, end, attempt: attempt.name }
    notice(lost.aborted ? 'another worker has it now' : `given back to the queue at step ${outcome.step}`)
    await telling.settled()
    if (!lost.aborted) await queued.moveToWait(token)
    throw new WaitingError()
  } catch (error) {
    if (error instanceof WaitingError) throw error
    notice(`failed: ${messageOf(error)}`)
    // Tried again it would come to the same.
    throw error instanceof DivergedError ? new UnrecoverableError(error.message) : error
  } finally {
    await telling.settled()
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What is no job of ours is no run that could be told of, and stays what it is. */
function payloadIn({ onEvent }: Own, queued: Queued): Payload {
  try {
    return parsePayload(queued.data, queued.id!)
  } catch (error) {
    onEvent({ event: 'notice', message: messageOf(error) })
    throw new UnrecoverableError(messageOf(error))
  }
}

async function train(
  { store, machine, threads, data }: Own,
  payload: Payload,
  attempt: Attempt,
  folder: string,
  signal: AbortSignal,
  tell: (event: FitEvent) => void,
): Promise<JobOutcome> {
  for (const message of await takeUp(store, attempt.key, folder)) tell({ event: 'notice', message })
  const planned = modelOf(payload)
  const model = buildModel(planned)
  const config = jobConfig(planned, machine)
  return runJob({
    ...{ model, folder, seed: payload.seed, signal },
    data: await data.get(payload.data.sha256),
    dataPath: payload.data.path ?? undefined,
    // Threads that nobody asked for are those of the process that began the run.
    config: hasRun(folder) ? config : newConfig(model.recipe, { ...config, threads }),
    // Where a job goes on that is stopped, is said when it is known.
    onEvent: (event) => {
      if (event.event !== 'end' || event.reason !== 'interrupted') tell(event)
    },
    onSaved: () => attempt.save(),
  })
}

// Runs the jobs of a plan by whatever workers there are: puts them into the queue, and fetches what comes of them.

import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Queue, QueueEvents } from 'bullmq'
import type { Redis } from 'ioredis'
import { messageOf, naming, UserError } from '../../../core/errors.js'
import type { TrainableModel } from '../../../core/model/trainable.js'
import type { Dataset } from '../../../driver/data/dataset.js'
import type { FitEvent } from '../../../driver/fit/events.js'
import { makeFolder } from '../../../driver/folders.js'
import { readProgress } from '../../../driver/run/checkpoint.js'
import { lockFolder } from '../../../driver/run/lock.js'
import { dataFingerprint, ensureFolder, hasRun } from '../../../driver/run/runFolder.js'
import { type RunStanding, standingOf } from '../../../driver/seeds/seedRun.js'
import type { Store } from '../../store/store.js'
import { claimFolder, type Experiment, jobFolder } from '../folder.js'
import { buildFor, jobConfig } from '../job.js'
import type { Job, Plan } from '../plan.js'
import type { JobResult } from '../results.js'
import { Attempt, collect, furthestStep, hasResult, removeOthers } from './attempts.js'
import { shareData } from './dataset.js'
import { keyOf, type Outcome, parseOutcome, payloadOf, QUEUE, type Report } from './payload.js'
import { untilBack } from './redis.js'

export interface QueueOptions {
  readonly plan: Plan
  readonly data: Dataset
  /** Where the data came from; workers get them by way of the store. */
  readonly dataPath: string
  /** The experiment's folder; created when it is not there. */
  readonly out: string
  readonly redis: Redis
  readonly store: Store
  /** Ends the watching; the jobs stay in the queue. */
  readonly signal: AbortSignal
  /** An event without a job belongs to all of them. */
  readonly onEvent: (event: FitEvent, job?: Job) => void
}

/** Milliseconds from one look at the queue to the next. */
const PACE = 1000
/** After so many looks it is told that nobody works. */
const LOOKS_ALONE = 5
/** What fails for another reason than its own (a full disk, a store that was away) is tried again, each time later. */
const RETRIES = { attempts: 5, backoff: { type: 'exponential', delay: 2000 } } as const
/** What the queue says of a job that it gives to no other worker, because it was lost with too many. */
const STALLED = /stalled more than allowable limit/
/** Looks at a store that is away, before a job that needs it counts as failed: it may be back in a while. */
const MOST_MISSED = 60
/** Seconds for which the queue remembers what is done: the results are in the experiment's folder long before. */
const MEMORY = 30 * 24 * 3600

/**
 * Has every job of the plan trained by the workers of a queue, and puts the runs into the experiment's folder, where they are
 * those of `runEmbedded`. What is done is skipped, and what has begun there is handed to the workers. Jobs that fail do not
 * stop the others.
 * @returns what the jobs came to; of those that the signal came before, that they wait
 * @throws UserError where none can be trained: a model that does not fit the data, a folder that another process is using or
 *   that holds another experiment
 */
export async function runQueued(options: QueueOptions): Promise<readonly JobResult[]> {
  const { plan, data, dataPath, store, signal } = options
  const out = resolve(options.out)
  const models = new Map(plan.models.map((model) => [model.name, naming(model.name, () => buildFor(model, data))]))
  await ensureFolder(out, false)
  const unlock = lockFolder(out)
  try {
    const experiment = { plan, data: { path: resolve(dataPath), sha256: dataFingerprint(data) } }
    await claimFolder(out, experiment)
    const results = new Map<Job, JobResult>()
    for (const job of plan.jobs) {
      const done = await standing(out, plan, models.get(job.name)!, job)
      if (done) results.set(job, done)
    }
    if (results.size < plan.jobs.length) {
      await shareData(store, dataPath, experiment.data.sha256).catch((error: unknown) => {
        if (error instanceof UserError) throw error
        throw new UserError(`the store ${store.name} cannot be used: ${messageOf(error)}; begin again when it can`)
      })
      const watch = new Watch(options, out, experiment, results)
      try {
        // Commands wait for a Redis that is away, and the signal does not.
        await Promise.race([watch.untilDone(), aborted(signal)])
      } finally {
        await watch.close()
      }
    }
    return plan.jobs.map((job) => results.get(job) ?? { job, end: 'waiting', step: 0, epochs: 0, testError: null })
  } finally {
    unlock()
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** The result of a job that is done in the folder, or cannot be: damage is its own job's failure. */
async function standing(out: string, plan: Plan, model: TrainableModel, job: Job): Promise<JobResult | undefined> {
  const folder = jobFolder(out, job)
  if (!hasRun(folder)) return undefined
  try {
    const config = jobConfig(plan.models.find(({ name }) => name === job.name)!, {})
    const found: RunStanding = await standingOf({ model, folder, seed: job.seed, config })
    return found.end === 'finished' || found.end === 'steps' ? { job, ...found } : undefined
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { job, end: 'failed', error }
  }
}

/** The jobs that are left, in the queue. */
class Watch {
  readonly #queue: Queue<unknown, Outcome, string>
  readonly #waiting: Redis
  readonly #events: QueueEvents
  readonly #open = new Map<string, Job>()
  /** Those that have yet to be put into the queue. */
  readonly #toPut = new Set<string>()
  /** How runs ended, told when their files are there. */
  readonly #ends = new Map<string, FitEvent>()
  /** How often the store was away for a job, one look after the other. */
  readonly #missed = new Map<string, number>()

  constructor(
    private readonly options: QueueOptions,
    private readonly out: string,
    private readonly experiment: Experiment,
    private readonly results: Map<Job, JobResult>,
  ) {
    const { redis, onEvent } = options
    const onError = untilBack(redis, (message) => onEvent({ event: 'notice', message }))
    this.#queue = new Queue(QUEUE, { connection: redis })
    this.#queue.on('error', onError)
    // It waits for events most of the time, and nothing else passes meanwhile.
    this.#waiting = redis.duplicate()
    this.#events = new QueueEvents(QUEUE, { connection: this.#waiting })
    this.#events.on('error', onError)
    this.#events.on('progress', ({ jobId, data }) => this.#tell(jobId, (data as Report).event))
    this.#events.on('stalled', ({ jobId }) => {
      this.#tell(jobId, {
        event: 'notice',
        message: 'its worker is gone: it goes on from the last checkpoint in the store',
      })
    })
  }

  async untilDone(): Promise<void> {
    await this.#events.waitUntilReady()
    for (const job of this.experiment.plan.jobs) {
      if (this.results.has(job)) continue
      const key = keyOf(payloadOf(this.experiment, job))
      this.#open.set(key, job)
      this.#toPut.add(key)
    }
    for (let looks = 1; ; looks++) {
      for (const [key, job] of this.#open) await this.#look(key, job)
      if (this.#open.size === 0 || this.options.signal.aborted) return
      if (looks === LOOKS_ALONE) await this.#tellIfAlone()
      await sleep(PACE)
    }
  }

  async close(): Promise<void> {
    // Redis may be away, and nothing of this is needed any more.
    await Promise.race([Promise.all([this.#events.close(), this.#queue.close()]), sleep(PACE)])
    this.#waiting.disconnect()
  }

  #tell(key: string, event: FitEvent): void {
    const job = this.#open.get(key)
    if (!job) return
    if (event.event === 'end') this.#ends.set(key, event)
    else this.options.onEvent(event, job)
  }

  /** A job and its state. That is asked for first: what is read of a job after its end holds what it came to. */
  async #find(key: string) {
    const state = await this.#queue.getJobState(key)
    const queued = await this.#queue.getJob(key)
    return queued && { state, queued }
  }

  /** Puts a job into the queue where it is not there, or has failed in an earlier life. */
  async #put(key: string, job: Job): Promise<void> {
    const { store } = this.options
    const folder = jobFolder(this.out, job)
    const begun = await readProgress(folder)
    if (begun && begun.step > (await furthestStep(store, key))) await new Attempt(store, key, 0, folder).save()
    const found = await this.#find(key)
    if (found?.state === 'failed') return found.queued.retry('failed', { resetAttemptsMade: true })
    if (found?.state === 'completed') {
      const { attempt } = parseOutcome(found.queued.returnvalue, key)
      if (await hasResult(store, key, attempt)) return
      // The store was emptied, or is another one.
      await found.queued.remove()
    } else if (found) return
    const payload = payloadOf(this.experiment, job)
    await this.#queue.add(job.id, payload, { ...RETRIES, jobId: key, removeOnComplete: { age: MEMORY } })
  }

  async #look(key: string, job: Job): Promise<void> {
    if (this.#toPut.has(key)) {
      const isThere = await this.#try(key, job, 'it cannot be put into the queue', () => this.#put(key, job))
      if (!isThere) return
      this.#toPut.delete(key)
    }
    const found = await this.#find(key)
    if (!found) {
      this.#tell(key, { event: 'notice', message: 'it was gone from the queue, and is put there again' })
      this.#toPut.add(key)
      return
    }
    const { state, queued } = found
    if (state === 'failed') {
      const stalled = STALLED.test(queued.failedReason ?? '')
      const reason = stalled
        ? 'too many workers were lost over it: the same command tries it again'
        : queued.failedReason
      // Any other reason its worker has told.
      if (stalled) this.#tell(key, { event: 'notice', message: `failed: ${reason}` })
      this.#settle(key, job, { job, end: 'failed', error: new UserError(reason) })
    }
    if (state === 'completed')
      await this.#try(key, job, 'its result cannot be fetched', () => this.#collect(key, job, queued.returnvalue))
  }

  /**
   * Does what needs the store, which may be away for a while: that is told once, and the next look tries again. A job that it
   * is away for too long for counts as failed.
   * @returns whether it is done
   */
  async #try(key: string, job: Job, otherwise: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      this.#missed.delete(key)
      return true
    } catch (error) {
      const missed = (this.#missed.get(key) ?? 0) + 1
      this.#missed.set(key, missed)
      const failed = missed === MOST_MISSED
      const reason = `${otherwise}: ${messageOf(error)}`
      if (failed || missed === 1)
        this.options.onEvent({ event: 'notice', message: failed ? reason : `${reason}; trying again` }, job)
      if (failed) this.#settle(key, job, { job, end: 'failed', error })
      return false
    }
  }

  async #collect(key: string, job: Job, returned: unknown): Promise<void> {
    const { store, onEvent } = this.options
    const { attempt, ...outcome } = parseOutcome(returned, key)
    const folder = jobFolder(this.out, job)
    await makeFolder(folder)
    const unlock = lockFolder(folder)
    try {
      await collect(store, key, attempt, folder)
    } finally {
      unlock()
    }
    const end = this.#ends.get(key)
    if (end) onEvent(end, job)
    this.#settle(key, job, { job, ...outcome })
    await removeOthers(store, key, attempt).catch((error: unknown) => {
      const message = `what was left of its other attempts is still in the store: ${messageOf(error)}`
      onEvent({ event: 'notice', message }, job)
    })
  }

  #settle(key: string, job: Job, result: JobResult): void {
    this.results.set(job, result)
    this.#open.delete(key)
  }

  async #tellIfAlone(): Promise<void> {
    // Some servers do not say who is connected.
    const workers = await this.#queue.getWorkersCount().catch(() => undefined)
    if (workers !== 0) return
    const message = 'no worker is connected yet: start some, on any machine, with `rdm-worker --redis … --store …`'
    this.options.onEvent({ event: 'notice', message })
  }
}

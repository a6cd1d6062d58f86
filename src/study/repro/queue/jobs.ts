// The jobs of an experiment in the queue, for who looks at them or takes them back.

import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Experiment } from '../folder.js'
import type { InQueue, JobStatus } from '../status.js'
import { keyOf, payloadOf, QUEUE, standingIn } from './payload.js'

async function withJobsOf<T>(redis: Redis, work: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = new Queue(QUEUE, { connection: redis })
  // What it says is what the command that fails says.
  queue.on('error', () => {})
  try {
    return await work(queue)
  } finally {
    await queue.close()
  }
}

const stateOf = (state: string): JobStatus['state'] =>
  state === 'active' ? 'running' : state === 'completed' ? 'trained' : state === 'failed' ? 'failed' : 'queued'

/** Where the jobs that are in the queue stand. */
export const jobsIn =
  (redis: Redis): InQueue =>
  (experiment) =>
    withJobsOf(redis, async (queue) => {
      const found = new Map<string, Partial<JobStatus>>()
      for (const job of experiment.plan.jobs) {
        const queued = await queue.getJob(keyOf(payloadOf(experiment, job)))
        if (!queued) continue
        const state = stateOf(await queued.getState())
        const { worker, imagesPerSecond = null, left = null, ...standing } = standingIn(queued.progress) ?? {}
        // Who has left it says nothing of when it will be done.
        const training = state === 'running' && worker !== undefined ? { worker, imagesPerSecond, left } : undefined
        found.set(job.id, { state, ...standing, ...(training ? { training } : {}) })
      }
      return found
    })

/** Removes the jobs that no worker has begun, those that wait for another attempt included; gives their ids. */
export const withdrawJobs = (redis: Redis, experiment: Experiment): Promise<readonly string[]> =>
  withJobsOf(redis, async (queue) => {
    const taken: string[] = []
    for (const job of experiment.plan.jobs) {
      const queued = await queue.getJob(keyOf(payloadOf(experiment, job)))
      if (!queued || !['waiting', 'delayed'].includes(await queued.getState())) continue
      await queued.remove()
      taken.push(job.id)
    }
    return taken
  })

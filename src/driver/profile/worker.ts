// The worker thread that runs a step under the profiler: one job, one answer.
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf, UserError } from '../../core/errors.js'
import { createSession, runSession, toOrt } from '../runtime/ort.js'
import { type StepTimes, stepTimes } from './events.js'
import type { ProfileAnswer, ProfileJob } from './profile.js'
import { readEvents } from './readEvents.js'

async function profile(job: ProfileJob): Promise<StepTimes | undefined> {
  const { model, feeds, settings, steps, warmUp, folder, stop } = job
  const stopped = () => Atomics.load(stop, 0) !== 0
  if (stopped()) return undefined
  const session = await createSession(model, settings, join(folder, 'step'))
  try {
    const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
    const fetches = Object.fromEntries(session.outputNames.map((name) => [name, null]))
    for (let i = 0; i < warmUp + steps; i++) {
      if (stopped()) return undefined
      await runSession(session, given, fetches)
    }
    session.endProfiling()
  } finally {
    await session.release()
  }
  return stepTimes(await readEvents(folder), warmUp)
}

const answer = await profile(workerData as ProfileJob).then(
  (times): ProfileAnswer => ({ times }),
  (error: unknown): ProfileAnswer => ({
    failure: { message: messageOf(error), user: error instanceof UserError },
  }),
)
parentPort?.postMessage(answer)

// The process that runs a step under the profiler.
import { join } from 'node:path'
import type { InferenceSession, OnnxValue } from 'onnxruntime-node'
import { createSession, runSession, toOrt } from '../runtime/ort.js'
import { serve } from '../threads/serve.js'
import { stepTimes } from './events.js'
import type { ProfileReplies, ProfileRequest } from './profile.js'
import { readEvents } from './readEvents.js'

interface Open {
  readonly session: InferenceSession
  readonly folder: string
  readonly feeds: Readonly<Record<string, OnnxValue>>
  readonly fetches: Readonly<Record<string, null>>
}

let open: Open | undefined

function opened(): Open {
  if (!open) throw new Error('no step is open')
  return open
}

async function answer(request: ProfileRequest): Promise<ProfileReplies[ProfileRequest['kind']]> {
  switch (request.kind) {
    case 'open': {
      const { model, settings, folder } = request
      const session = await createSession(model, settings, join(folder, 'step'))
      const feeds = Object.fromEntries(Object.entries(request.feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
      open = { session, folder, feeds, fetches: Object.fromEntries(session.outputNames.map((name) => [name, null])) }
      return undefined
    }
    case 'step': {
      const { session, feeds, fetches } = opened()
      await runSession(session, feeds, fetches)
      return undefined
    }
    case 'times': {
      const { session, folder } = opened()
      session.endProfiling()
      await session.release()
      return stepTimes(await readEvents(folder), request.warmUp)
    }
  }
}

serve<ProfileRequest, ProfileReplies>(answer, () => [])

// The child process in which a provider computes a convolution: a native library that crashes or hangs takes it alone
// down. Started with a ChildJob as its argument; the last line of standard output is a ChildAnswer.
import { join } from 'node:path'
import { messageOf } from '../../core/errors.js'
import { placesOf } from '../../driver/profile/events.js'
import { readEvents } from '../../driver/profile/readEvents.js'
import { convolution, errorOf } from './convolution.js'
import { type ChildAnswer, childJob } from './trial.js'

async function compute(): Promise<ChildAnswer> {
  const { provider, device, folder } = childJob.parse(JSON.parse(process.argv[2] ?? ''))
  let providers: readonly string[] = []
  try {
    // Loaded here, so that a native library that does not load is an answer too.
    const { createSession, knownProviders, printErrors, runSession, toOrt } = await import(
      '../../driver/runtime/ort.js'
    )
    printErrors()
    providers = knownProviders()
    const { model, feeds, expected } = convolution()
    const session = await createSession(model, { provider, device }, join(folder, 'convolution'))
    const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
    const { y } = await runSession(session, given, { y: null })
    session.endProfiling()
    await session.release()
    const error = errorOf(y!.data as Float32Array, expected)
    // JSON has no NaN.
    return { providers, placed: placesOf('Conv', await readEvents(folder)), error: Number.isNaN(error) ? null : error }
  } catch (error) {
    return { providers, failure: messageOf(error) }
  }
}

process.stdout.write(`${JSON.stringify(await compute())}\n`)

// Runs models by the WebGPU provider as the driver opens them, and trains on it: in a process of its own, since the Vulkan loader
// reads the environment that the process began with. The answer to a job is what its function gives, or { failure }.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readEvents } from '../../dist/src/driver/profile/readEvents.js'
import { createSession, fromOrt, runSession, toOrt } from '../../dist/src/driver/runtime/ort.js'
import { fit, readTrainableModel } from '../../dist/src/index.js'

/** A run: its outputs, and [operator, provider] of all nodes that ran. */
async function run({ model, feeds }) {
  const folder = await mkdtemp(join(tmpdir(), 'rdm-placement-'))
  try {
    const session = await createSession(model, { provider: 'webgpu' }, join(folder, 'run'))
    const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
    const wanted = Object.fromEntries(session.outputNames.map((name) => [name, null]))
    const results = await runSession(session, given, wanted)
    const outputs = Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(name, value)]))
    session.endProfiling()
    await session.release()
    const nodes = (await readEvents(folder)).filter(({ cat, args }) => cat === 'Node' && args.provider)
    return { outputs, placed: nodes.map(({ args }) => [args.op_name, args.provider]) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** A run of the driver, stopped after `stopAt` steps where that is given. */
async function train({ model, data, out, config, resume, stopAt = Number.POSITIVE_INFINITY }) {
  const stopping = new AbortController()
  const events = []
  const onEvent = (event) => {
    if (event.event === 'notice' || event.event === 'step') events.push(event)
    if (event.event === 'step' && event.step >= stopAt) stopping.abort()
  }
  const options = { data, out, config, resume, signal: stopping.signal, onEvent }
  const { reason, step, history, state } = await fit({ model: readTrainableModel(model), ...options })
  return { reason, step, history, state, events }
}

process.on('message', async (job) => {
  try {
    process.send(await (job.feeds ? run(job) : train(job)))
  } catch (error) {
    process.send({ failure: String(error.message) })
  }
})

// Runs models by the WebGPU provider, as the driver opens them: in a process of its own, since the Vulkan loader reads the environment
// that the process began with. A job: { model, feeds, folder? }; the answer: { outputs, placed? } or { failure }.

import { readEvents } from '../../dist/src/driver/profile/readEvents.js'
import { createSession, load, runSession, toOrt } from '../../dist/src/driver/runtime/ort.js'

const settings = { provider: 'webgpu' }

async function run({ model, feeds }) {
  const loaded = await load(model, settings)
  const fetches = Object.fromEntries(loaded.outputs.map(({ name }) => [name, null]))
  const outputs = await loaded.run(feeds, fetches)
  await loaded.release()
  return { outputs }
}

/** Where each node ran: [operator, provider]. */
async function place({ model, feeds, folder }) {
  const session = await createSession(model, settings, `${folder}/run`)
  const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
  await runSession(session, given, Object.fromEntries(session.outputNames.map((name) => [name, null])))
  session.endProfiling()
  await session.release()
  const events = await readEvents(folder)
  return {
    placed: events.flatMap(({ cat, args }) => (cat === 'Node' && args.provider ? [[args.op_name, args.provider]] : [])),
  }
}

process.on('message', async (job) => {
  try {
    process.send(job.folder === undefined ? await run(job) : await place(job))
  } catch (error) {
    process.send({ failure: String(error.message) })
  }
})

// Runs models by the WebGPU provider as the driver opens them, and trains on it: in a process of its own, since the Vulkan loader
// reads the environment that the process began with. The answer to a job is what its function gives, or { failure }.
import { load } from '../../dist/src/driver/runtime/ort.js'
import { fit, readTrainableModel } from '../../dist/src/index.js'

/** The outputs of a run. */
async function run({ model, feeds }) {
  const loaded = await load(model, { provider: 'webgpu' })
  const outputs = await loaded.run(feeds, Object.fromEntries(loaded.outputs.map(({ name }) => [name, null])))
  await loaded.release()
  return { outputs }
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

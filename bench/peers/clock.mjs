// Loaded into every thread before anything else (node --import): notes when the latest run of ONNX Runtime in a worker
// thread began and ended, in the memory that the main thread put under 'latest run'. A clock that all threads share.

import { getEnvironmentData, isMainThread } from 'node:worker_threads'

export const now = () => Number(process.hrtime.bigint()) / 1e6

const shared = getEnvironmentData('latest run')
if (!isMainThread && shared) {
  const { InferenceSession } = (await import('onnxruntime-node')).default
  const latest = new Float64Array(shared)
  const { prototype } = InferenceSession
  const { run } = prototype
  prototype.run = async function (...args) {
    const begun = now()
    const results = await run.apply(this, args)
    latest.set([begun, now()])
    return results
  }
}

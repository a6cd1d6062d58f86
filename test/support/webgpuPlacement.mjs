// Opens the model on standard input by the WebGPU provider, as the driver does, and lets ONNX Runtime log where it puts each node.
// (Its profiler, which says it as well, ends the process now and then on an adapter in software.)
import { readFileSync } from 'node:fs'
import ort from 'onnxruntime-node'
import { sessionOptions } from '../../dist/src/driver/runtime/ort.js'

ort.env.logLevel = 'verbose'
const session = await ort.InferenceSession.create(readFileSync(0), {
  ...sessionOptions({ provider: 'webgpu' }),
  logSeverityLevel: 0,
})
await session.release()

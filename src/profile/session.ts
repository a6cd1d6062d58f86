// A session with ONNX Runtime's profiler on, otherwise as src/runtime/ort.ts makes it.
import { availableParallelism } from 'node:os'
import ort from 'onnxruntime-node'
import { messageOf, UserError } from '../errors.js'
import type { SessionSettings } from '../runtime/protocol.js'

/**
 * Creates a session that writes down what each node takes.
 * @param filePrefix path that the profiler's file begins with; `endProfiling` completes it
 * @throws UserError when ONNX Runtime refuses the model
 */
export async function profileSession(
  model: Uint8Array,
  settings: SessionSettings,
  filePrefix: string,
): Promise<ort.InferenceSession> {
  const { threads = availableParallelism(), provider = 'cpu', optimize = true } = settings
  ort.env.logLevel = 'fatal'
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      executionMode: 'sequential',
      graphOptimizationLevel: optimize ? 'all' : 'disabled',
      enableCpuMemArena: true,
      enableMemPattern: false,
      logSeverityLevel: 4,
      enableProfiling: true,
      profileFilePrefix: filePrefix,
    })
  } catch (error) {
    throw new UserError(`ONNX Runtime refuses the model: ${messageOf(error).replace(/\s+/g, ' ').trim()}`)
  }
}

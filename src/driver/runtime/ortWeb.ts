// The only file that runs onnxruntime-web: its last training build, WebAssembly with SIMD and threads. Loaded in worker
// threads alone: `run` blocks the thread that it is called on, and the build's own threads are workers of that one, which end
// with it.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { InferenceSession, Tensor as WebTensor } from 'onnxruntime-web'
import { messageOf, UserError } from '../../core/errors.js'
import { isSmall, type Tensor, tensorOf } from '../../core/graph/tensor.js'
import { signatureOf } from '../../core/onnx/signature.js'
import type { LoadedModel } from './model.js'
import type { SessionSettings } from './protocol.js'
import { dtypeOfRuntime, mapValues } from './tensor.js'
import { findWebBuild } from './webBuild.js'

type Build = typeof import('onnxruntime-web')

let build: Promise<Build> | undefined

/** Loads the build; how many threads it has is settled then for the worker. */
async function loadBuild(threads: number): Promise<Build> {
  const folder = findWebBuild()
  const address = pathToFileURL(join(folder, 'ort.training.wasm.min.mjs'))
  const ort: Build = await import(address.href)
  const { env } = ort
  // Errors arrive as exceptions.
  env.logLevel = 'fatal'
  env.wasm.numThreads = threads
  // As a path: from an address it would fetch its module, which Node does not do with files.
  env.wasm.wasmPaths = new URL('.', address).pathname
  env.wasm.wasmBinary = readFileSync(join(folder, 'ort-training-wasm-simd-threaded.wasm'))
  return ort
}

function sessionOptions({ optimize = true }: SessionSettings): InferenceSession.SessionOptions {
  return {
    executionProviders: ['wasm'],
    executionMode: 'sequential',
    graphOptimizationLevel: optimize ? 'all' : 'disabled',
    enableCpuMemArena: true,
    // As in ort.ts, where it is said why.
    enableMemPattern: false,
    logSeverityLevel: 4,
  }
}

/** What goes wrong without a word, mostly for want of memory, arrives as the address of a C++ exception. */
const reasonOf = (error: unknown): string =>
  typeof error === 'number'
    ? 'it ended without a reason; WebAssembly has 4 GiB of memory at most, so try a smaller batch'
    : messageOf(error).replace(/\s+/g, ' ').trim()

/** A model in the training build of onnxruntime-web. */
export async function load(model: Uint8Array, settings: SessionSettings): Promise<LoadedModel> {
  // The build does not tell types and shapes.
  const signature = signatureOf(model)
  build ??= loadBuild(settings.threads ?? availableParallelism())
  const { InferenceSession, Tensor: BuildTensor } = await build
  const toOrt = ({ dtype, data, shape }: Tensor): WebTensor => {
    if (dtype === 'bfloat16' || isSmall(dtype))
      throw new UserError(`onnxruntime-web has no ${dtype} tensors; cast to float32`)
    return new BuildTensor(dtype, data, shape)
  }
  let session: InferenceSession
  try {
    session = await InferenceSession.create(model, sessionOptions(settings))
  } catch (error) {
    throw new UserError(`onnxruntime-web refuses the model: ${reasonOf(error)}`)
  }
  return {
    ...signature,
    async run(feeds, fetches) {
      let results: Readonly<Record<string, WebTensor>>
      try {
        // The results are copies: nothing is written to what the caller could offer.
        results = await session.run(mapValues(feeds, toOrt), Object.keys(fetches))
      } catch (error) {
        throw new UserError(`onnxruntime-web cannot run the model: ${reasonOf(error)}`)
      }
      return mapValues(results, ({ type, dims, data }, name) =>
        tensorOf(dtypeOfRuntime(name, type), [...dims], data as Tensor['data']),
      )
    },
    release: () => session.release(),
  }
}

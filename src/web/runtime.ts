// The only file that touches onnxruntime-web's current release. Loaded in the worker alone: `run` of WebAssembly blocks the thread
// that it is called on.

import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-web'
import { messageOf, UserError } from '../core/errors.js'
import { isSmall, type Tensor, tensorOf } from '../core/graph/tensor.js'
import { dtypeOfRuntime } from '../driver/runtime/tensor.js'
import type { WebProvider, WebSettings } from './protocol.js'

export type Ort = typeof import('onnxruntime-web')

/** What this worker computes with. */
let own: { readonly provider: WebProvider; readonly byName: () => Promise<Ort> } | undefined
let loaded: Promise<Ort> | undefined

/** Settles it, once; `byName` imports the package's module, where somebody knows the package by its name. */
export function setRuntime(provider: WebProvider, byName: () => Promise<Ort>): void {
  own = { provider, byName }
}

/** The module of a page without a bundler, whose workers know no names: packages lie side by side, as npm puts them. */
function beside(file: string): string {
  const here = import.meta.url
  return new URL(`../../../onnxruntime-web/dist/${file}`, here).href
}

async function importOrt(address: string | undefined): Promise<Ort> {
  const importFrom = (url: string): Promise<Ort> => import(/* @vite-ignore */ url)
  if (address !== undefined) return importFrom(address)
  const { provider, byName } = own!
  return byName().catch(() => importFrom(beside(`ort.${provider}.bundle.min.mjs`)))
}

async function load({ threads, runtime }: WebSettings): Promise<Ort> {
  if (own!.provider === 'webgpu') await checkAdapter()
  let ort: Ort
  try {
    ort = await importOrt(runtime)
  } catch (error) {
    throw new UserError(
      `onnxruntime-web does not load: install it beside rdm-onnx (npm install onnxruntime-web), or give its address as 'runtime' (${reasonOf(error)})`,
    )
  }
  // Errors arrive as exceptions.
  ort.env.logLevel = 'fatal'
  ort.env.wasm.numThreads = threadsOf({ threads })
  return ort
}

/** How many threads WebAssembly gets here. */
export const threadsOf = ({ threads }: Pick<WebSettings, 'threads'>): number =>
  globalThis.crossOriginIsolated ? (threads ?? navigator.hardwareConcurrency) : 1

/** Milliseconds after which an adapter is asked for once more. */
const SECOND_TRY = 1000

/**
 * A browser whose GPU process begins anew loses the first adapter that it is asked for, as Chromium does on Vulkan without a screen.
 * @throws UserError when the browser has no adapter
 */
async function checkAdapter(): Promise<void> {
  const request = async () => ('gpu' in navigator ? navigator.gpu.requestAdapter().catch(() => null) : null)
  if (await request()) return
  await new Promise((resolve) => setTimeout(resolve, SECOND_TRY))
  if (!(await request())) throw new UserError("this browser offers no GPU by WebGPU: take the provider 'wasm'")
}

/** The runtime, loaded once: WebAssembly settles its threads then. */
export function ortFor(settings: WebSettings): Promise<Ort> {
  loaded ??= load(settings)
  return loaded
}

/** What goes wrong without a word, mostly for want of memory, arrives as the address of a C++ exception. */
const reasonOf = (error: unknown): string =>
  typeof error === 'number'
    ? 'it ended without a reason; WebAssembly has 4 GiB of memory at most, so try a smaller batch'
    : messageOf(error).replace(/\s+/g, ' ').trim()

export interface OpenOptions {
  readonly optimize: boolean
  /** Outputs that stay where they are computed. */
  readonly kept?: readonly string[]
  /** On the processor, whatever the provider of the worker. */
  readonly onCpu?: boolean
}

/** @throws UserError when the runtime refuses the model */
export async function createSession(
  model: Uint8Array,
  settings: WebSettings,
  { optimize, kept = [], onCpu = false }: OpenOptions,
): Promise<InferenceSession> {
  const ort = await ortFor(settings)
  const onGpu = own!.provider === 'webgpu' && !onCpu
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [onGpu ? 'webgpu' : 'wasm'],
      executionMode: 'sequential',
      graphOptimizationLevel: optimize ? 'all' : 'disabled',
      enableCpuMemArena: true,
      // As in Node: a pattern holds all activations of a batch size at once, and gains no time.
      enableMemPattern: false,
      logSeverityLevel: 4,
      ...(onGpu
        ? { preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, 'gpu-buffer' as const])) }
        : {}),
    })
  } catch (error) {
    throw new UserError(`onnxruntime-web refuses the model: ${reasonOf(error)}`)
  }
}

export async function runSession(
  session: InferenceSession,
  feeds: Readonly<Record<string, OrtTensor>>,
): Promise<Readonly<Record<string, OrtTensor>>> {
  try {
    return await session.run(feeds)
  } catch (error) {
    throw new UserError(`onnxruntime-web cannot run the model: ${reasonOf(error)}`)
  }
}

/** The tensor as the runtime takes it; shares the memory. */
export async function toOrt(settings: WebSettings, { dtype, data, shape }: Tensor): Promise<OrtTensor> {
  if (dtype === 'bfloat16' || isSmall(dtype))
    throw new UserError(`onnxruntime-web has no ${dtype} tensors; cast to float32`)
  const { Tensor } = await ortFor(settings)
  return new Tensor(dtype, data as never, shape)
}

/** The tensor as the rest of the product takes it, from wherever it is. */
export async function fromOrt(name: string, tensor: OrtTensor): Promise<Tensor> {
  const data = tensor.location === 'gpu-buffer' ? await tensor.getData() : tensor.data
  return tensorOf(dtypeOfRuntime(name, tensor.type), [...tensor.dims], data as Tensor['data'])
}

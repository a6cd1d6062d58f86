// Which of WebAssembly and WebGPU trains a network faster here: a few steps of each say it.

import { messageOf } from '../../core/errors.js'
import type { Dataset } from '../../driver/data/dataset.js'
import { fit, memoryStore, type WebOverrides, type WebProvider } from '../../web/index.js'

/** Steps of each; the first, which waits for the runtime, does not count. */
const STEPS = 4
/** How long the second may take, beside the first, before it has lost. */
const PATIENCE = { times: 2, atLeast: 4000 }

/** Milliseconds of a step. */
export interface Trial {
  readonly provider: WebProvider
  readonly ms?: number
  /** Why it does not train here. */
  readonly problem?: string
}

/** Whether the browser offers a GPU. */
export async function hasGpu(): Promise<boolean> {
  try {
    return 'gpu' in navigator && (await navigator.gpu.requestAdapter()) !== null
  } catch {
    return false
  }
}

interface TrialOptions {
  readonly model: Uint8Array
  readonly data: Dataset
  readonly config: WebOverrides
  readonly signal: AbortSignal
}

/** @param within milliseconds after which it is given up */
async function tried(provider: WebProvider, { signal, config, ...rest }: TrialOptions, within: number): Promise<Trial> {
  const times: number[] = []
  const stopping = new AbortController()
  const run = fit({
    ...{ ...rest, provider, store: memoryStore('a trial') },
    config: { ...config, steps: STEPS },
    signal: AbortSignal.any([signal, stopping.signal]),
    onEvent: (event) => event.event === 'step' && times.push(event.ms),
  })
  const late = new Promise<void>((resolve) => within < Number.POSITIVE_INFINITY && setTimeout(resolve, within))
  try {
    await Promise.race([run.result, late])
  } catch (error) {
    return { provider, problem: messageOf(error) }
  } finally {
    stopping.abort()
    run.result.catch(() => {})
  }
  const [, ...counted] = times
  return counted.length === 0 ? { provider, problem: 'too slow to be timed' } : { provider, ms: Math.min(...counted) }
}

/** Tries what there is; the fastest comes first. */
export async function compare(options: TrialOptions): Promise<readonly Trial[]> {
  const begun = performance.now()
  const wasm = await tried('wasm', options, Number.POSITIVE_INFINITY)
  if (options.signal.aborted || !(await hasGpu())) return [wasm]
  const patience = Math.max(PATIENCE.atLeast, PATIENCE.times * (performance.now() - begun))
  const gpu = await tried('webgpu', options, patience)
  return [wasm, gpu].sort((a, b) => (a.ms ?? Number.POSITIVE_INFINITY) - (b.ms ?? Number.POSITIVE_INFINITY))
}

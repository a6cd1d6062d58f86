// ONNX Runtime's WebGPU provider without a GPU: on the software Vulkan that comes with Chromium (SwiftShader), in processes that begin
// with the environment for it.
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { narrow, type Tensor, widen } from '../../src/core/graph/tensor.js'
import type { Dataset } from '../../src/driver/data/dataset.js'
import type { FitOverrides } from '../../src/driver/fit/config.js'
import type { FitEvent } from '../../src/driver/fit/events.js'
import type { FitResult } from '../../src/driver/fit/fit.js'
import type { Tensors } from './runtime.js'

/** Where Debian's package chromium has it; the Vulkan loader lies beside it. */
const driver = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** Whether tests that need it run: where it is installed, and always in CI, where they fail without it. */
export const hasWebgpu = existsSync(driver) || process.env.CI !== undefined

/** The environment of a process that has a WebGPU adapter. */
export const withAdapter = (): NodeJS.ProcessEnv => ({
  ...process.env,
  VK_DRIVER_FILES: driver,
  XDG_RUNTIME_DIR: tmpdir(),
  LD_LIBRARY_PATH: [dirname(driver), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
})

/** The environment of a process that has none, whatever the machine has. */
export const withoutAdapter = (): NodeJS.ProcessEnv => ({ ...process.env, VK_DRIVER_FILES: '/dev/null' })

export interface Ran {
  readonly outputs: Tensors
  /** All nodes that ran: [operator, provider]. */
  readonly placed: readonly (readonly [operator: string, provider: string])[]
}

export interface TrainJob {
  readonly model: Uint8Array
  readonly data: Dataset
  readonly out: string
  readonly config: FitOverrides
  readonly resume?: boolean
  readonly stopAt?: number
}
export interface Trained extends Pick<FitResult, 'reason' | 'step' | 'history' | 'state'> {
  /** Notices and steps. */
  readonly events: readonly FitEvent[]
}

/** A process that runs models and trains, one job after the other. */
export class WebgpuProcess {
  readonly #child: ChildProcess

  constructor(env = withAdapter()) {
    this.#child = fork(fileURLToPath(new URL('./webgpuChild.mjs', import.meta.url)), {
      env,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
  }

  #ask<T extends object>(job: object): Promise<T> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) => reject(new Error(`it ended by ${signal ?? code}`))
      this.#child.once('exit', onExit)
      this.#child.once('message', (answer: T | { readonly failure: string }) => {
        this.#child.off('exit', onExit)
        if ('failure' in answer) reject(new Error(answer.failure))
        else resolve(answer)
      })
      this.#child.send(job)
    })
  }

  async run(model: Uint8Array, feeds: Tensors): Promise<Ran> {
    const given = Object.fromEntries([...feeds].map(([name, value]) => [name, narrow(value)]))
    type Raw = { outputs: Record<string, Tensor> } & Pick<Ran, 'placed'>
    const { outputs, placed } = await this.#ask<Raw>({ model, feeds: given })
    return { outputs: new Map(Object.entries(outputs).map(([name, value]) => [name, widen(value)])), placed }
  }

  train(job: TrainJob): Promise<Trained> {
    return this.#ask(job)
  }

  close(): void {
    this.#child.kill()
  }
}

// ONNX Runtime's WebGPU provider without a GPU: on the software Vulkan that comes with Chromium (SwiftShader), in processes that begin
// with the environment for it.
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
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

/** How many nodes of each operator a provider computes, by provider. Nodes that copy between the two are not counted. */
export function placementOf(model: Uint8Array): Readonly<Record<string, Readonly<Record<string, number>>>> {
  const program = fileURLToPath(new URL('./webgpuPlacement.mjs', import.meta.url))
  const options = { input: model, env: withAdapter(), encoding: 'utf8', maxBuffer: 2 ** 28 } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], options)
  if (status !== 0) throw new Error(`the model does not open: ${stderr.slice(-1000)}`)
  const placed: Record<string, Record<string, number>> = {}
  let nodes: Record<string, number> = {}
  for (const line of `${stdout}\n${stderr}`.split('\n')) {
    const [, provider] = /odes? ?\(?s?\)? placed on \[(\w+)\]/.exec(line) ?? []
    if (provider) {
      placed[provider] ??= {}
      nodes = placed[provider]
    }
    const [, operator] = /VerifyEachNodeIsAssignedToAnEp\]\s+(\w+) \(/.exec(line) ?? []
    if (operator && !operator.startsWith('Memcpy')) nodes[operator] = (nodes[operator] ?? 0) + 1
  }
  return placed
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

  async run(model: Uint8Array, feeds: Tensors): Promise<Tensors> {
    const given = Object.fromEntries([...feeds].map(([name, value]) => [name, narrow(value)]))
    const { outputs } = await this.#ask<{ outputs: Record<string, Tensor> }>({ model, feeds: given })
    return new Map(Object.entries(outputs).map(([name, value]) => [name, widen(value)]))
  }

  train(job: TrainJob): Promise<Trained> {
    return this.#ask(job)
  }

  close(): void {
    this.#child.kill()
  }
}

// ONNX Runtime's WebGPU provider without a GPU: on the software Vulkan that comes with Chromium (SwiftShader), in processes that begin
// with the environment for it.
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { narrow, type Tensor, widen } from '../../src/core/graph/tensor.js'
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

type Placed = readonly (readonly [operator: string, provider: string])[]
interface Answer {
  readonly outputs?: Readonly<Record<string, Tensor>>
  readonly placed?: Placed
  readonly failure?: string
}

/** A process that runs models on WebGPU, one after the other. */
export class WebgpuProcess {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('./webgpuChild.mjs', import.meta.url)), {
    env: withAdapter(),
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })

  #ask(job: { model: Uint8Array; feeds: Tensors; folder?: string }): Promise<Answer> {
    const feeds = Object.fromEntries([...job.feeds].map(([name, value]) => [name, narrow(value)]))
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) => reject(new Error(`it ended by ${signal ?? code}`))
      this.#child.once('exit', onExit)
      this.#child.once('message', (answer: Answer) => {
        this.#child.off('exit', onExit)
        if (answer.failure === undefined) resolve(answer)
        else reject(new Error(answer.failure))
      })
      this.#child.send({ ...job, feeds })
    })
  }

  async run(model: Uint8Array, feeds: Tensors): Promise<Tensors> {
    const { outputs } = await this.#ask({ model, feeds })
    return new Map(Object.entries(outputs!).map(([name, value]) => [name, widen(value)]))
  }

  /** The operators of all nodes that ran, each with the provider that ran it. */
  async place(model: Uint8Array, feeds: Tensors): Promise<Placed> {
    const folder = mkdtempSync(join(tmpdir(), 'rdm-placement-'))
    try {
      return (await this.#ask({ model, feeds, folder })).placed!
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  close(): void {
    this.#child.kill()
  }
}

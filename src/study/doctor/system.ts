// What the doctor asks of the machine, all in one place, so that a test can put another machine in its place.
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { messageOf } from '../../core/errors.js'
import { installedWeb } from '../../driver/runtime/webBuild.js'

/** How a program ended, with what it wrote. */
export type Ended =
  | { readonly kind: 'ended'; readonly code: number; readonly out: string; readonly err: string }
  | { readonly kind: 'crashed'; readonly signal: string; readonly out: string; readonly err: string }
  /** It was ended because its time was over. */
  | { readonly kind: 'hung'; readonly out: string; readonly err: string }
  /** It could not be started. */
  | { readonly kind: 'missing'; readonly reason: string }

export interface System {
  readonly platform: string
  readonly arch: string
  readonly nodeVersion: string
  readonly processors: { readonly count: number; readonly model: string }
  /** Bytes. */
  readonly memory: number
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder of the package onnxruntime-node; undefined when it is not installed. */
  readonly runtimeFolder: string | undefined
  /** Version of the package onnxruntime-web; undefined when it is not installed. */
  readonly webVersion: string | undefined
  /** Runs a program to its end or for so many milliseconds. Never rejects. */
  run(program: string, argv: readonly string[], limit: number): Promise<Ended>
  /** The text of a file; undefined when it cannot be read. */
  read(path: string): Promise<string | undefined>
  /** The names in a folder, sorted; none when it cannot be read. */
  list(folder: string): Promise<readonly string[]>
}

function findRuntime(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  } catch {
    return undefined
  }
}

function run(program: string, argv: readonly string[], limit: number): Promise<Ended> {
  return new Promise((resolve) => {
    // Killed outright: a native library that hangs does not answer to a gentler signal.
    const options = { timeout: limit, killSignal: 'SIGKILL', maxBuffer: 16e6, encoding: 'utf8' } as const
    execFile(program, argv, options, (error, out, err) => {
      if (error === null) resolve({ kind: 'ended', code: 0, out, err })
      else if (error.killed) resolve({ kind: 'hung', out, err })
      else if (error.signal) resolve({ kind: 'crashed', signal: error.signal, out, err })
      else if (typeof error.code === 'number') resolve({ kind: 'ended', code: error.code, out, err })
      else resolve({ kind: 'missing', reason: error.code === 'ENOENT' ? 'it is not on the PATH' : messageOf(error) })
    })
  })
}

/** The machine that this runs on. */
export const thisSystem = (): System => ({
  platform: process.platform,
  arch: process.arch,
  nodeVersion: process.versions.node,
  processors: { count: cpus().length, model: cpus()[0]?.model.trim() ?? 'unknown' },
  memory: totalmem(),
  env: process.env,
  runtimeFolder: findRuntime(),
  webVersion: installedWeb()?.version,
  run,
  read: (path) => readFile(path, 'utf8').catch(() => undefined),
  list: async (folder) => (await readdir(folder).catch(() => [])).sort(),
})

// What was found out about this machine, kept from run to run: timings of convolutions, and steps that were compared.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import envPaths from 'env-paths'
import { z } from 'zod'
import { makeFolder } from '../folders.js'
import { writeOutput } from '../output.js'
import { processorName, runtimeVersion } from '../runtime/machine.js'
import type { Provider, RuntimeName } from '../runtime/protocol.js'
import { WEB_VERSION } from '../runtime/webBuild.js'
import type { Timing } from '../targets/target.js'

/** Raised when a candidate changes: what was timed before is then another thing. */
const FORMAT = 'rdm-onnx tuning 4'

const timingSchema = z.strictObject({ choice: z.string(), ms: z.record(z.string(), z.number()) })
const machineSchema = z.strictObject({
  /** By batch size and call. */
  timings: z.record(z.string(), timingSchema),
  /** Fingerprints of steps that gave what the portable step gives. */
  verified: z.array(z.string()),
})
const cacheSchema = z.strictObject({
  format: z.literal(FORMAT),
  machines: z.record(z.string(), machineSchema),
})
type Machine = z.infer<typeof machineSchema>
type CacheFile = z.infer<typeof cacheSchema>

/**
 * What the findings depend on besides the call itself: of a CPU its threads and blocks, of a provider its device, of another
 * runtime than onnxruntime-node its threads.
 */
export type MachineKey =
  | { readonly threads: number; readonly block: number }
  | { readonly provider: Provider; readonly device: number }
  | { readonly runtime: RuntimeName; readonly threads: number }

function describe(key: MachineKey): string {
  if ('runtime' in key) return `onnxruntime-web ${WEB_VERSION}, ${processorName()}, ${key.threads} threads`
  const used = 'device' in key ? `${key.provider} ${key.device}` : `${key.threads} threads, blocks of ${key.block}`
  return `onnxruntime-node ${runtimeVersion()}, ${processorName()}, ${used}`
}

export const tuningFile = (): string => join(envPaths('rdm-onnx', { suffix: '' }).cache, 'tuning.json')

/** A file that cannot be read or that is not ours is as good as none: what it held is found out again. */
async function read(file: string): Promise<CacheFile> {
  try {
    return cacheSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return { format: FORMAT, machines: {} }
  }
}

/** The part of the cache for one machine. Writing is best effort: a run does not fail because its cache cannot be kept. */
export class TuningCache {
  private constructor(
    private readonly file: string,
    private readonly name: string,
    private readonly machine: Machine,
  ) {}

  static async open(key: MachineKey, file = tuningFile()): Promise<TuningCache> {
    const name = describe(key)
    const { machines } = await read(file)
    const found = Object.hasOwn(machines, name) ? machines[name]! : { timings: {}, verified: [] }
    return new TuningCache(file, name, found)
  }

  timing(batch: number, call: string): Timing | undefined {
    const key = `${batch} ${call}`
    return Object.hasOwn(this.machine.timings, key) ? this.machine.timings[key] : undefined
  }

  keep(batch: number, call: string, timing: Timing): void {
    this.machine.timings[`${batch} ${call}`] = { ...timing, ms: { ...timing.ms } }
  }

  isVerified(fingerprint: string): boolean {
    return this.machine.verified.includes(fingerprint)
  }

  keepVerified(fingerprint: string): void {
    this.machine.verified.push(fingerprint)
  }

  /**
   * Writes what was found out. Where another process was first, its timings hold, here too: runs that begin at the same
   * time write their steps in the same way, and give the same bits.
   */
  async save(): Promise<void> {
    try {
      const { machines } = await read(this.file)
      const earlier = Object.hasOwn(machines, this.name) ? machines[this.name]! : { timings: {}, verified: [] }
      Object.assign(this.machine.timings, earlier.timings)
      this.machine.verified = [...new Set([...earlier.verified, ...this.machine.verified])]
      await makeFolder(dirname(this.file))
      await writeOutput(
        this.file,
        `${JSON.stringify({ format: FORMAT, machines: { ...machines, [this.name]: this.machine } })}\n`,
      )
    } catch {
      // Found out again next time.
    }
  }
}

/** One short name for several things. */
export const fingerprint = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex')

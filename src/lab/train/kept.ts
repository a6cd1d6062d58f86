// The run that this browser keeps for this page: one, in the origin private file system. It goes on after the tab was closed.

import { z } from 'zod'
import { decodeCheckpoint } from '../../driver/run/checkpointFile.js'
import type { EpochMetrics } from '../../driver/run/metrics.js'
import { openStore, type RunStore, webProviders } from '../../web/index.js'
import { sourceSchema } from './data.js'

const NAME = 'the lab'
const about = 'lab.json'
const untrained = 'untrained.onnx'

const aboutSchema = z.strictObject({
  format: z.literal('rdm-lab run 1'),
  /** The design, as the address has it. */
  design: z.string(),
  /** The network's name. */
  name: z.string(),
  provider: z.enum(webProviders),
  source: sourceSchema,
})
export type About = z.infer<typeof aboutSchema>

/** What there is to go on with. */
export interface KeptRun {
  readonly about: About
  readonly model: Uint8Array
  readonly history: readonly EpochMetrics[]
  readonly step: number
  /** Epochs that are over, and all. */
  readonly epoch: number
  readonly epochs: number
}

/** The run's files. */
export const openKept = (): Promise<RunStore> => openStore(NAME)

/** Undefined where there is none, or one that this page does not know. */
export async function readKept(): Promise<KeptRun | undefined> {
  const store = await openKept()
  const [text, model, checkpoint] = await Promise.all(
    [about, untrained, 'checkpoint.safetensors'].map((name) => store.read(name)),
  )
  if (!text || !model || !checkpoint) return undefined
  try {
    const said = aboutSchema.parse(JSON.parse(new TextDecoder().decode(text)))
    const { progress, config } = decodeCheckpoint(checkpoint, 'the checkpoint')
    const { history, step, epoch } = progress
    return { about: said, model, history, step, epoch, epochs: config.epochs }
  } catch {
    // Of another version, or cut off while it was written: a new run takes its place.
    return undefined
  }
}

/** Begins another run in the place of the one that was kept. */
export async function replaceKept(said: About, model: Uint8Array): Promise<RunStore> {
  const store = await openKept()
  await store.remove()
  await store.write(about, new TextEncoder().encode(JSON.stringify(said)))
  await store.write(untrained, model)
  return store
}

/**
 * Runs what trains while no other tab of this page does: both would write the same files.
 * @returns undefined where one does
 */
export const alone = async <T>(work: () => Promise<T>): Promise<T | undefined> =>
  // Without a secure origin there are neither locks nor files that last.
  !globalThis.isSecureContext
    ? work()
    : navigator.locks.request('rdm-lab training', { ifAvailable: true }, async (lock) => (lock ? work() : undefined))

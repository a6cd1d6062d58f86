// timing.jsonl: what each epoch took, on which machine and by which versions. Nothing that is compared depends on it.
import { appendFile, lstat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { cannotWrite } from '../output.js'
import { ownPackage } from '../package.js'
import { gpuModels, processorName, runtimeVersion } from '../runtime/machine.js'
import { type Provider, providers, type RuntimeName } from '../runtime/protocol.js'
import { WEB_VERSION } from '../runtime/webBuild.js'
import { targetNames } from '../targets/index.js'
import { readJsonLines } from './jsonLines.js'
import { runFiles } from './runFolder.js'

const name = z.string().max(200)
const milliseconds = z.number().min(0).max(1e12)

/** One line. What is optional, lines from before it was noted lack. */
export const epochTimingSchema = z.object({
  epoch: z.int().min(0),
  /** That this process trained: fewer than an epoch has where an earlier process began it. */
  steps: z.int().min(0),
  /** In these steps. */
  images: z.int().min(0).optional(),
  trainingMs: milliseconds,
  /** Of the whole test set, once, and of writing what the epoch led to. */
  evaluationMs: milliseconds,
  batchSize: z.int().min(1),
  threads: z.int().min(1),
  provider: z.enum(providers),
  target: z.enum(targetNames).optional(),
  machine: z
    .object({
      processor: name,
      cores: z.int().min(1),
      /** Models of the machine's GPUs, where one of them trained. */
      gpu: name.optional(),
    })
    .optional(),
  /** By package. */
  versions: z.record(name, name).optional(),
})
export type EpochTiming = Readonly<z.infer<typeof epochTimingSchema>>

/** The machine that this process trains on, and what it trains with. */
export async function surroundings(
  runtime: RuntimeName,
  provider: Provider,
): Promise<Required<Pick<EpochTiming, 'machine' | 'versions'>>> {
  const gpus = provider === 'cuda' ? await gpuModels() : []
  return {
    machine: {
      processor: processorName(),
      cores: availableParallelism(),
      ...(gpus.length > 0 ? { gpu: gpus.join(' or ') } : {}),
    },
    versions: {
      'rdm-onnx': ownPackage()?.version ?? 'unknown',
      ...(runtime === 'node' ? { 'onnxruntime-node': runtimeVersion() } : { 'onnxruntime-web': WEB_VERSION }),
      node: process.versions.node,
    },
  }
}

/** @throws UserError when it cannot be written */
export async function appendTiming(folder: string, timing: EpochTiming): Promise<void> {
  const path = join(folder, runFiles.timing)
  const found = await lstat(path).catch(() => undefined)
  // A link would take the line to a file elsewhere.
  if (found && !found.isFile()) throw new UserError(`${path} is no file: move it away`)
  await appendFile(path, `${JSON.stringify(timing)}\n`).catch((error: unknown) => {
    throw cannotWrite(path, error)
  })
}

export interface TimingOnRecord {
  readonly epochs: readonly EpochTiming[]
  /** Lines that say nothing: a crash may have come in the middle of one. */
  readonly unreadable: number
}

/**
 * What is on record of a run's times.
 * @throws UserError when the file is too large to be one
 */
export async function readTiming(folder: string): Promise<TimingOnRecord> {
  const lines = await readJsonLines(join(folder, runFiles.timing), epochTimingSchema)
  const epochs = lines.filter((line) => line !== undefined)
  return { epochs, unreadable: lines.length - epochs.length }
}

// Checkpoints: the whole state of a run in one safetensors file, the newest two kept.
import { readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { describeIssues, messageOf, UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { type Recipe, recipeSchema } from '../../core/model/recipe.js'
import { type FitConfig, fitConfigSchema } from '../fit/config.js'
import { syncFolder, writeBeside } from './files.js'
import { type Progress, progressSchema } from './metrics.js'
import { decodeSafetensors, encodeSafetensors } from './safetensors.js'
import { readMetadataOf } from './safetensorsHeader.js'

/** The two files, newest first. */
export const checkpointFiles = ['checkpoint.safetensors', 'checkpoint.previous.safetensors'] as const

export interface Checkpoint {
  /** Parameters, momenta and running statistics. */
  readonly state: Tensors
  /** Position in the data and sums of the epoch in progress. With the seed in the configuration this is the random state too: every draw is a function of seed, epoch and step. */
  readonly progress: Progress
  readonly config: FitConfig
  readonly recipe: Recipe
  /** What the run belongs to. */
  readonly model: string
  readonly data: string
}

const json = <T>(schema: z.core.$ZodType<T>) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text)
      } catch (error) {
        context.addIssue(messageOf(error))
        return z.NEVER
      }
    })
    .pipe(schema)

const metadataSchema = z.object({
  format: z.literal('rdm-onnx checkpoint 1'),
  progress: json(progressSchema),
  config: json(fitConfigSchema),
  recipe: json(recipeSchema),
  model: z.string(),
  data: z.string(),
})

/** The checkpoint as a file: the same run at the same step gives the same bytes. */
export function encodeCheckpoint({ state, progress, config, recipe, model, data }: Checkpoint): Uint8Array {
  const metadata = {
    format: 'rdm-onnx checkpoint 1',
    progress: JSON.stringify(progress),
    config: JSON.stringify(config),
    recipe: JSON.stringify(recipe),
    model,
    data,
  }
  return encodeSafetensors({ tensors: state, metadata })
}

/** @throws UserError when it is no checkpoint, or a damaged one. */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const { tensors, metadata } = decodeSafetensors(bytes, path)
  return { state: tensors, ...checkedMetadata(metadata, path) }
}

function checkedMetadata(metadata: Readonly<Record<string, string>>, path: string): Omit<Checkpoint, 'state'> {
  const result = metadataSchema.safeParse(metadata)
  if (!result.success) throw new UserError(`${path} is damaged or no checkpoint: ${describeIssues(result.error)}`)
  const { format, ...rest } = result.data
  return rest
}

/**
 * Writes the newest checkpoint of a run folder; the one before it stays as the second.
 * @throws UserError when it cannot be written; both earlier ones are then still there.
 */
export async function saveCheckpoint(folder: string, checkpoint: Checkpoint): Promise<void> {
  const [newest, previous] = checkpointFiles.map((name) => join(folder, name)) as [string, string]
  const fresh = await writeBeside(newest, encodeCheckpoint(checkpoint))
  // A crash between the two renames leaves no newest one: the previous one is then the last good one.
  await rename(newest, previous).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(fresh, newest)
  await syncFolder(dirname(newest))
}

/**
 * The newest good checkpoint of a run folder, or undefined when it has none yet. `damaged` says why the newest file
 * was passed over.
 * @throws UserError when all that there are is damaged.
 */
export async function loadCheckpoint(
  folder: string,
): Promise<{ checkpoint: Checkpoint; damaged: string | undefined } | undefined> {
  const failures: UserError[] = []
  for (const name of checkpointFiles) {
    const path = join(folder, name)
    try {
      const checkpoint = decodeCheckpoint(await readFile(path), path)
      return { checkpoint, damaged: failures[0]?.message }
    } catch (error) {
      if (error instanceof UserError) failures.push(error)
      else if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  if (failures.length > 0) throw failures[0]
  return undefined
}

/**
 * How far the run in a folder is by its newest checkpoint whose header can be read; undefined where there is none. Reads
 * no tensors: for looking at many runs, often, while others write them.
 */
export async function readProgress(folder: string): Promise<Progress | undefined> {
  for (const name of checkpointFiles) {
    const path = join(folder, name)
    try {
      return checkedMetadata(await readMetadataOf(path), path).progress
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!missing && !(error instanceof UserError)) throw error
    }
  }
  return undefined
}

// A checkpoint as a file: the whole state of a run in safetensors, the rest as metadata.
import { z } from 'zod'
import { describeIssues, messageOf, UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { type Recipe, recipeSchema } from '../../core/model/recipe.js'
import { type FitConfig, fitConfigSchema } from '../fit/settings.js'
import { type Progress, progressSchema } from './metrics.js'
import { decodeSafetensors, encodeSafetensors } from './safetensors.js'

/** The two files of a run, newest first. */
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

/** @throws UserError for metadata that are not those of a checkpoint */
export function checkedMetadata(metadata: Readonly<Record<string, string>>, path: string): Omit<Checkpoint, 'state'> {
  const result = metadataSchema.safeParse(metadata)
  if (!result.success) throw new UserError(`${path} is damaged or no checkpoint: ${describeIssues(result.error)}`)
  const { format, ...rest } = result.data
  return rest
}

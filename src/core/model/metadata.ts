// What a model file says about itself in metadata_props: JSON under keys of our own, validated when read.

import { z } from 'zod'
import { messageOf, UserError } from '../errors.js'
import { recipeSchema } from './recipe.js'

/** Names of the training step's inputs and outputs that are not state. */
export const stepSchema = z.strictObject({
  /** uint8 [batch, channels, height, width] */
  images: z.string(),
  /** int64 [batch], classes from 0 */
  labels: z.string(),
  /** float32 [] */
  learningRate: z.string(),
  /** Output: float32 [], mean cross-entropy over the batch. */
  loss: z.string(),
  /** Output: int64 [], how many of the batch were classified right. */
  correct: z.string(),
  /** float32 [G], each 1 with its survival probability, else 0. */
  gates: z.strictObject({ name: z.string(), survival: z.array(z.number().gt(0).max(1)).min(1) }).optional(),
})
export type StepNames = Readonly<z.infer<typeof stepSchema>>

/**
 * An input of the inference graph with a default, 1 for each: float32 [functions], what the output of each residual
 * function is multiplied by.
 */
export const FUNCTION_GATES = 'function_gates'

export const keys = {
  architecture: 'rdm.architecture',
  recipe: 'rdm.recipe',
  step: 'rdm.step',
  /** Of a training step alone: output → input, what to feed back. */
  carried: 'rdm.carried',
  /** Of an initialization alone: output → input of the training step. */
  initial: 'rdm.initial',
  /** Of a training model for ONNX Runtime's training API: name and survival probabilities of its gates. */
  gates: 'rdm.gates',
} as const

/** What a file says of its metadata. */
type Properties = readonly { readonly key?: string | null; readonly value?: string | null }[]

const schemas = { [keys.recipe]: recipeSchema, [keys.step]: stepSchema } as const

const describeIssue = ({ path, message }: z.core.$ZodIssue): string =>
  path.length > 0 ? `${path.join('.')}: ${message}` : message

/**
 * The value under a key, or undefined when the file has none.
 * @throws UserError when it is not what it should be
 */
export const readMetadata = <K extends keyof typeof schemas>(
  properties: Properties,
  key: K,
): z.infer<(typeof schemas)[K]> | undefined =>
  readProperty(properties, key, (value) => schemas[key].parse(value) as z.infer<(typeof schemas)[K]>)

/** As `readMetadata`, for a key whose schema lives elsewhere. */
export function readProperty<T>(properties: Properties, key: string, parse: (value: unknown) => T): T | undefined {
  const property = properties.find((entry) => entry.key === key)
  if (!property) return undefined
  try {
    return parse(JSON.parse(property.value ?? ''))
  } catch (error) {
    const reason =
      error instanceof z.ZodError ? error.issues.map(describeIssue).join('; ') : `no JSON (${messageOf(error)})`
    throw new UserError(`the model's metadata '${key}' is broken: ${reason}; export the model again`)
  }
}

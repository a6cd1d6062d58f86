// What a model file says about itself in metadata_props: JSON under keys of our own, validated when read.

import { describeIssues, messageOf, UserError } from '../errors.js'
import { textOf } from '../graph/tensor.js'
import type { StringStringEntryProto } from '../onnx/schema.js'
import { decodeModel } from '../onnx/tensors.js'
import { z } from '../schemas.js'
import { rolesSchema, type StepSignature } from '../training/signature.js'
import { recipeSchema } from './recipe.js'
import { namesOf, namesSchema } from './version1.js'

/**
 * An input of the inference graph with a default, 1 for each: float32 [functions], what the output of each residual
 * function is multiplied by.
 */
export const FUNCTION_GATES = 'function_gates'

export const keys = {
  architecture: 'rdm.architecture',
  recipe: 'rdm.recipe',
  /** The roles of the training step's inputs and outputs. */
  signature: 'rdm.signature',
  /** Their names alone, as files of version one say them. */
  step: 'rdm.step',
  /** What the classes are called, in the order of their labels. */
  classes: 'rdm.classes',
  /** A model, in base64: from the network's outputs and the targets to the loss and the metrics. */
  loss: 'rdm.loss',
  /** Of a training step alone: output → input, what to feed back. */
  carried: 'rdm.carried',
  /** Of an initialization alone: output → input of the training step. */
  initial: 'rdm.initial',
  /** Of a training model for ONNX Runtime's training API: name and survival probabilities of its gates. */
  gates: 'rdm.gates',
} as const

/** What a step says of itself, alone or in a whole file. */
export const signatureMetadata = ({ updates: _, ...roles }: StepSignature): Record<string, string> => {
  const names = namesOf(roles)
  return {
    [keys.signature]: JSON.stringify(roles),
    ...(names ? { [keys.step]: JSON.stringify(names) } : {}),
  }
}

/** What a step that is a model of its own says of itself. */
export const stepMetadata = (signature: StepSignature): Record<string, string> => ({
  ...signatureMetadata(signature),
  [keys.carried]: JSON.stringify(signature.updates),
})

export const toBase64 = (bytes: Uint8Array): string => btoa(textOf(bytes))
export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0))

/** What a file says of its metadata. */
export type Properties = readonly StringStringEntryProto[]

/**
 * The metadata of a model file by key: what others wrote, and the names of the classes, without the rest of what rdm-onnx wrote.
 * @throws UserError where the file is no ONNX model
 */
export const metadataOf = (file: Uint8Array): Record<string, string> =>
  Object.fromEntries(
    decodeModel(file).metadataProps.flatMap(({ key, value }) =>
      !key || (key.startsWith('rdm.') && key !== keys.classes) ? [] : [[key, value ?? '']],
    ),
  )

/** Whether a file is of a network of others: one that does not say its architecture, as rdm-export does. */
export const isForeign = (properties: Properties): boolean => !properties.some(({ key }) => key === keys.architecture)

const schemas = {
  [keys.recipe]: recipeSchema,
  [keys.classes]: z.array(z.string()),
  [keys.signature]: rolesSchema,
  [keys.step]: namesSchema,
  [keys.loss]: z.base64(),
} as const

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
    const reason = error instanceof z.core.$ZodError ? describeIssues(error) : `no JSON (${messageOf(error)})`
    throw new UserError(`the model's metadata '${key}' is broken: ${reason}; export the model again`)
  }
}

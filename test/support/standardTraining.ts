// Models whose training_info is in ONNX's own words, and how they train: test/fixtures/standardTraining/write.py.
import { readFileSync } from 'node:fs'

interface TrainedModel {
  /** The file, in base64. */
  readonly model: string
  /** Before each step, over all examples. */
  readonly losses: readonly number[]
  /** After the last step, as the network predicts. */
  readonly last: number
  readonly state: Readonly<Record<string, readonly number[]>>
}

export const standardTraining: {
  readonly examples: Readonly<Record<'x' | 'numbers' | 'labels', readonly number[]>>
  readonly models: Readonly<Record<string, TrainedModel>>
} = JSON.parse(readFileSync(new URL('../fixtures/standardTraining/models.json', import.meta.url), 'utf8'))

export const standardFile = (name: string): Uint8Array =>
  new Uint8Array(Buffer.from(standardTraining.models[name]!.model, 'base64'))

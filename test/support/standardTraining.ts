// Models whose training_info is in ONNX's own words, and how they train: test/fixtures/standardTraining/write.py.
import { readFileSync } from 'node:fs'
import { graphOf } from './brokenModels.js'
import { type ModelProto, onnx } from './models.js'

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

/** Half of the hidden numbers of Nesterov's classifier dropped in training mode, in the inference graph as in the step. */
export function withDropout(model: ModelProto): void {
  const { node, initializer } = graphOf(model)
  initializer!.push({ name: 'ratio', dataType: 1, floatData: [0.5] }, { name: 'on', dataType: 9, int32Data: [1] })
  node!.splice(2, 0, onnx.NodeProto.create({ opType: 'Dropout', input: ['h', 'ratio', 'on'], output: ['dropped'] }))
  node![3]!.input![0] = 'dropped'
}

// A small model file, ways into its parts, and what reading a broken one says.
import { residualNetwork } from '../../graphs/residual.js'
import { readTrainableModel } from '../../src/core/model/read.js'
import { edited, fileOf, type ModelProto, onnx } from './models.js'
import { tinyNetworks } from './networks.js'

export const smallNetwork = residualNetwork({
  ...tinyNetworks['RDM basic, stochastic depth'],
  functions: ['01'],
  blocks: [1],
  widths: [4],
  imageSize: 4,
})
export const smallFile = fileOf(smallNetwork)

export function refusal(bytes: Uint8Array, source?: string): string {
  try {
    readTrainableModel(bytes, source)
    return 'accepted'
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  }
}

export const graphOf = (model: ModelProto) => model.graph!
export const infoOf = (model: ModelProto) => model.trainingInfo[0]!
export const algorithmOf = (model: ModelProto) => infoOf(model).algorithm!
export const nodeOf = (model: ModelProto, name: string) =>
  [...graphOf(model).node!, ...algorithmOf(model).node!].find((node) => node.name === name)!
export const initializerOf = (model: ModelProto, name: string) =>
  [...graphOf(model).initializer!, ...algorithmOf(model).initializer!].find((tensor) => tensor.name === name)!
export const inputOf = (model: ModelProto, name: string) =>
  [...graphOf(model).input!, ...algorithmOf(model).input!].find((info) => info.name === name)!
export const outputOf = (model: ModelProto, name: string) =>
  [...graphOf(model).output!, ...algorithmOf(model).output!].find((info) => info.name === name)!
export const metadata = (key: string, change: (value: Record<string, unknown>) => unknown) => (model: ModelProto) => {
  const entry = model.metadataProps.find((property) => property.key === key)!
  entry.value = JSON.stringify(change(JSON.parse(entry.value!)))
}
export const tensorType = (elemType: number, ...dims: (number | string)[]) => ({
  tensorType: {
    elemType,
    shape: { dim: dims.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })) },
  },
})
export const attributeTypes = onnx.AttributeProto.AttributeType

/** What is broken, how, and what is said of it. */
export type Case = readonly [what: string, edit: (model: ModelProto) => void, message: string]

/** What the small file says when it is broken so. What JSON.parse adds differs between versions of Node. */
export const refusalOf = (edit: (model: ModelProto) => void): string =>
  refusal(edited(smallFile, edit)).replace(/no JSON \(.*\)/, 'no JSON (…)')

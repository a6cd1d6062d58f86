// The file of a trained network with its adapters merged into its weights: of rdm-derive --merge, and of the lab.

import { metadataOf } from '../model/metadata.js'
import { exportGraph } from '../model/write.js'
import { readNetwork } from '../onnx/network.js'
import { initialize } from '../training/initialize.js'
import { merged } from './adapters.js'

/**
 * A plain model without a training step: the network as it was before it had adapters, their updates added to its weights.
 * @param bytes a file of rdm-derive --lora, or what rdm-fit made of it
 * @throws UserError where it has no adapters, or is no model
 */
export function mergedModel(bytes: Uint8Array, opset?: number): Uint8Array {
  const network = merged(readNetwork(bytes))
  return exportGraph(network, initialize([network], 0), opset, { metadata: metadataOf(bytes) })
}

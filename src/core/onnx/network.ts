// Any ONNX file as a graph.

import { naming } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { decodeModel, type ExternalData } from './tensors.js'
import { readModel } from './trainingInfo.js'

export interface NetworkOptions {
  /** Reads the data of tensors that stand in other files; unless given, a node that needs such data is refused. */
  readonly external?: ExternalData | undefined
}

/**
 * Reads the graph of an ONNX file, versions 6 to 28 of ONNX's operators. Its floating-point initializers become parameters that
 * carry the file's values, so that `evaluateGraph` needs only the inputs.
 * @param bytes of the file, which the weights share where they are aligned in it
 * @throws UserError in one line for what is no ONNX, ModelError with all nodes that cannot be read and why
 */
export const readNetwork = (bytes: Uint8Array, { external }: NetworkOptions = {}): Graph =>
  naming(undefined, () => readModel(decodeModel(bytes), undefined, external).inference)

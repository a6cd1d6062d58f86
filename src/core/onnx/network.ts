// Any ONNX file as a graph.

import type { Graph } from '../graph/graph.js'
import { decodeModel } from './tensors.js'
import { readModel } from './trainingInfo.js'

/**
 * Reads the graph of an ONNX file, versions 1 to 28 of ONNX's operators. Its floating-point initializers become parameters that
 * carry the file's values, so that `evaluateGraph` needs only the inputs.
 * @param bytes of the file, all tensors inside
 * @throws UserError in one line: not ONNX, or the node that cannot be read and why
 */
export const readNetwork = (bytes: Uint8Array): Graph => readModel(decodeModel(bytes)).inference

// Any ONNX file as a graph.

import type { Graph } from '../graph/graph.js'
import type { Tensors } from '../graph/tensor.js'
import { withShapes, withValues } from './inputs.js'
import { decodeModel } from './tensors.js'
import { readModel } from './trainingInfo.js'

export interface NetworkOptions {
  /**
   * Shapes of inputs by name, `{ audio: [1, 16000] }`, where the file leaves sizes open and an operator or a gradient needs them
   * known. A size with a name is the same at every input that has the name.
   */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /**
   * Inputs that always have the same value, by name: `{ rate: tensor('int64', [], [16000]) }`. What they decide (which branch of
   * an If, how many iterations) is then decided.
   */
  readonly values?: Tensors
}

/**
 * Reads the graph of an ONNX file, versions 1 to 28 of ONNX's operators. Its floating-point initializers become parameters that
 * carry the file's values, so that `evaluateGraph` needs only the inputs; so do the tensors of Constant nodes, in which exporters
 * hide weights. Single numbers (½, ε, exponents) and what tells an operator how (the scales of a Resize) stay constants.
 * @param bytes of the file, all tensors inside
 * @throws UserError in one line: not ONNX, or the node that cannot be read and why
 */
export function readNetwork(bytes: Uint8Array, { shapes = {}, values = {} }: NetworkOptions = {}): Graph {
  const model = decodeModel(bytes)
  const graph = withValues(withShapes(model.graph!, shapes), values)
  return readModel({ ...model, graph }, { constants: new Set(Object.keys(values)) }).inference
}

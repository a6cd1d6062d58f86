// Any ONNX file as a graph.

import { naming } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import type { Shape } from '../graph/shape.js'
import type { Tensors } from '../graph/tensor.js'
import { endingAt } from './ending.js'
import { type Fills, filledTensors, withFills } from './fills.js'
import { withShapes, withValues } from './inputs.js'
import { decodeModel, type ExternalData } from './tensors.js'
import { readModel } from './trainingInfo.js'

/** What `readNetwork` is told of a file that leaves things open. */
export interface NetworkOptions {
  /**
   * Shapes of inputs by name, `{ image: ['batch', 3, 224, 224] }`, where the file leaves sizes open and an operator or a gradient needs
   * them known. A size with a name is the same at every input that has the name.
   */
  readonly shapes?: Readonly<Record<string, Shape>>
  /**
   * Inputs that always have the same value, by name: `{ rate: tensor('int64', [], [16000]) }`. What they decide (which branch of
   * an If, how many iterations) is then decided.
   */
  readonly values?: Tensors
  /**
   * Names of values inside, as the file calls them (`/layer4/Relu_output_0`): they become outputs, after the file's own. A single
   * number among the initializers that is named here is a weight. Inputs, outputs and weights may be named as well and stay.
   */
  readonly inner?: readonly string[]
  /** Inputs of which every number is always this one, by name, whatever their sizes: `{ rate: 16000, state: 0 }`. */
  readonly fills?: Fills
  /** Where the network ends: names of outputs, or of values that its nodes make. What does not lead there is left out. */
  readonly outputs?: readonly string[] | undefined
  /** Is told the operators of the nodes that `outputs` leaves out, in their order. */
  readonly leftOut?: ((operators: readonly string[]) => void) | undefined
  /** Reads the data of tensors that stand in other files; unless given, a node that needs such data is refused. */
  readonly external?: ExternalData | undefined
}

/**
 * Reads the graph of an ONNX file, versions 1 to 28 of ONNX's operators. Its floating-point initializers become parameters that
 * carry the file's values, so that `evaluateGraph` needs only the inputs; so do the tensors of Constant nodes, in which exporters
 * hide weights, if their numbers differ. Single numbers (½, ε, exponents) and what tells an operator how (the scales of a Resize) stay constants.
 * @param bytes of the file, whose memory the weights share where they are aligned in it
 * @throws UserError in one line for what is no ONNX or a name that is not there, ModelError with all nodes that cannot be read and why
 */
export const readNetwork = (bytes: Uint8Array, options: NetworkOptions = {}): Graph =>
  naming(undefined, () => {
    const { shapes = {}, values = {}, fills = {}, inner = [], external, outputs, leftOut } = options
    const model = decodeModel(bytes)
    const shaped = withShapes(model.graph!, shapes)
    const given = { ...values, ...filledTensors(shaped, fills) }
    const whole = withValues(shaped, given)
    const graph = outputs ? endingAt(whole, outputs, leftOut) : whole
    const constants = new Set(Object.keys(given))
    return withFills(readModel({ ...model, graph }, { constants, inner: new Set(inner), external }).inference, fills)
  })

// A model file with other weights: its own bytes, in which nothing but the numbers of some initializers is changed.

import { bytesOf, type Tensors } from '../graph/tensor.js'
import { bytesField, drop, type Edit, editMessage } from './wire.js'

// Fields by their numbers in onnx.proto.
const MODEL = { graph: 7, trainingInfo: 20, functions: 25 } as const
const TRAINING = { algorithm: 2 } as const
const GRAPH = { initializer: 5 } as const
const TENSOR = { name: 8, rawData: 9 } as const
/** Where a tensor's numbers stand: in fields by type, raw, in another file. */
const numberFields = [4, 5, 6, 7, TENSOR.rawData, 10, 11, 13, 14]
const withoutNumbers = Object.fromEntries(numberFields.map((field) => [field, drop]))

function nameIn(tensor: Uint8Array): string {
  let name = ''
  editMessage(tensor, {
    [TENSOR.name]: (content) => {
      name = new TextDecoder().decode(content)
      return content
    },
  })
  return name
}

const graphWith =
  (state: Tensors): Edit =>
  (graph) =>
    editMessage(graph, {
      [GRAPH.initializer](tensor) {
        const name = nameIn(tensor)
        if (!Object.hasOwn(state, name)) return tensor
        // The type stays: `rawData` comes behind the name in all that writes ONNX.
        const bare = editMessage(tensor, withoutNumbers)
        const numbers = bytesField(TENSOR.rawData, bytesOf(state[name]!.data))
        const whole = new Uint8Array(bare.length + numbers.length)
        whole.set(bare)
        whole.set(numbers, bare.length)
        return whole
      },
    })

/** The file with these values in place of its own, of the same types. */
export const withStateBytes = (file: Uint8Array, state: Tensors): Uint8Array =>
  editMessage(file, {
    [MODEL.graph]: graphWith(state),
    [MODEL.trainingInfo]: (info) => editMessage(info, { [TRAINING.algorithm]: graphWith(state) }),
  })

/**
 * The inference graph alone, with these values: what only training needs stays behind.
 * @param keeps whether the function at a place in the file is called by it
 */
export function inferenceBytes(file: Uint8Array, state: Tensors, keeps: (index: number) => boolean): Uint8Array {
  let index = 0
  return editMessage(file, {
    [MODEL.graph]: graphWith(state),
    [MODEL.trainingInfo]: drop,
    [MODEL.functions]: (content) => (keeps(index++) ? content : undefined),
  })
}

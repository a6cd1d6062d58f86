// A model file with other weights: its own bytes, in which nothing but the numbers of some initializers is changed.

import { bytesOf, type Tensors } from '../graph/tensor.js'
import { drop, type Edit, type Edits, editMessage, encodeField, joined } from './wire.js'

/** Where a tensor's numbers stand: in fields by type, raw, in another file. */
export const withoutNumbers: Edits<'TensorProto'> = {
  floatData: drop,
  int32Data: drop,
  stringData: drop,
  int64Data: drop,
  rawData: drop,
  doubleData: drop,
  uint64Data: drop,
  externalData: drop,
  dataLocation: drop,
}

function nameIn(tensor: Uint8Array): string {
  let name = ''
  editMessage(tensor, 'TensorProto', {
    name: (content) => {
      name = new TextDecoder().decode(content)
      return [content]
    },
  })
  return name
}

const graphWith =
  (state: Tensors): Edit =>
  (graph) =>
    editMessage(graph, 'GraphProto', {
      initializer(tensor) {
        const name = nameIn(tensor)
        if (!Object.hasOwn(state, name)) return [tensor]
        // The type stays: `rawData` comes behind the name in all that writes ONNX.
        const bare = editMessage(tensor, 'TensorProto', withoutNumbers)
        return [...bare, ...encodeField('TensorProto', 'rawData', bytesOf(state[name]!.data))]
      },
    })

/** The file with these values in place of its own, of the same types. */
export const withStateBytes = (file: Uint8Array, state: Tensors): Uint8Array =>
  joined(
    editMessage(file, 'ModelProto', {
      graph: graphWith(state),
      trainingInfo: (info) => editMessage(info, 'TrainingInfoProto', { algorithm: graphWith(state) }),
    }),
  )

/**
 * The inference graph alone, with these values: what only training needs stays behind.
 * @param keeps whether the function at a place in the file is called by it
 */
export function inferenceBytes(file: Uint8Array, state: Tensors, keeps: (index: number) => boolean): Uint8Array {
  let index = 0
  return joined(
    editMessage(file, 'ModelProto', {
      graph: graphWith(state),
      trainingInfo: drop,
      functions: (content) => (keeps(index++) ? [content] : undefined),
    }),
  )
}

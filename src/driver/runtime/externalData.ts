// Models whose tensors stand in files beside them, as exporters write large ones.

import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { messageOf, UserError } from '../../core/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import { type NetworkOptions, readNetwork as readNetworkPurely } from '../../core/onnx/network.js'
import { type ExternalData, type ExternalPlace, externalPlace } from '../../core/onnx/tensors.js'
import { decodeMessage, drop, type Edit, editMessage, encodeField, joined } from '../../core/onnx/wire.js'

/** Most bytes of all of them: more no encoded model may have. */
const MOST = 2 ** 31 - 1

/** Each tensor of a model, edited, wherever it stands. */
function editTensors(model: Uint8Array, tensor: Edit): Uint8Array[] {
  const attribute: Edit = (bytes) =>
    editMessage(bytes, 'AttributeProto', { t: tensor, tensors: tensor, g: graph, graphs: graph })
  const node: Edit = (bytes) => editMessage(bytes, 'NodeProto', { attribute })
  const graph: Edit = (bytes) => editMessage(bytes, 'GraphProto', { initializer: tensor, node })
  return editMessage(model, 'ModelProto', {
    graph,
    trainingInfo: (info) => editMessage(info, 'TrainingInfoProto', { initialization: graph, algorithm: graph }),
    functions: (body) => editMessage(body, 'FunctionProto', { node }),
  })
}

/** The file of a tensor, which lies in the folder of the model or below it. */
function pathIn(folder: string, location: string): string {
  const path = resolve(folder, location)
  let found: string
  try {
    found = realpathSync(path)
  } catch (error) {
    throw new UserError(`${path}, which holds tensors of the model, cannot be read: ${messageOf(error)}`)
  }
  if (!found.startsWith(`${realpathSync(folder)}${sep}`))
    throw new UserError(`the model wants data from ${location}, which is not in its folder: move the file there`)
  return found
}

function readPlace(path: string, { offset, length }: ExternalPlace): Uint8Array {
  const stats = statSync(path)
  if (!stats.isFile()) throw new UserError(`${path}, which should hold tensors of the model, is no file`)
  const end = length === undefined ? stats.size : offset + length
  if (end > stats.size || offset > stats.size)
    throw new UserError(
      `${path} has ${stats.size} bytes, the model wants those from ${offset} to ${end}: it is not whole`,
    )
  if (end - offset > MOST)
    throw new UserError(`${path}: a tensor of ${end - offset} bytes is not read; expected ${MOST} bytes at most`)
  const buffer = new Uint8Array(end - offset)
  const file = openSync(path, 'r')
  try {
    for (let at = 0; at < buffer.length; ) {
      const count = readSync(file, buffer, at, buffer.length - at, offset + at)
      if (count === 0) throw new UserError(`${path} ends at byte ${offset + at}: it has changed while it was read`)
      at += count
    }
  } finally {
    closeSync(file)
  }
  return buffer
}

/**
 * Reads the data of tensors from files in a folder or below it; through no path and no link from anywhere else.
 * @throws UserError (when it is called) for a file that is missing, too short, or outside the folder
 */
export const externalDataIn =
  (folder: string): ExternalData =>
  (place) =>
    readPlace(pathIn(resolve(folder), place.location), place)

/** How `readNetwork` reads a file. */
export interface FileOptions extends Omit<NetworkOptions, 'external'> {
  /** The folder of the file: tensors whose data are in other files there are read. */
  readonly directory?: string
}

/**
 * Reads the graph of an ONNX file, as `rdm-onnx/core` does.
 * @throws UserError as there; ModelError also for data of another folder
 */
export function readNetwork(bytes: Uint8Array, { directory, ...options }: FileOptions = {}): Graph {
  const external = directory === undefined ? undefined : externalDataIn(directory)
  return readNetworkPurely(bytes, { ...options, external })
}

/**
 * The model with all tensors inside; as it is where none is outside, and where it is no model: who reads it says so.
 * @param path of the model's file
 * @throws UserError for a file that is missing, too short, or outside the folder of the model
 */
export function withExternalData(bytes: Uint8Array, path: string): Uint8Array {
  const read = externalDataIn(dirname(resolve(path)))
  let total = bytes.length
  const whole: Edit = (tensor) => {
    const proto = decodeMessage(tensor, 'TensorProto')
    const place = externalPlace(proto, `tensor '${proto.name ?? ''}'`)
    if (!place) return [tensor]
    total += place.length ?? 0
    const tooLarge = () => {
      if (total > MOST)
        throw new UserError(
          `${path}: with its external data it has more than ${MOST} bytes, which no model in one file has`,
        )
    }
    tooLarge()
    const numbers = read(place)
    total += numbers.length - (place.length ?? 0)
    tooLarge()
    const bare = editMessage(tensor, 'TensorProto', { rawData: drop, externalData: drop, dataLocation: drop })
    return [...bare, ...encodeField('TensorProto', 'rawData', numbers)]
  }
  try {
    const parts = editTensors(bytes, whole)
    return total === bytes.length ? bytes : joined(parts)
  } catch (error) {
    if (error instanceof UserError) throw error
    return bytes
  }
}

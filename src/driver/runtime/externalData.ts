// Models whose tensors stand in files beside them, as exporters write large ones: read into one model.

import { type FileHandle, open, realpath } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import onnxProto from 'onnx-proto'
import { messageOf, UserError } from '../../core/errors.js'
import { bytesField, drop, type Edit, editMessage } from '../../core/onnx/wire.js'

const { TensorProto } = onnxProto.onnx

/** Most bytes of all of them: more no encoded model may have. */
const MOST = 2 ** 31 - 1

interface Place {
  readonly location: string
  readonly offset: number
  /** Undefined: to the end of the file. */
  readonly length: number | undefined
}

function placeOf(proto: onnxProto.onnx.TensorProto): Place | undefined {
  if (proto.dataLocation !== TensorProto.DataLocation.EXTERNAL && proto.externalData.length === 0) return undefined
  const said = new Map(proto.externalData.map(({ key, value }) => [key, value ?? '']))
  const whole = (key: string): number | undefined => {
    const text = said.get(key)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text))
      throw new UserError(`tensor '${proto.name}': the ${key} of its external data is '${text}', no whole number`)
    return Number(text)
  }
  const location = said.get('location')
  if (!location)
    throw new UserError(`tensor '${proto.name}': its data are in another file, and the model does not say which`)
  return { location, offset: whole('offset') ?? 0, length: whole('length') }
}

/** The initializers of a model's graph and of its training algorithm, each edited. */
const editTensors = (bytes: Uint8Array, edit: Edit): Uint8Array => {
  const graph: Edit = (content) => editMessage(content, { 5: edit })
  return editMessage(bytes, { 7: graph, 20: (info) => editMessage(info, { 2: graph }) })
}

/** None in what is no model: who reads it says so. */
function tensorsIn(bytes: Uint8Array): readonly onnxProto.onnx.TensorProto[] {
  const tensors: onnxProto.onnx.TensorProto[] = []
  try {
    editTensors(bytes, (tensor) => {
      // Without the numbers, which would be copied.
      tensors.push(TensorProto.decode(editMessage(tensor, { 9: drop })))
      return tensor
    })
  } catch {
    return []
  }
  return tensors
}

async function readPlace(file: FileHandle, path: string, { offset, length }: Place): Promise<Uint8Array> {
  const { size } = await file.stat()
  const end = length === undefined ? size : offset + length
  if (end > size || offset > size)
    throw new UserError(`${path} has ${size} bytes, the model wants those from ${offset} to ${end}: it is not whole`)
  const buffer = Buffer.alloc(end - offset)
  for (let at = 0; at < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, at, buffer.length - at, offset + at)
    if (bytesRead === 0) throw new UserError(`${path} ends at byte ${offset + at}: it has changed while it was read`)
    at += bytesRead
  }
  return buffer
}

/** The file of a tensor, which lies in the folder of the model or below it. */
async function pathIn(folder: string, location: string): Promise<string> {
  const path = resolve(folder, location)
  const found = await realpath(path).catch((error: unknown) => {
    throw new UserError(`${path}, which holds tensors of the model, cannot be read: ${messageOf(error)}`)
  })
  if (!found.startsWith(`${await realpath(folder)}${sep}`))
    throw new UserError(`the model wants data from ${location}, which is not in its folder: move the file there`)
  return found
}

/**
 * The model with all tensors inside; as it is where none is outside.
 * @param path of the model's file
 * @throws UserError for a file that is missing, too short, or outside the folder of the model
 */
export async function withExternalData(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  const places = tensorsIn(bytes).map(placeOf)
  if (places.every((place) => place === undefined)) return bytes
  const files = new Map<string, FileHandle>()
  const contents: (Uint8Array | undefined)[] = []
  let total = bytes.length
  try {
    for (const place of places) {
      if (!place) {
        contents.push(undefined)
        continue
      }
      const from = await pathIn(dirname(resolve(path)), place.location)
      const file = files.get(from) ?? (await open(from, 'r'))
      files.set(from, file)
      total += place.length ?? (await file.stat()).size
      if (total > MOST)
        throw new UserError(
          `${path}: with its external data it has more than ${MOST} bytes, which no model in one file has`,
        )
      contents.push(await readPlace(file, from, place))
    }
  } finally {
    for (const file of files.values()) await file.close()
  }
  let at = 0
  return editTensors(bytes, (tensor) => {
    const numbers = contents[at++]
    if (!numbers) return tensor
    return Buffer.concat([editMessage(tensor, { 9: drop, 13: drop, 14: drop }), bytesField(9, numbers)])
  })
}

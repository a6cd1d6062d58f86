// Reader for arrays in a safetensors file, or in train.safetensors and test.safetensors.
// The files are untrusted: their size is checked here, everything else by the codec.

import { UserError } from '../../../core/errors.js'
import type { Tensors } from '../../../core/graph/tensor.js'
import { decodeSafetensors } from '../../run/safetensors.js'
import { checkAlike, checkNoHoldOut, datasetOf, splitOf } from '../splits.js'
import { readBytes } from './bytes.js'
import { type FileTree, findPair, maxBytes, sizeOf } from './fileTree.js'
import type { Reader } from './reader.js'

const format = 'safetensors'
const extensions = ['.safetensors']

async function readTensors(files: FileTree, path: string): Promise<Tensors> {
  const size = (await sizeOf(files, path)) ?? 0
  if (size > maxBytes) throw new UserError(`${path}: has ${size} bytes; at most ${maxBytes} are read into memory`)
  return decodeSafetensors(await readBytes(files, path, size), path).tensors
}

export const safetensorsReader: Reader = {
  format,
  looksFor: 'arrays in .safetensors, or train.safetensors and test.safetensors',
  recognizes: async (files, path) => (await findPair(files, path, extensions)) !== undefined,
  async read(files, path, options) {
    const found = (await findPair(files, path, extensions))!
    if ('file' in found) return datasetOf(format, path, await readTensors(files, path), options)
    checkNoHoldOut(path, options)
    const train = splitOf(found.train, await readTensors(files, found.train))
    const test = splitOf(found.test, await readTensors(files, found.test))
    checkAlike([found.train, found.test], train, test)
    return { format, train, test }
  },
}

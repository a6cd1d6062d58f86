// Reader for arrays in a safetensors file, or in train.safetensors and test.safetensors.
// The files are untrusted: their size is checked here, everything else by the codec.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { decodeSafetensors } from '../run/safetensors.js'
import { readBytes } from './cifar.js'
import { findPair, maxBytes, sizeOf } from './paths.js'
import type { Reader } from './reader.js'
import { checkAlike, checkNoHoldOut, datasetOf, splitOf } from './splits.js'

const format = 'safetensors'
const extensions = ['.safetensors']

async function readTensors(path: string): Promise<Tensors> {
  const size = (await sizeOf(path)) ?? 0
  if (size > maxBytes) throw new UserError(`${path}: has ${size} bytes; at most ${maxBytes} are read into memory`)
  return decodeSafetensors(await readBytes(path, size), path).tensors
}

export const safetensorsReader: Reader = {
  format,
  looksFor: 'arrays in .safetensors, or train.safetensors and test.safetensors',
  recognizes: async (path) => (await findPair(path, extensions)) !== undefined,
  async read(path, options) {
    const found = (await findPair(path, extensions))!
    if ('file' in found) return datasetOf(format, path, await readTensors(path), options)
    checkNoHoldOut(path, options)
    const train = splitOf(found.train, await readTensors(found.train))
    const test = splitOf(found.test, await readTensors(found.test))
    checkAlike([found.train, found.test], train, test)
    return { format, train, test }
  },
}

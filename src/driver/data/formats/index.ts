// The registry of readers: what a path holds is found out by asking each of them.

import { UserError } from '../../../core/errors.js'
import type { Dataset } from '../dataset.js'
import type { ReadOptions } from '../splits.js'
import { cifarReader } from './cifar.js'
import { csvReader } from './csv.js'
import type { FileTree } from './fileTree.js'
import { idxReader } from './idx.js'
import { imageFolderReader } from './imageFolder.js'
import { numpyReader } from './numpy.js'
import type { Reader } from './reader.js'
import { safetensorsReader } from './safetensors.js'

export const readers: readonly Reader[] = [
  cifarReader,
  idxReader,
  numpyReader,
  safetensorsReader,
  csvReader,
  imageFolderReader,
]

/**
 * Reads a data set, whatever its format.
 * @throws UserError naming the path and what was looked for
 */
export async function readDataset(files: FileTree, path: string, options: ReadOptions = {}): Promise<Dataset> {
  if (!(await files.find(path))) {
    throw new UserError(`${path}: there is no such file or folder; \`rdm-data fetch cifar10\` downloads CIFAR-10`)
  }
  for (const reader of readers) if (await reader.recognizes(files, path)) return reader.read(files, path, options)
  throw new UserError(
    `${path}: no data set found; looked for ${readers.map(({ looksFor }) => looksFor).join('; ')}; \`rdm-data fetch cifar10\` downloads CIFAR-10`,
  )
}

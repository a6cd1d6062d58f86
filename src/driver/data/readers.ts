// Reads data sets from this machine's disk.

import type { Dataset } from './dataset.js'
import { disk } from './diskFiles.js'
import * as formats from './formats/index.js'
import type { ReadOptions } from './splits.js'

/**
 * Reads a data set, whatever its format.
 * @throws UserError naming the path and what was looked for
 */
export const readDataset = (path: string, options: ReadOptions = {}): Promise<Dataset> =>
  formats.readDataset(disk, path, options)

// CIFAR-10 and CIFAR-100 on this machine's disk.

import type { ImageDataset } from './dataset.js'
import { disk } from './diskFiles.js'
import * as bytes from './formats/bytes.js'
import * as cifar from './formats/cifar.js'

export {
  type CifarLayout,
  checkLabels,
  cifarLayouts,
  cifarSide,
  countRecords,
  type DatasetFormat,
  filesOf,
  pixelBytes,
  recordBytes,
} from './formats/cifar.js'

/**
 * Reads a training and a test set from a folder in CIFAR-10's or CIFAR-100's binary version, or from the parent folder
 * of the one that the official archive unpacks to. CIFAR-100 gives its 100 fine labels.
 * Throws a UserError that names the file and what was expected of it.
 */
export const readCifar = (dir: string): Promise<ImageDataset> => cifar.readCifar(disk, dir)

/** Finds the data set that a folder must hold. */
export const findDataset = (dir: string) => cifar.findDataset(disk, dir)

/** The names of the classes: 2 to 256 lines of printable text. */
export const readClasses = (path: string): Promise<string[]> => cifar.readClasses(disk, path)

/** Reads a file that has this size, which the caller has found acceptable. */
export const readBytes = (path: string, size: number): Promise<Uint8Array> => bytes.readBytes(disk, path, size)

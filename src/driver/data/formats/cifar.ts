// Readers for the binary versions of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html), and for any
// other set in these formats: each file may hold any whole number of records.
// The files are untrusted: sizes are checked before anything is read, labels and names before anyone uses them.

import { UserError } from '../../../core/errors.js'
import { type ImageDataset, type ImageSet, imageSet, shared } from '../dataset.js'
import { checkNoHoldOut } from '../splits.js'
import { readBytes } from './bytes.js'
import { type FileTree, isFolder, maxBytes, sizeOf } from './fileTree.js'
import type { Reader } from './reader.js'

export type DatasetFormat = 'cifar10' | 'cifar100'

/** Where a format keeps what. A record is its label bytes, then 3072 bytes: 32 rows of 32 red values, green, blue. */
export interface CifarLayout {
  readonly format: DatasetFormat
  readonly title: string
  /** The folder that the official archive unpacks to. */
  readonly folder: string
  readonly train: readonly string[]
  readonly test: readonly string[]
  /** Names of the classes, one a line. */
  readonly classes: string
  /** Label bytes of a record; the last of them is the class. CIFAR-100 has a coarse label, which we skip, before. */
  readonly labelBytes: 1 | 2
}

export const cifarLayouts: Readonly<Record<DatasetFormat, CifarLayout>> = {
  cifar10: {
    format: 'cifar10',
    title: 'CIFAR-10',
    folder: 'cifar-10-batches-bin',
    train: [1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`),
    test: ['test_batch.bin'],
    classes: 'batches.meta.txt',
    labelBytes: 1,
  },
  cifar100: {
    format: 'cifar100',
    title: 'CIFAR-100',
    folder: 'cifar-100-binary',
    train: ['train.bin'],
    test: ['test.bin'],
    classes: 'fine_label_names.txt',
    labelBytes: 2,
  },
}

/** Height and width of a CIFAR image, in pixels. */
export const cifarSide = 32
/** Bytes of the pixels of a record. */
export const pixelBytes = 3 * cifarSide * cifarSide
const maxNamesBytes = 2 ** 16
/** CIFAR-100's superclasses. */
const COARSE_CLASSES = 20

export const recordBytes = (layout: CifarLayout): number => layout.labelBytes + pixelBytes

export const filesOf = (layout: CifarLayout): string[] => [...layout.train, ...layout.test, layout.classes]

/**
 * Reads a training and a test set from a folder in CIFAR-10's or CIFAR-100's binary version, or from the parent folder
 * of the one that the official archive unpacks to. CIFAR-100 gives its 100 fine labels.
 * Throws a UserError that names the file and what was expected of it.
 */
export async function readCifar(files: FileTree, dir: string): Promise<ImageDataset> {
  const { folder, layout } = await findDataset(files, dir)
  const classes = await readClasses(files, files.join(folder, layout.classes))
  const read = (names: readonly string[]) => readImageSet(files, folder, names, layout, classes)
  return { format: layout.format, train: await read(layout.train), test: await read(layout.test) }
}

/**
 * Finds the data set in a folder by its files, all of which must be there; undefined where there are none of them.
 * @throws UserError for a data set that is not complete
 */
async function lookFor(files: FileTree, dir: string): Promise<{ folder: string; layout: CifarLayout } | undefined> {
  for (const layout of Object.values(cifarLayouts)) {
    for (const folder of [dir, files.join(dir, layout.folder)]) {
      const sizes = await Promise.all(filesOf(layout).map((name) => sizeOf(files, files.join(folder, name))))
      const missing = filesOf(layout).filter((_, i) => sizes[i] === undefined)
      if (missing.length === 0) return { folder, layout }
      const data = layout.train.length + layout.test.length
      if (sizes.slice(0, data).some((size) => size !== undefined)) {
        const what = missing.includes(layout.classes)
          ? ` (${layout.classes}: the names of the classes, one a line)`
          : ''
        throw new UserError(
          `${folder}: looks like ${layout.title}, but ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing${what}`,
        )
      }
    }
  }
  return undefined
}

const looksFor =
  'data_batch_1.bin … data_batch_5.bin, test_batch.bin and batches.meta.txt (CIFAR-10), or train.bin, test.bin and ' +
  'fine_label_names.txt (CIFAR-100), here and in cifar-10-batches-bin and cifar-100-binary'

/** As `lookFor`, for a folder that must hold one. */
export async function findDataset(files: FileTree, dir: string): Promise<{ folder: string; layout: CifarLayout }> {
  if (!(await isFolder(files, dir))) {
    throw new UserError(`${dir}: there is no such folder; \`rdm-data fetch cifar10\` downloads CIFAR-10`)
  }
  const found = await lookFor(files, dir)
  if (found) return found
  throw new UserError(
    `${dir}: no data set found; looked for ${looksFor}; \`rdm-data fetch cifar10\` downloads CIFAR-10`,
  )
}

export const cifarReader: Reader = {
  format: 'cifar',
  looksFor,
  recognizes: async (files, path) => (await isFolder(files, path)) && (await lookFor(files, path)) !== undefined,
  async read(files, path, options) {
    checkNoHoldOut(path, options)
    return readCifar(files, path)
  },
}

/** The names of the classes: 2 to 256 lines of printable text. */
export async function readClasses(files: FileTree, path: string): Promise<string[]> {
  const bytes = (await sizeOf(files, path)) ?? 0
  if (bytes > maxNamesBytes) {
    throw new UserError(`${path}: ${bytes} bytes are too many for names of classes, one a line`)
  }
  const names = new TextDecoder('utf-8', { ignoreBOM: true })
    .decode(await readBytes(files, path, bytes))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const odd = names.findIndex((name) => /\p{Cc}/u.test(name))
  if (odd >= 0) throw new UserError(`${path}: name ${odd + 1} holds control characters; expected plain text`)
  if (names.length < 2 || names.length > 256) {
    throw new UserError(`${path}: ${names.length} names of classes; expected 2 to 256, one a line`)
  }
  return names
}

/** Reads the records of these files, in this order, into one set. */
async function readImageSet(
  files: FileTree,
  folder: string,
  names: readonly string[],
  layout: CifarLayout,
  classes: readonly string[],
): Promise<ImageSet> {
  const parts: { path: string; size: number; count: number }[] = []
  let total = 0
  for (const name of names) {
    const path = files.join(folder, name)
    const size = (await sizeOf(files, path)) ?? 0
    total += size
    if (total > maxBytes) {
      throw new UserError(`${path}: brings the set to ${total} bytes; at most ${maxBytes} are read into memory`)
    }
    parts.push({ path, size, count: countRecords(path, size, layout) })
  }
  const count = parts.reduce((sum, part) => sum + part.count, 0)
  const images = shared('uint8', count * pixelBytes)
  const labels = shared('uint8', count)
  const stride = recordBytes(layout)
  let image = 0
  for (const { path, size } of parts) {
    const bytes = await readBytes(files, path, size)
    checkLabels(path, bytes, layout, classes.length)
    for (let pixels = layout.labelBytes; pixels < size; pixels += stride, image++) {
      labels[image] = bytes[pixels - 1]!
      images.set(bytes.subarray(pixels, pixels + pixelBytes), image * pixelBytes)
    }
  }
  return imageSet({ images, labels, count, channels: 3, height: cifarSide, width: cifarSide, classes })
}

/** The records of a file of this size, which must be at least one and whole. */
export function countRecords(path: string, bytes: number, layout: CifarLayout): number {
  const stride = recordBytes(layout)
  if (bytes === 0) throw new UserError(`${path}: is empty; expected records of ${stride} bytes`)
  if (bytes % stride !== 0) {
    throw new UserError(
      `${path}: truncated or not ${layout.title}: its ${bytes} bytes are no whole number of records of ${stride} bytes ` +
        `(${Math.floor(bytes / stride)} records and ${bytes % stride} bytes)`,
    )
  }
  return bytes / stride
}

/** Checks that every record's label is a class. */
export function checkLabels(path: string, bytes: Uint8Array, layout: CifarLayout, classes: number): void {
  const stride = recordBytes(layout)
  for (let at = layout.labelBytes - 1; at < bytes.length; at += stride) {
    const coarse = layout.labelBytes === 2 ? bytes[at - 1]! : 0
    if (coarse >= COARSE_CLASSES)
      throw new UserError(
        `${path}: record ${Math.floor(at / stride)} (counted from 0) has coarse label ${coarse}; expected 0 to ` +
          `${COARSE_CLASSES - 1}: the coarse label comes first, then the fine one`,
      )
    if (bytes[at]! >= classes) {
      throw new UserError(
        `${path}: record ${Math.floor(at / stride)} (counted from 0) has label ${bytes[at]}; expected 0 to ` +
          `${classes - 1}, as ${layout.classes} names ${classes} classes`,
      )
    }
  }
}

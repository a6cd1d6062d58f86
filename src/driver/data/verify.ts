// Checks the files of a data set one by one, and collects all that is wrong rather than stop at the first thing.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../core/errors.js'
import { checksumsFile, md5, officialMd5, readChecksums } from './checksums.js'
import {
  type CifarLayout,
  checkLabels,
  countRecords,
  type DatasetFormat,
  findDataset,
  readBytes,
  readClasses,
  recordBytes,
} from './cifar.js'
import { maxBytes } from './formats/fileTree.js'

export interface FileReport {
  readonly name: string
  readonly bytes: number
  /** Whole records. */
  readonly records: number
  readonly md5: string
  /** Is it, byte for byte, the file of the official archive? False also where that file's checksum is not known. */
  readonly official: boolean
  /** Does MD5SUMS list it with this checksum? undefined where MD5SUMS does not list it. */
  readonly listed: boolean | undefined
}

export interface DatasetReport {
  readonly folder: string
  readonly format: DatasetFormat
  /** Images of the training and the test set. */
  readonly train: number
  readonly test: number
  /** Images of each class. */
  readonly classes: readonly { readonly name: string; readonly train: number; readonly test: number }[]
  readonly files: readonly FileReport[]
  /** All files are the official ones. */
  readonly official: boolean
  /** What is wrong, each in one line that names the file; empty if nothing is. */
  readonly problems: readonly string[]
}

/**
 * Reads every file of the data set in a folder: sizes, labels, checksums. Throws a UserError when there is no data set
 * at all, or no readable names of its classes; everything else is in the report.
 */
export async function verifyDataset(dir: string): Promise<DatasetReport> {
  const { folder, layout } = await findDataset(dir)
  const names = await readClasses(join(folder, layout.classes))
  const sums = await readChecksums(join(folder, checksumsFile))
  const problems: string[] = []
  const files: FileReport[] = []
  const count = async (parts: readonly string[]) => {
    const labels = new Array<number>(256).fill(0)
    for (const name of parts) files.push(await verifyFile(folder, name, layout, names.length, sums, labels, problems))
    return labels
  }
  const train = await count(layout.train)
  const test = await count(layout.test)
  // One official file among others is an official set that was damaged.
  const known = files.filter((file) => file.official)
  for (const file of known.length > 0 ? files : []) {
    const expected = officialMd5[layout.format][file.name]
    if (!file.official && file.listed !== false) {
      problems.push(
        `${join(folder, file.name)}: md5 ${file.md5}; the official file, as ${known[0]!.name} is, has ${expected}`,
      )
    }
  }
  const sum = (parts: readonly string[]) =>
    files.reduce((total, file) => total + (parts.includes(file.name) ? file.records : 0), 0)
  return {
    folder,
    format: layout.format,
    train: sum(layout.train),
    test: sum(layout.test),
    classes: names.map((name, label) => ({ name, train: train[label]!, test: test[label]! })),
    files,
    official: known.length === files.length,
    problems,
  }
}

/** Checks one file; adds its labels to the counts and what is wrong to the problems. */
async function verifyFile(
  folder: string,
  name: string,
  layout: CifarLayout,
  classes: number,
  sums: ReadonlyMap<string, string> | undefined,
  labels: number[],
  problems: string[],
): Promise<FileReport> {
  const path = join(folder, name)
  const { size } = await stat(path)
  if (size > maxBytes) {
    problems.push(`${path}: ${size} bytes; at most ${maxBytes} are read`)
    return { name, bytes: size, records: 0, md5: '', official: false, listed: undefined }
  }
  const bytes = await readBytes(path, size)
  const stride = recordBytes(layout)
  for (let at = layout.labelBytes - 1; at < bytes.length; at += stride) labels[bytes[at]!]! += 1
  for (const check of [
    () => countRecords(path, bytes.length, layout),
    () => checkLabels(path, bytes, layout, classes),
  ]) {
    try {
      check()
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      problems.push(error.message)
    }
  }
  const actual = md5(bytes)
  const expected = sums?.get(name)
  if (expected !== undefined && expected !== actual) {
    problems.push(`${path}: md5 ${actual}; ${checksumsFile} lists ${expected}`)
  }
  return {
    name,
    bytes: size,
    records: Math.floor(size / stride),
    md5: actual,
    official: officialMd5[layout.format][name] === actual,
    listed: expected === undefined ? undefined : expected === actual,
  }
}

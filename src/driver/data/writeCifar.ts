// Writes a data set in the layout of CIFAR-10's binary version, with the checksums beside it.

import { mkdtemp, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { UserError } from '../../core/errors.js'
import { makeFolder } from '../folders.js'
import { cannotWrite } from '../output.js'
import { checksumsFile, formatChecksums, md5 } from './checksums.js'
import { cifarLayouts, pixelBytes, recordBytes } from './cifar.js'
import type { ImageDataset, ImageSet } from './dataset.js'

/** Throws a UserError unless a data set can be written to this folder: it is not there, or it is empty. */
export async function checkWritable(dir: string): Promise<void> {
  const entries = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') throw new UserError(`${dir}: is a file; expected a folder that is new or empty`)
    throw error
  })
  if (entries.length > 0) throw new UserError(`${dir}: is not empty; expected a folder that is new or empty`)
}

/**
 * Writes data_batch_1.bin … data_batch_5.bin, test_batch.bin, batches.meta.txt and MD5SUMS into a new or empty folder.
 * The folder appears whole or not at all.
 * @throws UserError when the folder is not empty or cannot be written, RangeError for fewer than 5 training images, one a file
 */
export async function writeCifar10(dir: string, dataset: ImageDataset): Promise<void> {
  await checkWritable(dir)
  const layout = cifarLayouts.cifar10
  if (dataset.train.count < layout.train.length) {
    throw new RangeError(`${dataset.train.count} training images do not fill ${layout.train.length} files`)
  }
  const files = new Map<string, Uint8Array>()
  for (const [part, name] of layout.train.entries()) {
    const start = Math.floor((part * dataset.train.count) / layout.train.length)
    const end = Math.floor(((part + 1) * dataset.train.count) / layout.train.length)
    files.set(name, records(dataset.train, start, end))
  }
  files.set(layout.test[0]!, records(dataset.test, 0, dataset.test.count))
  const sums = new Map([...files].map(([name, bytes]) => [name, md5(bytes)] as const))
  files.set(layout.classes, Buffer.from(`${dataset.train.classes.join('\n')}\n`))
  files.set(checksumsFile, Buffer.from(formatChecksums(sums)))

  const target = resolve(dir)
  await makeFolder(dirname(target))
  const fresh = await mkdtemp(`${target}.tmp-`)
  try {
    for (const [name, bytes] of files)
      await writeFile(join(fresh, name), bytes).catch((error: unknown) => {
        throw cannotWrite(join(target, name), error)
      })
    await rmdir(target).catch(() => {})
    await rename(fresh, target)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    throw error
  }
}

/** Images start … end − 1 of a set as records: the label, then the pixels. */
function records(set: ImageSet, start: number, end: number): Uint8Array {
  const stride = recordBytes(cifarLayouts.cifar10)
  const bytes = new Uint8Array((end - start) * stride)
  for (let i = start, at = 0; i < end; i++, at += stride) {
    bytes[at] = set.labels[i]!
    bytes.set(set.images.subarray(i * pixelBytes, (i + 1) * pixelBytes), at + 1)
  }
  return bytes
}

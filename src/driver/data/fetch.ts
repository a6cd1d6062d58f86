// Downloads and unpacks the official archives. The data set's folder appears whole, by a rename, or not at all.

import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { extract } from 'tar'
import { messageOf, UserError } from '../../core/errors.js'
import { makeFolder } from '../folders.js'
import { checksumsFile, formatChecksums, md5OfFile } from './checksums.js'
import { type CifarLayout, cifarLayouts, type DatasetFormat, filesOf, readCifar } from './cifar.js'
import type { ImageDataset } from './dataset.js'
import { type DownloadOptions, download, type Source } from './download.js'

/** An archive, tar and gzip, of one data set. */
export interface Archive extends Source {
  readonly layout: CifarLayout
}

/** The archives of https://www.cs.toronto.edu/~kriz/cifar.html, "binary version". */
export const officialArchives: Readonly<Record<DatasetFormat, Archive>> = {
  cifar10: {
    layout: cifarLayouts.cifar10,
    url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
    bytes: 170_052_171,
    md5: 'c32a1d4ab5d03f1284b67883e8d87530',
  },
  cifar100: {
    layout: cifarLayouts.cifar100,
    url: 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
    bytes: 168_513_733,
    md5: '03b5dce01913d631647c71ecec9e9cb8',
  },
}

export interface Fetched {
  /** The folder of the data set, inside the one that was asked for. */
  readonly folder: string
  readonly dataset: ImageDataset
  /** False when the data set was there before. */
  readonly fresh: boolean
}

/**
 * Downloads the archive into `dir`, unless the data set is there already, unpacks it there and removes the archive.
 * Throws a UserError when anything fails; what was downloaded is kept and used the next time.
 */
export async function fetchDataset(archive: Archive, dir: string, options: DownloadOptions = {}): Promise<Fetched> {
  const folder = join(dir, archive.layout.folder)
  if (await stat(folder).catch(() => undefined)) {
    const dataset = await readCifar(folder).catch((error: unknown) => {
      throw new UserError(
        `${folder}: is there already, but is no complete data set (${messageOf(error)}); move it away`,
      )
    })
    return { folder, dataset, fresh: false }
  }
  await makeFolder(dir)
  const part = join(dir, `${archive.layout.folder}.tar.gz.part`)
  await download(archive, part, options)
  const dataset = await unpack(part, archive.layout, dir, folder)
  await rm(part)
  return { folder, dataset, fresh: true }
}

async function unpack(file: string, layout: CifarLayout, dir: string, folder: string): Promise<ImageDataset> {
  const fresh = await mkdtemp(`${folder}.tmp-`)
  try {
    const wanted = new Set(
      [...filesOf(layout), 'coarse_label_names.txt', 'readme.html'].map((name) => `${layout.folder}/${name}`),
    )
    // Nothing but plain files of these names leaves the archive: no links, no other paths.
    const filter = (path: string, entry: object) => wanted.has(path) && 'type' in entry && entry.type === 'File'
    await extract({ file, cwd: fresh, strict: true, preserveOwner: false, filter })
    const unpacked = join(fresh, layout.folder)
    const dataset = await readCifar(unpacked)
    const sums = new Map<string, string>()
    for (const name of [...layout.train, ...layout.test]) sums.set(name, await md5OfFile(join(unpacked, name)))
    await writeFile(join(unpacked, checksumsFile), formatChecksums(sums))
    await rename(unpacked, folder)
    return dataset
  } catch (error) {
    throw new UserError(`${file}: cannot be unpacked into ${dir}: ${messageOf(error)}`)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

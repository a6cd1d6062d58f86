// Downloads the official files of data sets, and unpacks what is an archive. The data set's folder appears whole, by a rename, or
// not at all.

import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { extract } from 'tar'
import { messageOf, UserError } from '../../core/errors.js'
import { makeFolder } from '../folders.js'
import { checksumsFile, formatChecksums, md5OfFile } from './checksums.js'
import { type CifarLayout, cifarLayouts, type DatasetFormat, filesOf, readCifar } from './cifar.js'
import type { Dataset, ImageDataset } from './dataset.js'
import { type DownloadOptions, download, type Source } from './download.js'
import { readDataset } from './readers.js'

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

/** Files of one data set, which stay as they are. */
export interface FileSet {
  /** The folder that they are put into. */
  readonly folder: string
  /** The address that their names are appended to; it ends in a slash. */
  readonly url: string
  readonly files: readonly (Omit<Source, 'url'> & { readonly name: string })[]
}

/** The four files of MNIST and its kin, by their sizes and checksums. */
const digits = (folder: string, url: string, files: readonly (readonly [bytes: number, md5: string])[]): FileSet => ({
  folder,
  url,
  files: ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'].map((name, i) => ({
    name: `${name}-ubyte.gz`,
    bytes: files[i]![0],
    md5: files[i]![1],
  })),
})

export const officialFiles = {
  mnist: digits('mnist', 'https://ossci-datasets.s3.amazonaws.com/mnist/', [
    [9_912_422, 'f68b3c2dcbeaaa9fbdd348bbdeb94873'],
    [28_881, 'd53e105ee54ea40749a09fcbcd1e9432'],
    [1_648_877, '9fb629c4189551a2d022fa330f9573f3'],
    [4542, 'ec29112dd5afa0611ce80d1b7f02629c'],
  ]),
  'fashion-mnist': digits('fashion-mnist', 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/', [
    [26_421_880, '8d4fb7e6c68d591d4c3dfef9ec88bf0d'],
    [29_515, '25c81989df183df01b3e8a0aad5dffbe'],
    [4_422_102, 'bef4ecab320f06d8554ea6380940ec79'],
    [5148, 'bb300cfdad3c16e7a12a480ee83cd310'],
  ]),
} as const satisfies Record<string, FileSet>

export interface Fetched<D extends Dataset = Dataset> {
  /** The folder of the data set, inside the one that was asked for. */
  readonly folder: string
  readonly dataset: D
  /** False when the data set was there before. */
  readonly fresh: boolean
}

/**
 * Downloads the archive into `dir`, unless the data set is there already, unpacks it there and removes the archive.
 * Throws a UserError when anything fails; what was downloaded is kept and used the next time.
 */
export async function fetchDataset(
  archive: Archive,
  dir: string,
  options: DownloadOptions = {},
): Promise<Fetched<ImageDataset>> {
  const folder = join(dir, archive.layout.folder)
  const there = await alreadyIn(folder, readCifar)
  if (there) return there
  await makeFolder(dir)
  const part = join(dir, `${archive.layout.folder}.tar.gz.part`)
  await download(archive, part, options)
  const dataset = await unpack(part, archive.layout, dir, folder)
  await rm(part)
  return { folder, dataset, fresh: true }
}

/** The data set that is in the folder already. @throws UserError for a folder with anything else */
async function alreadyIn<D extends Dataset>(
  folder: string,
  read: (folder: string) => Promise<D>,
): Promise<Fetched<D> | undefined> {
  if (!(await stat(folder).catch(() => undefined))) return undefined
  const dataset = await read(folder).catch((error: unknown) => {
    throw new UserError(`${folder}: is there already, but is no complete data set (${messageOf(error)}); move it away`)
  })
  return { folder, dataset, fresh: false }
}

export const bytesOf = ({ files }: FileSet): number => files.reduce((sum, { bytes }) => sum + bytes, 0)

/**
 * Downloads files into a folder in `dir`, unless the data set is there already.
 * Throws a UserError when anything fails; what was downloaded is kept, in a folder that ends in .part, and used the next time.
 */
export async function fetchFiles(set: FileSet, dir: string, options: DownloadOptions = {}): Promise<Fetched> {
  const folder = join(dir, set.folder)
  const there = await alreadyIn(folder, readDataset)
  if (there) return there
  const part = `${folder}.part`
  await makeFolder(part)
  let before = 0
  for (const { name, ...source } of set.files) {
    const onProgress = (received: number) => options.onProgress?.(before + received)
    await download({ ...source, url: `${set.url}${name}` }, join(part, name), { ...options, onProgress })
    before += source.bytes
  }
  const dataset = await readDataset(part)
  await rename(part, folder)
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

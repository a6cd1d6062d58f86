// Reader for photographs in folders, one for each class: train/CLASS/* and test/CLASS/* (or val, valid), or CLASS/*, of which a part
// is held out. JPEG, PNG and WebP.
// The headers of all files are read first: what is no image is refused by its name before anything is trained.

import { UserError } from '../../../core/errors.js'
import { type Dataset, type ImageFilesColumn, type Split, shared } from '../dataset.js'
import { checkNoHoldOut, heldOut, type ReadOptions } from '../splits.js'
import { type FileTree, isFolder, namesIn } from './fileTree.js'
import type { Reader } from './reader.js'

const readable = new Set(['.jpg', '.jpeg', '.png', '.webp'])
/** Images that are not read: left out silently they would be missed. */
const others = new Set(['.gif', '.bmp', '.tif', '.tiff', '.avif', '.heic', '.ppm'])
const kindOf = (name: string) => /\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? ''

const testNames = ['test', 'val', 'valid', 'validation']

/** The folders of classes, by their names; undefined where no folder holds images. */
async function classFolders(
  files: FileTree,
  folder: string,
): Promise<ReadonlyMap<string, readonly string[]> | undefined> {
  const classes = new Map<string, readonly string[]>()
  for (const name of await namesIn(files, folder)) {
    const path = files.join(folder, name)
    if (await isFolder(files, path)) classes.set(name, await namesIn(files, path))
  }
  const holdImages = [...classes.values()].some((content) => content.some((file) => readable.has(kindOf(file))))
  return holdImages ? classes : undefined
}

interface Folders {
  readonly train: string
  /** Undefined: a part of the training images is held out. */
  readonly test: string | undefined
}

async function findFolders(files: FileTree, path: string): Promise<Folders | undefined> {
  const train = files.join(path, 'train')
  if (await classFolders(files, train)) {
    for (const name of testNames) {
      const test = files.join(path, name)
      if (await classFolders(files, test)) return { train, test }
    }
    return { train, test: undefined }
  }
  return (await classFolders(files, path)) ? { train: path, test: undefined } : undefined
}

interface Labelled {
  readonly paths: string[]
  readonly labels: number[]
}

/** The files of each class. @throws UserError for a class without images, or that is none of these */
async function listImages(
  files: FileTree,
  folder: string,
  classes?: readonly string[],
): Promise<Labelled & { classes: readonly string[] }> {
  const folders = (await classFolders(files, folder))!
  const names = classes ?? [...folders.keys()]
  const paths: string[] = []
  const labels: number[] = []
  for (const [name, content] of folders) {
    const label = names.indexOf(name)
    if (label < 0)
      throw new UserError(
        `${files.join(folder, name)}: is no class of the training images, which are ${names.join(', ')}; rename it, or move it away`,
      )
    const odd = content.find((file) => others.has(kindOf(file)))
    if (odd !== undefined)
      throw new UserError(`${files.join(folder, name, odd)}: is no JPEG, PNG or WebP; convert it, or move it away`)
    const images = content.filter((file) => readable.has(kindOf(file)))
    if (images.length === 0)
      throw new UserError(`${files.join(folder, name)}: holds no images; expected those of a class`)
    for (const file of images) {
      paths.push(files.join(folder, name, file))
      labels.push(label)
    }
  }
  return { paths, labels, classes: names }
}

async function splitOf(files: FileTree, { paths, labels }: Labelled, classes: readonly string[]): Promise<Split> {
  const blobs = files.blob && paths.map((path) => files.blob!(path))
  const images: ImageFilesColumn = {
    kind: 'image files',
    dtype: 'uint8',
    shape: ['channels', 'height', 'width'],
    files: paths,
    ...(blobs ? { blobs } : {}),
    sizes: await files.checkImages(paths, blobs),
  }
  const data = shared(classes.length > 256 ? 'int32' : 'uint8', labels.length)
  data.set(labels)
  const dtype = data instanceof Uint8Array ? 'uint8' : 'int32'
  return { count: paths.length, columns: { images, labels: { kind: 'tensor', dtype, shape: [], data, classes } } }
}

async function readFolders(files: FileTree, path: string, options: ReadOptions): Promise<Dataset> {
  const format = 'image folder'
  const folders = (await findFolders(files, path))!
  const { classes, ...images } = await listImages(files, folders.train)
  const train = await splitOf(files, images, classes)
  if (folders.test === undefined) return heldOut(format, path, train, options)
  checkNoHoldOut(path, options)
  return { format, train, test: await splitOf(files, await listImages(files, folders.test, classes), classes) }
}

export const imageFolderReader: Reader = {
  format: 'image folder',
  looksFor: 'images in train/CLASS/ and test/CLASS/, or in CLASS/',
  recognizes: async (files, path) => (await findFolders(files, path)) !== undefined,
  read: readFolders,
}

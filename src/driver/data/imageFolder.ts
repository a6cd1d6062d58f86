// Reader for photographs in folders, one for each class: train/CLASS/* and test/CLASS/* (or val, valid), or CLASS/*, of which a part
// is held out. JPEG, PNG and WebP.
// The headers of all files are read first: what is no image is refused by its name before anything is trained.

import { extname, join } from 'node:path'
import { UserError } from '../../core/errors.js'
import { type Dataset, type ImageFilesColumn, type Split, shared } from './dataset.js'
import { isFolder, namesIn } from './paths.js'
import type { Reader, ReadOptions } from './reader.js'
import { checkNoHoldOut, heldOut } from './splits.js'

const readable = new Set(['.jpg', '.jpeg', '.png', '.webp'])
/** Images that are not read: left out silently they would be missed. */
const others = new Set(['.gif', '.bmp', '.tif', '.tiff', '.avif', '.heic', '.ppm'])
const kindOf = (name: string) => extname(name).toLowerCase()

const testNames = ['test', 'val', 'valid', 'validation']

/** The folders of classes, by their names; undefined where no folder holds images. */
async function classFolders(folder: string): Promise<ReadonlyMap<string, readonly string[]> | undefined> {
  const classes = new Map<string, readonly string[]>()
  for (const name of await namesIn(folder)) {
    if (await isFolder(join(folder, name))) classes.set(name, await namesIn(join(folder, name)))
  }
  const holdImages = [...classes.values()].some((files) => files.some((file) => readable.has(kindOf(file))))
  return holdImages ? classes : undefined
}

interface Folders {
  readonly train: string
  /** Undefined: a part of the training images is held out. */
  readonly test: string | undefined
}

async function findFolders(path: string): Promise<Folders | undefined> {
  const train = join(path, 'train')
  if (await classFolders(train)) {
    for (const name of testNames) if (await classFolders(join(path, name))) return { train, test: join(path, name) }
    return { train, test: undefined }
  }
  return (await classFolders(path)) ? { train: path, test: undefined } : undefined
}

interface Labelled {
  readonly files: string[]
  readonly labels: number[]
}

/** The files of each class. @throws UserError for a class without images, or that is none of these */
async function listImages(
  folder: string,
  classes?: readonly string[],
): Promise<Labelled & { classes: readonly string[] }> {
  const folders = (await classFolders(folder))!
  const names = classes ?? [...folders.keys()]
  const files: string[] = []
  const labels: number[] = []
  for (const [name, content] of folders) {
    const label = names.indexOf(name)
    if (label < 0)
      throw new UserError(`${join(folder, name)}: is no class of the training images, which are ${names.join(', ')}`)
    const odd = content.find((file) => others.has(kindOf(file)))
    if (odd !== undefined)
      throw new UserError(`${join(folder, name, odd)}: is no JPEG, PNG or WebP; convert it, or move it away`)
    const images = content.filter((file) => readable.has(kindOf(file)))
    if (images.length === 0) throw new UserError(`${join(folder, name)}: holds no images; expected those of a class`)
    for (const file of images) {
      files.push(join(folder, name, file))
      labels.push(label)
    }
  }
  return { files, labels, classes: names }
}

async function splitOf({ files, labels }: Labelled, classes: readonly string[]): Promise<Split> {
  const { checkImages } = await import('./imageFiles.js')
  const images: ImageFilesColumn = {
    kind: 'image files',
    dtype: 'uint8',
    shape: ['channels', 'height', 'width'],
    files,
    sizes: await checkImages(files),
  }
  const data = shared(classes.length > 256 ? 'int32' : 'uint8', labels.length)
  data.set(labels)
  const dtype = data instanceof Uint8Array ? 'uint8' : 'int32'
  return { count: files.length, columns: { images, labels: { kind: 'tensor', dtype, shape: [], data, classes } } }
}

async function readFolders(path: string, options: ReadOptions): Promise<Dataset> {
  const format = 'image folder'
  const folders = (await findFolders(path))!
  const { classes, ...images } = await listImages(folders.train)
  const train = await splitOf(images, classes)
  if (folders.test === undefined) return heldOut(format, path, train, options)
  checkNoHoldOut(path, options)
  return { format, train, test: await splitOf(await listImages(folders.test, classes), classes) }
}

export const imageFolderReader: Reader = {
  format: 'image folder',
  looksFor: 'images in train/CLASS/ and test/CLASS/, or in CLASS/',
  recognizes: async (path) => (await findFolders(path)) !== undefined,
  read: readFolders,
}

// Files that a page was given: chosen, dropped, or of a folder that it may look into. The readers of data sets see them as they see a
// disk's.

import { UserError } from '../core/errors.js'
import type { Dataset } from '../driver/data/dataset.js'
import type { FileTree } from '../driver/data/formats/fileTree.js'
import * as formats from '../driver/data/formats/index.js'
import type { ReadOptions } from '../driver/data/splits.js'
import { checkImages } from './images.js'

/** A file and where it lies, `train/red/0.png`: beneath the folder that was given, whose name comes first. */
export interface PageFile {
  readonly path: string
  readonly content: Blob
}

// What is used of the browser's interfaces, as a library without a page's types can say it.

interface ChosenFile extends Blob {
  readonly name: string
  readonly webkitRelativePath?: string
}
interface FileHandle {
  readonly kind: 'file'
  readonly name: string
  getFile(): Promise<Blob>
}
interface FolderHandle {
  readonly kind: 'directory'
  readonly name: string
  values(): AsyncIterable<FileHandle | FolderHandle>
}
interface Entry {
  readonly name: string
  readonly isDirectory: boolean
}
interface FileEntry extends Entry {
  file(done: (file: Blob) => void, failed: (error: unknown) => void): void
}
interface FolderEntry extends Entry {
  createReader(): { readEntries(done: (entries: Entry[]) => void, failed: (error: unknown) => void): void }
}
interface Dropped {
  readonly items: Iterable<{ readonly kind: string; webkitGetAsEntry(): Entry | null }>
}

/** Most files of a data set: a folder of more was hardly meant. */
const maxFiles = 2 ** 20

class Collection {
  readonly files: PageFile[] = []

  add(path: string, content: Blob): void {
    if (this.files.length === maxFiles)
      throw new UserError(`${path}: is one file more than the ${maxFiles} that are read`)
    this.files.push({ path, content })
  }
}

/** Hidden files and folders belong to no data set. */
const isHidden = ({ name }: { readonly name: string }) => name.startsWith('.')

/** Files that were chosen: of `<input type="file">`, with `webkitdirectory` or without. */
export function chosenFiles(files: Iterable<ChosenFile>): readonly PageFile[] {
  const found = new Collection()
  for (const file of files) found.add(file.webkitRelativePath || file.name, file)
  return found.files
}

/** The files of a folder and of all folders in it: of `showDirectoryPicker()`, or of the page's own storage. */
export async function filesInFolder(folder: FolderHandle): Promise<readonly PageFile[]> {
  const found = new Collection()
  const visit = async (handle: FileHandle | FolderHandle, path: string): Promise<void> => {
    if (handle.kind === 'file') found.add(path, await handle.getFile())
    else for await (const each of handle.values()) if (!isHidden(each)) await visit(each, `${path}/${each.name}`)
  }
  await visit(folder, folder.name)
  return found.files
}

/** Files and folders that were dropped. To be called where the event is handled: afterwards, it is empty. */
export async function droppedFiles({ items }: Dropped): Promise<readonly PageFile[]> {
  const entries = [...items].flatMap((item) => (item.kind === 'file' ? (item.webkitGetAsEntry() ?? []) : []))
  const found = new Collection()
  const visit = async (entry: Entry, path: string): Promise<void> => {
    if (!entry.isDirectory) {
      const file = await new Promise<Blob>((resolve, reject) => (entry as FileEntry).file(resolve, reject))
      return found.add(path, file)
    }
    const reader = (entry as FolderEntry).createReader()
    for (;;) {
      // A hundred at a time, until there are no more.
      const some = await new Promise<Entry[]>((resolve, reject) => reader.readEntries(resolve, reject))
      if (some.length === 0) return
      for (const each of some) if (!isHidden(each)) await visit(each, `${path}/${each.name}`)
    }
  }
  for (const entry of entries) await visit(entry, entry.name)
  return found.files
}

/** What all files together are called, where they are no folder's. */
const together = 'the files'
/** Bytes that are read at a time. */
const pieceSize = 2 ** 20

/** Files of a page as a tree, and the path of what they are all in. */
export function treeOf(files: readonly PageFile[]): { readonly tree: FileTree; readonly root: string } {
  const contents = new Map<string, Blob>()
  const folders = new Map<string, Set<string>>([[together, new Set()]])
  for (const { path, content } of files) {
    let folder = together
    const names = path.split('/').filter((name) => name !== '')
    names.forEach((name, depth) => {
      folders.get(folder)!.add(name)
      folder = names.slice(0, depth + 1).join('/')
      if (depth === names.length - 1) contents.set(folder, content)
      else if (!folders.has(folder)) folders.set(folder, new Set())
    })
  }
  const blob = (path: string): Blob => {
    const content = contents.get(path)
    if (!content) throw new Error('there is no such file')
    return content
  }
  const tree: FileTree = {
    async find(path) {
      const content = contents.get(path)
      if (content) return { kind: 'file', size: content.size }
      return folders.has(path) ? { kind: 'folder' } : undefined
    },
    list: async (folder) => [...(folders.get(folder) ?? [])],
    join: (...names) => names.filter((name, i) => i > 0 || name !== together).join('/'),
    async *bytes(path, begin = 0, end = Number.POSITIVE_INFINITY) {
      const content = blob(path)
      const last = Math.min(end, content.size)
      for (let at = begin; at < last; at += pieceSize)
        yield new Uint8Array(await content.slice(at, Math.min(at + pieceSize, last)).arrayBuffer())
    },
    blob,
    checkImages,
  }
  const top = [...folders.get(together)!]
  return { tree, root: top.length === 1 ? top[0]! : together }
}

/**
 * Reads a data set of files that a page was given, whatever its format: what Node reads from a disk.
 * @throws UserError naming the file and what was looked for
 */
export async function readDataset(files: readonly PageFile[], options: ReadOptions = {}): Promise<Dataset> {
  if (files.length === 0) throw new UserError('no files were given; expected those of a data set')
  const { tree, root } = treeOf(files)
  return formats.readDataset(tree, root, options)
}

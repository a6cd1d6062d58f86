// What readers of data sets see of files: folders of a disk, or what was dropped on a page.

import { UserError } from '../../../core/errors.js'
import type { CheckImages } from '../images.js'

/** Most bytes of the training or the test set that are read into memory: twelve times CIFAR-10. */
export const maxBytes = 2 ** 30

/** What lies at a path. */
export type Found = { readonly kind: 'file'; readonly size: number } | { readonly kind: 'folder' | 'other' }

export interface FileTree {
  /** Undefined where there is nothing. */
  find(path: string): Promise<Found | undefined>
  /** The names in a folder, in any order. */
  list(folder: string): Promise<readonly string[]>
  /** The path of what has this name in a folder, or in a folder of it. */
  join(folder: string, ...names: readonly string[]): string
  /**
   * Bytes of a file from `begin` to before `end` (its own, unless given), in pieces that are small beside memory.
   * Fails as the system says it.
   */
  bytes(path: string, begin?: number, end?: number): AsyncIterable<Uint8Array>
  /** The file itself, where threads cannot open it by its path. */
  blob?(path: string): Blob
  readonly checkImages: CheckImages
}

/** Bytes of a file; undefined where there is none. */
export const sizeOf = async (files: FileTree, path: string): Promise<number | undefined> => {
  const found = await files.find(path)
  return found?.kind === 'file' ? found.size : undefined
}

export const isFolder = async (files: FileTree, path: string): Promise<boolean> =>
  (await files.find(path))?.kind === 'folder'

/** The names in a folder, sorted; none where there is no folder. Hidden ones are left out. */
export const namesIn = async (files: FileTree, folder: string): Promise<string[]> => {
  const names = (await isFolder(files, folder)) ? await files.list(folder) : []
  return names.filter((name) => !name.startsWith('.')).sort()
}

/** A data set of one kind of file: one file, or a folder with one for training and one for the test. */
export type FilePair = { readonly file: string } | { readonly train: string; readonly test: string }

/**
 * Finds such files by their extension, `.csv`; undefined where there are none.
 * @throws UserError for a folder that has one of the two
 */
export async function findPair(
  files: FileTree,
  path: string,
  extensions: readonly string[],
): Promise<FilePair | undefined> {
  const fits = (name: string) => extensions.some((extension) => name.toLowerCase().endsWith(extension))
  if ((await sizeOf(files, path)) !== undefined) return fits(path) ? { file: path } : undefined
  const names = (await namesIn(files, path)).filter(fits)
  const [train, test] = ['train', 'test'].map((part) => names.find((name) => name.replace(/\.[^.]*$/, '') === part))
  if (train === undefined && test === undefined) return undefined
  if (train !== undefined && test !== undefined) return { train: files.join(path, train), test: files.join(path, test) }
  const missing = `${train === undefined ? 'train' : 'test'}${extensions[0]}`
  throw new UserError(
    `${path}: has ${train ?? test}, but no ${missing}; name ${files.join(path, (train ?? test)!)} itself to hold out a part of it`,
  )
}

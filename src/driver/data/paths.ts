// What lies at a path, and how much of it is read into memory.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../core/errors.js'

/** Most bytes of the training or the test set that are read into memory: twelve times CIFAR-10. */
export const maxBytes = 2 ** 30

/** Bytes of a file; undefined where there is none. */
export const sizeOf = async (path: string): Promise<number | undefined> => {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? found.size : undefined
}

export const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false

/** The names in a folder, sorted; none where there is no folder. Hidden ones are left out. */
export const namesIn = async (folder: string): Promise<string[]> => {
  const names = (await isFolder(folder)) ? await readdir(folder) : []
  return names.filter((name) => !name.startsWith('.')).sort()
}

/** A data set of one kind of file: one file, or a folder with one for training and one for the test. */
export type FilePair = { readonly file: string } | { readonly train: string; readonly test: string }

/**
 * Finds such files by their extension, `.csv`; undefined where there are none.
 * @throws UserError for a folder that has one of the two
 */
export async function findPair(path: string, extensions: readonly string[]): Promise<FilePair | undefined> {
  const fits = (name: string) => extensions.some((extension) => name.toLowerCase().endsWith(extension))
  if ((await sizeOf(path)) !== undefined) return fits(path) ? { file: path } : undefined
  const names = (await namesIn(path)).filter(fits)
  const [train, test] = ['train', 'test'].map((part) => names.find((name) => name.replace(/\.[^.]*$/, '') === part))
  if (train === undefined && test === undefined) return undefined
  if (train !== undefined && test !== undefined) return { train: join(path, train), test: join(path, test) }
  const missing = `${train === undefined ? 'train' : 'test'}${extensions[0]}`
  throw new UserError(
    `${path}: has ${train ?? test}, but no ${missing}; name ${join(path, (train ?? test)!)} itself to hold out a part of it`,
  )
}

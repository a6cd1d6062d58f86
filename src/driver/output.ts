// Files that are there as a whole or not at all, and what is said when one cannot be written.

import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { messageOf, UserError } from '../core/errors.js'

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined)

/** Of a write that failed the system names no file: this does, and says what is at fault where that is common. */
export function cannotWrite(path: string, error: unknown): UserError {
  const code = codeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new UserError(`cannot write ${path}: the disk is full; what was there before is untouched`)
  if (code === 'EROFS')
    return new UserError(`cannot write ${path}: the file system is read-only; what was there before is untouched`)
  if (code === 'ENOENT') return new UserError(`cannot write ${path}: its folder is not there`)
  return new UserError(`cannot write ${path}: ${messageOf(error)}; what was there before is untouched`)
}

/** Makes renames in the folder last, as far as the platform lets us. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch {
    // Windows opens no folders, and some network file systems refuse the sync: the rename itself is done.
  }
}

/**
 * Writes a file that is not there yet, all of it, down to the disk. Where that fails nothing of it is left.
 * @param like whose mode and owner it gets; those of any new file when left out
 */
export async function writeNew(file: string, content: Uint8Array | string, like?: Stats): Promise<void> {
  // A link that was put there is not written through.
  await rm(file, { force: true })
  try {
    const handle = await open(file, 'wx')
    try {
      // A single `write` on a disk that is nearly full writes what there is space for, and calls that done.
      await handle.writeFile(content)
      if (like) {
        await handle.chmod(like.mode & 0o777)
        // Whoever may not give files away keeps it.
        await handle.chown(like.uid, like.gid).catch(() => {})
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    // Where it cannot be removed either, it does not have the name that is asked for.
    await rm(file, { force: true }).catch(() => {})
    throw error
  }
}

/**
 * Writes a file that somebody asked for, in the place of one that may be there; behind a link, of the one that it leads to. A
 * pipe or a device, /dev/null for one, is written to as it is.
 * @throws UserError when it cannot be written; the old content is then still there
 */
export async function writeOutput(path: string, content: Uint8Array | string): Promise<void> {
  try {
    const target = await realpath(path).catch(() => path)
    const before = await stat(target).catch(() => undefined)
    if (before && !before.isFile()) return await writeFile(target, content)
    // Others may write to the same place at the same time: the last one is there in the end.
    const fresh = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`)
    await writeNew(fresh, content, before)
    await rename(fresh, target).catch(async (error: unknown) => {
      await rm(fresh, { force: true }).catch(() => {})
      throw error
    })
    await syncFolder(dirname(target))
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

// Writing files so that a crash or a full disk leaves either the old content or the new one, never a part; and reading those of
// folders that others may have made.
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError } from '../../core/errors.js'
import { cannotWrite } from '../output.js'

/** @throws UserError for what would keep its reader waiting, or has no end: a pipe, a device */
export async function requirePlainFile(path: string): Promise<void> {
  if (!(await stat(path)).isFile()) throw new UserError(`${path} is no file: move it away`)
}

/** Reads a file, and only what is one. */
export async function readPlainFile(path: string): Promise<Buffer> {
  await requirePlainFile(path)
  return readFile(path)
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

/** Writes `content` to a temporary file beside `path`, down to the disk, and returns its name. */
export async function writeBeside(path: string, content: Uint8Array | string): Promise<string> {
  // A fixed name, so that what a crash left behind is overwritten by the next write; the run folder's lock keeps
  // other processes away.
  const temporary = join(dirname(path), `.${basename(path)}.tmp`)
  try {
    // A link that was put there is not written through.
    await rm(temporary, { force: true })
    const handle = await open(temporary, 'wx')
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    // Where it cannot be removed either, the next write takes its place.
    await rm(temporary, { force: true }).catch(() => {})
    throw cannotWrite(path, error)
  }
  return temporary
}

/**
 * Replaces the file's content as a whole.
 * @throws UserError when it cannot be written; the old content is then still there.
 */
export async function writeAtomically(path: string, content: Uint8Array | string): Promise<void> {
  const fresh = await writeBeside(path, content)
  await rename(fresh, path).catch((error: unknown) => {
    throw cannotWrite(path, error)
  })
  await syncFolder(dirname(path))
}

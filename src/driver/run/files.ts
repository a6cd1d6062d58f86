// Writing files so that a crash or a full disk leaves either the old content or the new one, never a part.
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { cannotWrite } from '../output.js'

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
    const handle = await open(temporary, 'w')
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

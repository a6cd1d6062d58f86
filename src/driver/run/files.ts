// Writing files so that a crash or a full disk leaves either the old content or the new one, never a part; and reading those of
// folders that others may have made.
import { readFile, rename, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError } from '../../core/errors.js'
import { cannotWrite, syncFolder, writeNew } from '../output.js'

/** @throws UserError for what would keep its reader waiting, or has no end: a pipe, a device */
export async function requirePlainFile(path: string): Promise<void> {
  if (!(await stat(path)).isFile()) throw new UserError(`${path} is no file: move it away`)
}

/** Reads a file, and only what is one. */
export async function readPlainFile(path: string): Promise<Buffer> {
  await requirePlainFile(path)
  return readFile(path)
}

/** Writes `content` to a temporary file beside `path`, down to the disk, and returns its name. */
export async function writeBeside(path: string, content: Uint8Array | string): Promise<string> {
  // A fixed name, so that what a crash left behind is overwritten by the next write; the run folder's lock keeps
  // other processes away.
  const temporary = join(dirname(path), `.${basename(path)}.tmp`)
  await writeNew(temporary, content).catch((error: unknown) => {
    throw cannotWrite(path, error)
  })
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

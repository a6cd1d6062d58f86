// Files that are there as a whole or not at all, and what is said when one cannot be written.

import writeFileAtomic from 'write-file-atomic'
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

/**
 * Writes a file that somebody asked for, in the place of one that may be there.
 * @throws UserError when it cannot be written; the old content is then still there
 */
export async function writeOutput(path: string, content: Uint8Array | string): Promise<void> {
  try {
    await writeFileAtomic(path, typeof content === 'string' ? content : Buffer.from(content))
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

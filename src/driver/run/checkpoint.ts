// Checkpoints in a run folder: the newest two are kept.
import { rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../../core/errors.js'
import { cannotWrite, syncFolder } from '../output.js'
import {
  type Checkpoint,
  checkedMetadata,
  checkpointFiles,
  decodeCheckpoint,
  encodeCheckpoint,
} from './checkpointFile.js'
import { readPlainFile, writeBeside } from './files.js'
import type { Progress } from './metrics.js'
import { readMetadataOf } from './safetensorsHeader.js'

export { type Checkpoint, checkpointFiles, decodeCheckpoint, encodeCheckpoint }

/**
 * Writes the newest checkpoint of a run folder; the one before it stays as the second.
 * @throws UserError when it cannot be written; both earlier ones are then still there.
 */
export async function saveCheckpoint(folder: string, checkpoint: Checkpoint): Promise<void> {
  const [newest, previous] = checkpointFiles.map((name) => join(folder, name)) as [string, string]
  const fresh = await writeBeside(newest, encodeCheckpoint(checkpoint))
  // A crash between the two renames leaves no newest one: the previous one is then the last good one.
  await rename(newest, previous).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw cannotWrite(previous, error)
  })
  await rename(fresh, newest).catch((error: unknown) => {
    throw cannotWrite(newest, error)
  })
  await syncFolder(dirname(newest))
}

/**
 * The newest good checkpoint of a run folder, or undefined when it has none yet. `damaged` says why the newest file
 * was passed over.
 * @throws UserError when all that there are is damaged.
 */
export async function loadCheckpoint(
  folder: string,
): Promise<{ checkpoint: Checkpoint; damaged: string | undefined } | undefined> {
  const failures: UserError[] = []
  for (const name of checkpointFiles) {
    const path = join(folder, name)
    try {
      const checkpoint = decodeCheckpoint(await readPlainFile(path), path)
      return { checkpoint, damaged: failures[0]?.message }
    } catch (error) {
      if (error instanceof UserError) failures.push(error)
      else if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  if (failures.length > 0) throw failures[0]
  return undefined
}

/**
 * How far the run in a folder is by its newest checkpoint whose header can be read; undefined where there is none. Reads
 * no tensors: for looking at many runs, often, while others write them.
 */
export async function readProgress(folder: string): Promise<Progress | undefined> {
  for (const name of checkpointFiles) {
    const path = join(folder, name)
    try {
      return checkedMetadata(await readMetadataOf(path), path).progress
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!missing && !(error instanceof UserError)) throw error
    }
  }
  return undefined
}

// Reading a model file that a command was given: from a path, or from standard input for `-`.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { UserError } from '../core/errors.js'
import { foreignKind } from '../core/onnx/foreign.js'
import { requirePlainFile } from '../driver/run/files.js'
import { runFiles } from '../driver/run/runFolder.js'
import { withExternalData } from '../driver/runtime/externalData.js'

/**
 * The bytes of a file, tensors in files beside it included, or of standard input for `-`.
 * @throws UserError when there is nothing to read.
 */
export async function readInput(path: string): Promise<Uint8Array> {
  if (path !== '-') {
    try {
      return withExternalData(requireModel(await readFile(path), path), path)
    } catch (error) {
      if (error instanceof UserError) throw error
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      throw new UserError(missing ? `there is no file ${path}` : `cannot read ${path}: ${String(error)}`)
    }
  }
  if (process.stdin.isTTY) throw new UserError('nothing comes in on standard input: pipe a model in, or name a file')
  const bytes = await buffer(process.stdin)
  if (bytes.length === 0) throw new UserError('standard input is empty: the command before the pipe gave no model')
  return requireModel(bytes, 'standard input')
}

/**
 * The bytes of the model that a run began with. Others may have made its folder: no pipe is waited for there.
 * @throws UserError when there is no such file, or it is none
 */
export async function readFirstModel(folder: string): Promise<Uint8Array> {
  const path = join(folder, runFiles.initial)
  if (existsSync(path)) await requirePlainFile(path)
  return readInput(path)
}

/** Before a runtime says in its own words that it cannot read the file. */
function requireModel(bytes: Uint8Array, source: string): Uint8Array {
  const kind = foreignKind(bytes)
  if (kind !== undefined) throw new UserError(`${source} is not an ONNX model but ${kind}`)
  return bytes
}

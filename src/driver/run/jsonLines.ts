// Files of one JSON object a line.
import { stat } from 'node:fs/promises'
import type { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { readPlainFile } from './files.js'

/** A line for each of three hundred thousand epochs has less. */
const MOST_BYTES = 100_000_000

/**
 * A value for each line that is not empty; undefined for one that is damaged. No lines where there is no file.
 * @throws UserError when the file is too large to be one of ours
 */
export async function readJsonLines<T>(path: string, schema: z.ZodType<T>): Promise<(T | undefined)[]> {
  const { size } = await stat(path).catch(() => ({ size: 0 }))
  if (size === 0) return []
  if (size > MOST_BYTES)
    throw new UserError(`${path} is damaged: it has ${size} bytes, and a line an epoch is far less; move it away`)
  const lines = (await readPlainFile(path))
    .toString()
    .split('\n')
    .filter((line) => line !== '')
  return lines.map((line) => {
    try {
      return schema.safeParse(JSON.parse(line)).data
    } catch {
      return undefined
    }
  })
}

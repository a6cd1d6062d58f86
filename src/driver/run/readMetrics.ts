// metrics.jsonl, read back.
import { UserError } from '../../core/errors.js'
import { readJsonLines } from './jsonLines.js'
import { type EpochMetrics, epochMetricsSchema } from './metrics.js'

/**
 * The epochs of a metrics.jsonl; none where there is no such file.
 * @throws UserError naming the line that is damaged
 */
export async function readMetrics(path: string): Promise<readonly EpochMetrics[]> {
  const lines = await readJsonLines(path, epochMetricsSchema)
  const damaged = lines.indexOf(undefined)
  if (damaged !== -1) throw new UserError(`${path} is damaged: line ${damaged + 1} is no record of an epoch`)
  return lines.filter((line) => line !== undefined)
}

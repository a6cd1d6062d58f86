// Where a run stands, by its folder alone: for looking at it from another process.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { FitConfig } from '../fit/config.js'
import { holderOf } from './lock.js'
import type { Progress } from './metrics.js'
import { hasRun, runFiles } from './runFolder.js'

/** `waiting`: not begun; `stopped`: begun, and no process works on it. */
export type RunState = 'waiting' | 'running' | 'stopped' | 'done'

/** @param progress how far the run is, by the files in its folder */
export function runStateOf(
  folder: string,
  { epoch, step }: Pick<Progress, 'epoch' | 'step'>,
  { epochs, steps }: Pick<FitConfig, 'epochs' | 'steps'>,
): RunState {
  if (existsSync(folder) && holderOf(folder) !== undefined) return 'running'
  const trained = epoch >= epochs || step >= (steps ?? Infinity)
  if (trained && existsSync(join(folder, runFiles.model))) return 'done'
  return hasRun(folder) ? 'stopped' : 'waiting'
}

// What a run leaves behind, whatever keeps it: a folder, or the storage of a page.

import type { Checkpoint } from '../run/checkpointFile.js'
import type { EpochMetrics } from '../run/metrics.js'
import type { EpochTiming } from '../run/timing.js'
import type { Plan } from '../targets/target.js'

export interface RunRecord {
  /** Where it is kept, for messages. */
  readonly where: string
  /** Notes how the step is written, before the first one. */
  keepPlan(plan: Plan): Promise<void>
  /** Keeps a checkpoint as the newest; whatever happens meanwhile, that or the one before it is there afterwards. */
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>
  writeMetrics(history: readonly EpochMetrics[]): Promise<void>
  /** Keeps the model with the weights of the moment. */
  writeModel(model: Uint8Array): Promise<void>
  /** Draws the epochs. @returns why it cannot, where it cannot */
  drawCurves(history: readonly EpochMetrics[]): Promise<string | undefined>
  /** Notes what an epoch took. */
  addTiming(timing: Omit<EpochTiming, 'machine' | 'versions'>): Promise<void>
  /** Called after each checkpoint, when everything that follows from it is written too. */
  saved(): Promise<void>
}

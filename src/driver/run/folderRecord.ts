// The record of a run as files in its folder.

import { join } from 'node:path'
import type { FitConfig } from '../fit/config.js'
import { drawCurves } from '../fit/drawCurves.js'
import type { RunRecord } from '../fit/record.js'
import type { StepPlan } from '../targets/index.js'
import { saveCheckpoint } from './checkpoint.js'
import { writeAtomically } from './files.js'
import { metricsText } from './metrics.js'
import { keepPlan, runFiles } from './runFolder.js'
import { appendTiming, surroundings } from './timing.js'

export interface FolderRecordOptions extends Pick<FitConfig, 'runtime' | 'provider'> {
  readonly folder: string
  /** What the folder is called in messages. */
  readonly name: string
  readonly onSaved?: (() => Promise<void>) | undefined
}

export function folderRecord({ folder, name, onSaved, runtime, provider }: FolderRecordOptions): RunRecord {
  const write = (file: string, content: Uint8Array | string) => writeAtomically(join(folder, file), content)
  return {
    where: name,
    // A plan of the registry, as runs in Node have.
    keepPlan: (plan) => keepPlan(folder, plan as StepPlan),
    saveCheckpoint: (checkpoint) => saveCheckpoint(folder, checkpoint),
    writeMetrics: (history) => write(runFiles.metrics, metricsText(history)),
    writeModel: (model) => write(runFiles.model, model),
    async drawCurves(history) {
      const curves = await drawCurves(history, folder)
      if ('hint' in curves) return curves.hint
      await write(runFiles.curves, curves.svg)
      return undefined
    },
    addTiming: async (timing) => appendTiming(folder, { ...timing, ...(await surroundings(runtime, provider)) }),
    saved: async () => onSaved?.(),
  }
}

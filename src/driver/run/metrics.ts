// What a run measures: sums over the epoch in progress, and one record an epoch.
import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { readJsonLines } from './jsonLines.js'

const count = z.int().min(0)

/** One line of metrics.jsonl. Errors are fractions in [0, 1]; losses are means of the cross-entropy, in nats. */
export const epochMetricsSchema = z.strictObject({
  /** From 0. */
  epoch: count,
  /** Steps done in all when the epoch ended. */
  step: count,
  learningRate: z.number(),
  /** Over the epoch's batches, each before the step that it led to. */
  loss: z.number(),
  error: z.number(),
  /** Over the whole test set, after the epoch. */
  testLoss: z.number(),
  testError: z.number(),
  /** In half precision: steps of the run so far that were not taken, because their gradients overflowed. */
  skippedSteps: count.optional(),
})
export type EpochMetrics = z.infer<typeof epochMetricsSchema>

/** Where a run stands: everything that the next step depends on besides the state, the data and the configuration. */
export const progressSchema = z.strictObject({
  /** Steps done in all. */
  step: count,
  /** The epoch in progress, from 0, and how many of its batches are done. */
  epoch: count,
  epochStep: count,
  /** Sums over the images of these batches. */
  lossSum: z.number(),
  wrong: count,
  images: count,
  /** The epochs that are complete. */
  history: z.array(epochMetricsSchema),
})
export type Progress = Readonly<z.infer<typeof progressSchema>>

export const startOfRun: Progress = { step: 0, epoch: 0, epochStep: 0, lossSum: 0, wrong: 0, images: 0, history: [] }

/** One step further in the epoch. */
export const afterStep = (progress: Progress, loss: number, correct: number, images: number): Progress => ({
  ...progress,
  step: progress.step + 1,
  epochStep: progress.epochStep + 1,
  lossSum: progress.lossSum + loss * images,
  wrong: progress.wrong + images - correct,
  images: progress.images + images,
})

/** At the start of the next epoch. */
export const afterEpoch = (progress: Progress, metrics: EpochMetrics): Progress => ({
  ...startOfRun,
  step: progress.step,
  epoch: progress.epoch + 1,
  history: [...progress.history, metrics],
})

/** Means over the epoch so far; zero before its first batch. */
export const meansOf = ({ lossSum, wrong, images }: Progress): { loss: number; error: number } => ({
  loss: images === 0 ? 0 : lossSum / images,
  error: images === 0 ? 0 : wrong / images,
})

/** The text of metrics.jsonl. */
export const metricsText = (history: readonly EpochMetrics[]): string =>
  history.map((metrics) => `${JSON.stringify(metrics)}\n`).join('')

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

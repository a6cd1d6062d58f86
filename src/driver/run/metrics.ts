// What a run measures: sums over the epoch in progress, and one record an epoch.
import { z } from 'zod'
import type { MetricInfo } from '../../core/training/signature.js'

const count = z.int().min(0)
const values = z.record(z.string(), z.number())

/** Values of metrics by name. */
export type Scores = Readonly<Record<string, number>>

/** One line of metrics.jsonl. Losses are means over the examples. */
export const epochMetricsSchema = z.strictObject({
  /** From 0. */
  epoch: count,
  /** Steps done in all when the epoch ended. */
  step: count,
  /** At its beginning; of a model that moves its own rate, after it. */
  learningRate: z.number(),
  /** Over the epoch's batches, each before the step that it led to. */
  loss: z.number(),
  /** Of classifiers, a fraction in [0, 1]. */
  error: z.number().optional(),
  /** Those that are not called error. */
  metrics: values.optional(),
  /** Over the whole test set, after the epoch. */
  testLoss: z.number(),
  testError: z.number().optional(),
  testMetrics: values.optional(),
  /** In half precision: steps of the run so far that were not taken, because their gradients overflowed. */
  skippedSteps: count.optional(),
})
/** One epoch of a run, a line of metrics.jsonl. */
export type EpochMetrics = Readonly<z.infer<typeof epochMetricsSchema>>

/** The metric that has a place of its own, and the rest. */
export function apart({ error, ...metrics }: Scores): {
  readonly error?: number
  readonly metrics?: Scores
} {
  return {
    ...(error === undefined ? {} : { error }),
    ...(Object.keys(metrics).length === 0 ? {} : { metrics }),
  }
}

/** What outputs of a step, or of an evaluation, come to: sums over examples, by the name of the output. */
export type Sums = Scores

/** Metrics from sums; R² needs the variance of its target. */
export function scoresOf(
  metrics: readonly MetricInfo[],
  sums: Sums,
  examples: number,
  varianceOf: (target: string) => number | undefined = () => undefined,
): Scores {
  const entries = metrics.flatMap(({ name, output, kind, target }): [string, number][] => {
    const mean = examples === 0 ? 0 : (sums[output] ?? 0) / examples
    if (kind === 'mean') return [[name, mean]]
    if (kind === 'right') return [[name, examples === 0 ? 0 : (examples - (sums[output] ?? 0)) / examples]]
    const variance = varianceOf(target ?? '')
    return variance === undefined || variance === 0 ? [] : [[name, 1 - mean / variance]]
  })
  return Object.fromEntries(entries)
}

/** Adds one batch to the sums: a count as it is, a mean once for each of its examples. */
export function addBatch(
  sums: Sums,
  outputs: Readonly<Record<string, number>>,
  { loss, metrics }: { readonly loss: string; readonly metrics: readonly MetricInfo[] },
  examples: number,
): Sums {
  const counts = new Set(metrics.filter(({ kind }) => kind === 'right').map(({ output }) => output))
  const names = new Set([loss, ...metrics.map(({ output }) => output)])
  return Object.fromEntries(
    [...names].map((name) => {
      const value = outputs[name] ?? 0
      return [name, (sums[name] ?? 0) + (counts.has(name) ? value : value * examples)]
    }),
  )
}

/** Where a run stands: everything that the next step depends on besides the state, the data and the configuration. */
const standing = {
  /** Steps done in all. */
  step: count,
  /** The epoch in progress, from 0, and how many of its batches are done. */
  epoch: count,
  epochStep: count,
  /** The epochs that are complete. */
  history: z.array(epochMetricsSchema),
}
const progressNow = z.strictObject({
  ...standing,
  /** Examples of these batches, and what outputs of the steps come to over them. */
  examples: count,
  sums: values,
})
/** Of version one, which knew image classifiers alone. */
const progressBefore = z
  .strictObject({ ...standing, lossSum: z.number(), wrong: count, images: count })
  .transform(({ lossSum, wrong, images, ...rest }) => ({
    ...rest,
    examples: images,
    sums: images === 0 ? {} : { loss: lossSum, correct: images - wrong },
  }))
export const progressSchema = z.union([progressNow, progressBefore])
export type Progress = Readonly<z.infer<typeof progressNow>>

export const startOfRun: Progress = { step: 0, epoch: 0, epochStep: 0, history: [], examples: 0, sums: {} }

/** One step further in the epoch. */
export const afterStep = (progress: Progress, sums: Sums, examples: number): Progress => ({
  ...progress,
  step: progress.step + 1,
  epochStep: progress.epochStep + 1,
  examples: progress.examples + examples,
  sums,
})

/** At the start of the next epoch. */
export const afterEpoch = (progress: Progress, metrics: EpochMetrics): Progress => ({
  ...startOfRun,
  step: progress.step,
  epoch: progress.epoch + 1,
  history: [...progress.history, metrics],
})

/** The text of metrics.jsonl. */
export const metricsText = (history: readonly EpochMetrics[]): string =>
  history.map((metrics) => `${JSON.stringify(metrics)}\n`).join('')

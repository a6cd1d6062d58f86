// What the jobs of a plan came to: a row a model, with the paper's figures beside it.

import { join } from 'node:path'
import { type PaperResult, paperResultOf } from '../../../graphs/table1.js'
import { messageOf } from '../../core/errors.js'
import { type Spread, spreadOf } from '../../driver/seeds/statistics.js'
import type { JobOutcome } from './job.js'
import type { Job, Plan } from './plan.js'

export type JobResult =
  | ({ readonly job: Job } & JobOutcome)
  | { readonly job: Job; readonly end: 'failed'; readonly error: unknown }

export interface ModelResult {
  readonly name: string
  /** Of the jobs that came to their end. */
  readonly done: number
  readonly seeds: number
  /** Of their test errors, fractions; null where none has one. */
  readonly testError: Spread | null
  /** Table 1, in per cent; null for a network that is not in it. */
  readonly paper: PaperResult | null
  readonly folder: string
}

const isDone = (result: JobResult) => result.end === 'finished' || result.end === 'steps'

/** In the order of the plan. */
export const modelResults = (plan: Plan, results: readonly JobResult[], out: string): readonly ModelResult[] =>
  plan.models.map(({ name, architecture, seeds }) => {
    const done = results.filter((result) => result.job.name === name && isDone(result))
    const errors = done.flatMap((result) =>
      result.end !== 'failed' && result.testError !== null ? [result.testError] : [],
    )
    return {
      ...{ name, done: done.length, seeds: seeds.length, testError: spreadOf(errors) },
      paper: paperResultOf(architecture) ?? null,
      folder: join(out, name),
    }
  })

/** The results as JSON can say them. */
export const plainResults = (plan: Plan, results: readonly JobResult[], out: string) => ({
  models: modelResults(plan, results, out),
  jobs: results.map(({ job, ...result }) => ({
    job: job.id,
    ...result,
    ...(result.end === 'failed' ? { error: messageOf(result.error) } : {}),
  })),
})

// The folder of several runs: `seed-<n>`, an ordinary run folder, for each; which seeds there are; what they came to.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { describeIssues, messageOf, UserError } from '../../core/errors.js'
import { readPlainFile, writeAtomically } from '../run/files.js'
import { hasRun, type RunInfo, readRunInfo } from '../run/runFolder.js'
import type { RunStanding } from './seedRun.js'
import type { Spread } from './statistics.js'

/** Names of the files beside the runs' folders, besides the lock. */
export const seedsFiles = {
  /** Which seeds were asked for, those that have not begun included. */
  seeds: 'seeds.json',
  /** What the runs came to, without times: the same runs give the same bytes. */
  summary: 'summary.json',
} as const

/** The run folder of a seed. */
export const seedFolder = (out: string, seed: number): string => join(out, `seed-${seed}`)

/** Whether there is a run to go on with. */
export const hasBegun = (out: string, seed: number): boolean => hasRun(seedFolder(out, seed))

const seedsSchema = z.strictObject({
  format: z.literal('rdm-onnx seeds 1'),
  seeds: z.array(z.int().min(0)).min(1),
})

const damaged = (path: string, reason: string) =>
  new UserError(`${path} is damaged: ${reason}; delete it and name the seeds with --seeds`)

/**
 * The seeds of a folder of several runs, rising; undefined where the folder is none.
 * @throws UserError when seeds.json is damaged
 */
export async function readSeeds(out: string): Promise<readonly number[] | undefined> {
  const path = join(out, seedsFiles.seeds)
  if (!existsSync(path)) return undefined
  let json: unknown
  try {
    json = JSON.parse((await readPlainFile(path)).toString())
  } catch (error) {
    throw damaged(path, messageOf(error))
  }
  const result = seedsSchema.safeParse(json)
  if (result.success) return result.data.seeds
  throw damaged(path, describeIssues(result.error))
}

/** Notes the seeds, for a process that goes on with them. */
export async function keepSeeds(out: string, seeds: readonly number[]): Promise<void> {
  const file: z.infer<typeof seedsSchema> = { format: 'rdm-onnx seeds 1', seeds: [...seeds] }
  await writeAtomically(join(out, seedsFiles.seeds), `${JSON.stringify(file)}\n`)
}

/** These seeds and those that the folder has, rising. */
export async function withKnownSeeds(out: string, seeds: readonly number[]): Promise<readonly number[]> {
  return [...new Set([...seeds, ...((await readSeeds(out)) ?? [])])].sort((a, b) => a - b)
}

export interface BegunRun {
  readonly folder: string
  readonly info: RunInfo
}

/**
 * The first run of the folder that has begun and can be read: runs that join it take their model and settings from it.
 * @throws UserError when there is none
 */
export async function firstBegunRun(out: string, seeds: readonly number[]): Promise<BegunRun> {
  let failure: unknown
  for (const seed of await withKnownSeeds(out, seeds)) {
    if (!hasBegun(out, seed)) continue
    const folder = seedFolder(out, seed)
    try {
      return { folder, info: await readRunInfo(folder) }
    } catch (error) {
      failure ??= error
    }
  }
  throw failure ?? new UserError(`${out} holds no runs to resume: leave out --resume to start them`)
}

/** How the run of a seed ended. */
export type SeedOutcome =
  | ({ readonly seed: number } & RunStanding)
  | { readonly seed: number; readonly end: 'failed'; readonly error: unknown }

/** How all runs ended; summary.json holds it. */
export interface SeedsSummary {
  /** In the order of the seeds. */
  readonly runs: readonly SeedOutcome[]
  /** Of the test errors of the runs that came to their end; null where none did. */
  readonly testError: Spread | null
}

/** Replaces summary.json. */
export async function writeSummary(out: string, summary: SeedsSummary): Promise<void> {
  const text = JSON.stringify({ format: 'rdm-onnx seeds summary 1', ...plainSummary(summary) }, null, 2)
  await writeAtomically(join(out, seedsFiles.summary), `${text}\n`)
}

/** The summary as JSON can say it. */
export const plainSummary = ({ runs, testError }: SeedsSummary) => ({
  runs: runs.map((run) => (run.end === 'failed' ? { ...run, error: messageOf(run.error) } : run)),
  testError,
})

// The folder of an experiment: plan.json, and a run folder NAME/seed-N for each job.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { kebab } from '../../../graphs/describe.js'
import { messageOf, UserError } from '../../core/errors.js'
import { readPlainFile, writeAtomically } from '../../driver/run/files.js'
import { hasRun, runFiles } from '../../driver/run/runFolder.js'
import { seedFolder, seedsFiles } from '../../driver/seeds/seedsFolder.js'
import { type Job, type Plan, type PlanModel, planModelSchema, planOf } from './plan.js'

/** The run folder of a job. */
export const jobFolder = (out: string, { name, seed }: Job): string => seedFolder(join(out, name), seed)

/** Name of the file that says what is trained in the folder. */
export const planFile = 'plan.json'

const experimentSchema = z.strictObject({
  format: z.literal('rdm-onnx experiment 1'),
  name: z.string(),
  /** Of the plan. */
  fingerprint: z.string(),
  data: z.strictObject({ path: z.string().nullable(), sha256: z.string() }),
  models: z.array(planModelSchema).min(1),
})

/** A plan and the data that it is trained on. */
export interface Experiment {
  readonly plan: Plan
  readonly data: { readonly path: string | null; readonly sha256: string }
}

/** The content of plan.json. */
export function formatExperiment({ plan: { name, fingerprint, models }, data }: Experiment): string {
  const file: z.input<typeof experimentSchema> = {
    ...{ format: 'rdm-onnx experiment 1', name, fingerprint, data: { ...data } },
    models: [...models],
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** @throws UserError when it is damaged */
export function parseExperiment(text: string, path: string): Experiment {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new UserError(`${path} is damaged: ${messageOf(error)}; delete it to go on with the plan that made it`)
  }
  const result = experimentSchema.safeParse(json)
  if (!result.success) {
    const reasons = result.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    throw new UserError(`${path} is damaged: ${reasons.join('; ')}; delete it to go on with the plan that made it`)
  }
  const { name, models, data } = result.data
  return { plan: planOf(name, models), data }
}

/**
 * The experiment of a folder; undefined where there is none.
 * @throws UserError when plan.json is damaged
 */
export async function readExperiment(out: string): Promise<Experiment | undefined> {
  const path = join(out, planFile)
  return existsSync(path) ? parseExperiment((await readPlainFile(path)).toString(), path) : undefined
}

/** @throws UserError when there is none */
export async function requireExperiment(out: string): Promise<Experiment> {
  const experiment = await readExperiment(out)
  if (experiment) return experiment
  throw new UserError(`${out} holds no experiment (no ${planFile}): give the folder that rdm-repro writes to`)
}

/**
 * Makes the folder this experiment's, or finds that it is. To be called by who has locked it.
 * @throws UserError where it is another's: what was trained in it would no longer be what its plan says
 */
export async function claimFolder(out: string, experiment: Experiment): Promise<void> {
  for (const name of [runFiles.config, seedsFiles.seeds])
    if (existsSync(join(out, name)))
      throw new UserError(`${out} holds runs of rdm-fit (${name}): choose another folder with --out`)
  const earlier = await readExperiment(out)
  if (earlier) checkGoesOn(earlier, experiment, out, (job) => hasRun(jobFolder(out, job)))
  await writeAtomically(join(out, planFile), formatExperiment(experiment))
}

/**
 * What has begun stays in the plan and is trained on as it began, on the same data. Models and seeds may join, epochs and
 * steps grow: the runs are then what they would have been with them from the beginning.
 * @param begun whether a job of the earlier plan has begun
 * @throws UserError in one line that says what is different
 */
export function checkGoesOn(
  earlier: Experiment,
  { plan, data }: Experiment,
  out: string,
  begun: (job: Job) => boolean,
): void {
  const refuse = (reason: string): never => {
    throw new UserError(`${out} holds another experiment: ${reason}; choose another folder with --out`)
  }
  const jobs = earlier.plan.jobs.filter(begun)
  if (jobs.length > 0 && earlier.data.sha256 !== data.sha256)
    refuse(`its runs see other data${earlier.data.path === null ? '' : ` (${earlier.data.path})`}`)
  const known = new Set(plan.jobs.map(({ id }) => id))
  for (const { id, name } of jobs) {
    if (!known.has(id)) refuse(`${id} of its plan '${earlier.plan.name}' has begun and is not in '${plan.name}'`)
    const [was, is] = [earlier.plan, plan].map(({ models }) => models.find((model) => model.name === name)!)
    const change = changeOf(was!, is!)
    if (change) refuse(`${name} has begun with ${change}`)
  }
}

/** What is trained otherwise than before, in words; undefined where nothing is. */
function changeOf(was: PlanModel, is: PlanModel): string | undefined {
  const text = (value: unknown) => JSON.stringify(value)
  for (const key of ['architecture', 'recipe', 'init'] as const)
    if (text(was[key]) !== text(is[key])) return `another ${key === 'init' ? 'initialization' : key}`
  for (const key of ['batchSize', 'learningRate', 'augment', 'precision'] as const) {
    const [before, now] = [was.config[key], is.config[key]]
    if (text(before) !== text(now)) return `${kebab(key)} ${text(before)}, not ${text(now)}`
  }
  for (const key of ['epochs', 'steps'] as const) {
    const [before, now] = [was.config[key] ?? Infinity, is.config[key] ?? Infinity]
    if (now < before) return `${before === Infinity ? `all ${key}` : `${before} ${key}`}, and ${now} are fewer`
  }
  return undefined
}

// The folder of a run: what its files are called, how a run is started in it and how it is taken up again.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { z } from 'zod'
import { describeIssues, messageOf, UserError } from '../../core/errors.js'
import { recipeSchema } from '../../core/model/recipe.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Dataset } from '../data/dataset.js'
import { describeData } from '../data/fingerprint.js'
import { type FitConfig, type FitOverrides, fitConfigSchema, newConfig, resumedConfig } from '../fit/config.js'
import { makeFolder } from '../folders.js'
import { type StepPlan, stepPlanSchema } from '../targets/index.js'
import { type Checkpoint, checkpointFiles, loadCheckpoint } from './checkpoint.js'
import { readPlainFile, writeAtomically } from './files.js'
import { beginning, checkBelongs } from './standing.js'

/** Names of the files of a run folder, besides the checkpoints and the lock. */
export const runFiles = {
  config: 'config.json',
  /** The model as it was before the first step. */
  initial: 'initial.onnx',
  /** The model with the weights after the last complete epoch, or after the last step of a run that ended within one. */
  model: 'model.onnx',
  /** One line an epoch, without times: the same run gives the same bytes. */
  metrics: 'metrics.jsonl',
  /** One line an epoch with what it took. */
  timing: 'timing.jsonl',
  curves: 'curves.svg',
} as const

const runInfoSchema = z.strictObject({
  format: z.literal('rdm-onnx run 1'),
  /** Fingerprint of the model. */
  model: z.string(),
  data: z.strictObject({
    /** Where the data were read from, or null when they did not come from a folder. */
    path: z.string().nullable(),
    /** The part that was held out as the test set, where the data have none. */
    heldOut: z.number().gt(0).lt(1).optional(),
    sha256: z.string(),
  }),
  config: fitConfigSchema,
  recipe: recipeSchema,
  /** How the step is written on the machine that runs it; absent before the first step. */
  plan: stepPlanSchema.optional(),
})
/** What config.json says. */
export type RunInfo = Readonly<z.infer<typeof runInfoSchema>>

export interface OpenRunOptions {
  readonly folder: string
  readonly model: TrainableModel
  readonly data: Dataset
  readonly dataPath?: string | undefined
  readonly config: FitOverrides
  readonly resume: boolean
}

/** A run at the point from which it goes on. */
export interface OpenRun {
  readonly checkpoint: Checkpoint
  /** Said once, when something is worth telling but no reason to stop. */
  readonly notice: string | undefined
  /** How an earlier process wrote the step: written so again, it gives the same bits. */
  readonly plan?: StepPlan | undefined
}

/** SHA-256 of all columns: a run that goes on must see the data that it began with. */
export function dataFingerprint(data: Dataset): string {
  const hash = createHash('sha256')
  describeData(data, (part) => hash.update(part), basename)
  return hash.digest('hex')
}

const heldOutOf = ({ heldOut }: Dataset) => (heldOut === undefined ? {} : { heldOut })

/** Whether there is a run in the folder to go on with. */
export const hasRun = (folder: string): boolean => existsSync(join(folder, runFiles.config))

/** Whether a folder holds a checkpoint that was brought there, of a run that began elsewhere. */
export const hasBroughtRun = (folder: string): boolean =>
  !hasRun(folder) && checkpointFiles.some((name) => existsSync(join(folder, name)))

/**
 * Reads config.json of a run folder.
 * @throws UserError when there is none, or one that is damaged.
 */
export async function readRunInfo(folder: string): Promise<RunInfo> {
  const path = join(folder, runFiles.config)
  if (!existsSync(path)) {
    throw new UserError(`${folder} holds no run to resume (no ${runFiles.config}): leave out --resume to start one`)
  }
  let json: unknown
  try {
    json = JSON.parse((await readPlainFile(path)).toString())
  } catch (error) {
    throw new UserError(`${path} is damaged: ${messageOf(error)}`)
  }
  const result = runInfoSchema.safeParse(json)
  if (result.success) return result.data
  throw new UserError(`${path} is damaged: ${describeIssues(result.error)}`)
}

/** Starts a run in the folder, which is this process's own by now, or takes up the one that is there. */
export async function openRun(options: OpenRunOptions): Promise<OpenRun> {
  return options.resume ? resumeRun(options) : startRun(options)
}

async function startRun({ folder, model, data, dataPath, config: overrides }: OpenRunOptions): Promise<OpenRun> {
  const has = (name: string) => existsSync(join(folder, name))
  if (checkpointFiles.some(has)) {
    throw new UserError(
      `${folder} holds a run already: add --resume to go on with it, or choose another folder for a new one`,
    )
  }
  const initial = join(folder, runFiles.initial)
  const first = Buffer.from(model.withState(model.state))
  // What a process that was killed before it wrote the configuration leaves.
  const own = has(runFiles.initial) && first.equals(await readPlainFile(initial))
  // A run that ended before its first checkpoint has nothing to lose; files that no run of ours put there have.
  const foreign = Object.values(runFiles).find((name) => has(name) && !(own && name === runFiles.initial))
  if (foreign !== undefined && !has(runFiles.config)) {
    throw new UserError(`${folder} holds a ${foreign} that belongs to no run: choose another folder, or move it away`)
  }
  const config = newConfig(model.recipe, overrides)
  const sha256 = dataFingerprint(data)
  await rm(join(folder, runFiles.timing), { force: true })
  await writeAtomically(initial, first)
  await writeInfo(folder, {
    format: 'rdm-onnx run 1',
    model: model.fingerprint,
    data: { path: dataPath === undefined ? null : resolve(dataPath), ...heldOutOf(data), sha256 },
    config,
    recipe: model.recipe,
  })
  return { checkpoint: beginning(model, config, sha256), notice: undefined }
}

/** What config.json of a run says that began elsewhere, such as in a page: all of it is in the checkpoint. */
async function infoInCheckpoint(folder: string): Promise<RunInfo> {
  const { checkpoint } = (await loadCheckpoint(folder))!
  const { model, data: sha256, config, recipe } = checkpoint
  return { format: 'rdm-onnx run 1', model, data: { path: null, sha256 }, config, recipe }
}

async function resumeRun({ folder, model, data, dataPath, config: overrides }: OpenRunOptions): Promise<OpenRun> {
  const brought = hasBroughtRun(folder)
  const info = brought ? await infoInCheckpoint(folder) : await readRunInfo(folder)
  if (info.model !== model.fingerprint) {
    throw new UserError(
      brought
        ? `the checkpoint in ${folder} belongs to another model: give the one that it was trained with`
        : `the run in ${folder} belongs to another model: it began with ${join(folder, runFiles.initial)}; ` +
            'leave out the model to go on with that, or choose another folder for this one',
    )
  }
  const sha256 = dataFingerprint(data)
  if (info.data.sha256 !== sha256) {
    throw new UserError(
      `the run in ${folder} began with other data${info.data.path === null ? '' : ` (${info.data.path})`}: ` +
        'give the same data to go on with it, or choose another folder for a new run',
    )
  }
  const config = resumedConfig(info.config, overrides, folder)
  const path = dataPath === undefined ? info.data.path : resolve(dataPath)
  // Its first weights stayed where it began; a later process needs the model, and takes the weights from the checkpoint.
  if (brought) await writeAtomically(join(folder, runFiles.initial), model.withState(model.state))
  await writeInfo(folder, { ...info, config, data: { path, ...heldOutOf(data), sha256 } })
  const loaded = await loadCheckpoint(folder)
  const plan = planFor(info, config)
  if (!loaded) return { checkpoint: beginning(model, config, sha256), notice: undefined, plan }
  const { checkpoint, damaged } = loaded
  checkBelongs(checkpoint, { model: info.model, data: info.data.sha256 }, folder, runFiles.config)
  resumedConfig(checkpoint.config, info.config, basename(folder))
  return {
    checkpoint: { ...checkpoint, config },
    notice: damaged && `${damaged}; going on from the checkpoint before it`,
    plan,
  }
}

const writeInfo = (folder: string, info: RunInfo) =>
  writeAtomically(join(folder, runFiles.config), `${JSON.stringify(info, null, 2)}\n`)

/** How an earlier process wrote the step, if for the runtime that the run goes on with. */
export const planFor = (info: RunInfo, { runtime }: FitConfig): StepPlan | undefined =>
  info.config.runtime === runtime ? info.plan : undefined

/** Notes how the step is written, for the process that goes on with the run. */
export async function keepPlan(folder: string, plan: StepPlan): Promise<void> {
  await writeInfo(folder, { ...(await readRunInfo(folder)), plan })
}

/**
 * Makes sure that the folder is there: creates it for a new run.
 * @throws UserError when it cannot be.
 */
export async function ensureFolder(folder: string, resume: boolean): Promise<void> {
  if (resume) {
    if (!hasBroughtRun(folder)) await readRunInfo(folder)
    return
  }
  try {
    await makeFolder(folder)
  } catch (error) {
    throw new UserError(`cannot create the run folder ${folder}: ${messageOf(error)}`)
  }
}

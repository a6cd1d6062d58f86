// The folder of a run: what its files are called, how a run is started in it and how it is taken up again.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { z } from 'zod'
import { describeIssues, messageOf, UserError } from '../../core/errors.js'
import { bytesOf, type Tensors } from '../../core/graph/tensor.js'
import { recipeSchema } from '../../core/model/recipe.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Column, Dataset, Split } from '../data/dataset.js'
import { type FitConfig, type FitOverrides, fitConfigSchema, newConfig, resumedConfig } from '../fit/config.js'
import { makeFolder } from '../folders.js'
import { type StepPlan, stepPlanSchema } from '../targets/index.js'
import { type Checkpoint, checkpointFiles, loadCheckpoint } from './checkpoint.js'
import { writeAtomically } from './files.js'
import { startOfRun } from './metrics.js'

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

/** What tells a column: its numbers, or the names of its files in their order. */
const contentOf = (column: Column): Uint8Array | string =>
  column.kind === 'tensor' ? bytesOf(column.data) : JSON.stringify(column.files.map((file) => basename(file)))

/** What is said of a split before its numbers: of images and labels as version one said it. */
function headOf({ count, columns }: Split): string {
  const { images, labels, ...others } = columns
  if (images && labels?.classes && Object.keys(others).length === 0)
    return JSON.stringify([count, ...images.shape, labels.classes])
  return JSON.stringify([
    count,
    ...Object.entries(columns).map(([name, { dtype, shape, classes }]) => [name, dtype, shape, classes ?? null]),
  ])
}

/** SHA-256 of all columns: a run that goes on must see the data that it began with. */
export function dataFingerprint({ train, test }: Dataset): string {
  const hash = createHash('sha256')
  for (const split of [train, test]) {
    hash.update(headOf(split))
    for (const column of Object.values(split.columns)) hash.update(contentOf(column))
  }
  return hash.digest('hex')
}

const heldOutOf = ({ heldOut }: Dataset) => (heldOut === undefined ? {} : { heldOut })

/** Whether there is a run in the folder to go on with. */
export const hasRun = (folder: string): boolean => existsSync(join(folder, runFiles.config))

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
    json = JSON.parse(await readFile(path, 'utf8'))
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
  const own = has(runFiles.initial) && first.equals(await readFile(initial))
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

async function resumeRun({ folder, model, data, dataPath, config: overrides }: OpenRunOptions): Promise<OpenRun> {
  const info = await readRunInfo(folder)
  if (info.model !== model.fingerprint) {
    throw new UserError(
      `the run in ${folder} belongs to another model: it began with ${join(folder, runFiles.initial)}; ` +
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
  await writeInfo(folder, { ...info, config, data: { path, ...heldOutOf(data), sha256 } })
  const loaded = await loadCheckpoint(folder)
  const plan = planFor(info, config)
  if (!loaded) return { checkpoint: beginning(model, config, sha256), notice: undefined, plan }
  const { checkpoint, damaged } = loaded
  checkBelongs(checkpoint, info, folder)
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

/** Nothing trained yet: its state is that of the model, and what the step adds to it. */
const beginning = (model: TrainableModel, config: FitConfig, data: string): Checkpoint => ({
  state: {},
  progress: startOfRun,
  config,
  recipe: model.recipe,
  model: model.fingerprint,
  data,
})

/** Somebody may have copied a checkpoint from another run into this one. */
function checkBelongs(checkpoint: Checkpoint, info: RunInfo, folder: string): void {
  if (checkpoint.model !== info.model || checkpoint.data !== info.data.sha256) {
    throw new UserError(`the checkpoint in ${folder} belongs to another run than its ${runFiles.config}`)
  }
  resumedConfig(checkpoint.config, info.config, basename(folder))
}

/** @throws UserError for a checkpoint whose state is not what the step takes */
export function checkFits(state: Tensors, expected: Tensors, folder: string): void {
  const signature = (tensors: Tensors, name: string) => {
    const tensor = tensors[name]
    return tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'nothing'
  }
  for (const name of new Set([...Object.keys(expected), ...Object.keys(state)])) {
    const [is, should] = [signature(state, name), signature(expected, name)]
    if (is !== should) {
      throw new UserError(
        `the checkpoint in ${folder} does not fit the model: it has ${is} for "${name}", not ${should}`,
      )
    }
  }
}

/**
 * Makes sure that the folder is there: creates it for a new run.
 * @throws UserError when it cannot be.
 */
export async function ensureFolder(folder: string, resume: boolean): Promise<void> {
  if (resume) {
    await readRunInfo(folder)
    return
  }
  try {
    await makeFolder(folder)
  } catch (error) {
    throw new UserError(`cannot create the run folder ${folder}: ${messageOf(error)}`)
  }
}

// What a report is made of: the runs in folders of rdm-repro and rdm-fit, as they stand. Their files are not trusted.

import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { type Architecture, architectureSchema } from '../../../graphs/residual.js'
import { messageOf, naming, UserError } from '../../core/errors.js'
import { keys, readProperty } from '../../core/model/metadata.js'
import type { Recipe } from '../../core/model/recipe.js'
import { decodeModel } from '../../core/onnx/tensors.js'
import type { FitConfig } from '../../driver/fit/config.js'
import { readProgress } from '../../driver/run/checkpoint.js'
import { readPlainFile } from '../../driver/run/files.js'
import type { EpochMetrics } from '../../driver/run/metrics.js'
import { readMetrics } from '../../driver/run/readMetrics.js'
import { hasRun, type RunInfo, readRunInfo, runFiles } from '../../driver/run/runFolder.js'
import { type RunState, runStateOf } from '../../driver/run/runState.js'
import { readTiming, type TimingOnRecord } from '../../driver/run/timing.js'
import { readSeeds, seedFolder, seedsFiles } from '../../driver/seeds/seedsFolder.js'
import type { TargetName } from '../../driver/targets/index.js'
import { jobFolder, planFile, readExperiment } from '../repro/folder.js'
import { jobOf, type PlanConfig, type PlanModel } from '../repro/plan.js'

/** One run as its folder has it. */
export interface RunRecord {
  readonly seed: number
  readonly state: RunState | 'damaged'
  /** Steps done in all. */
  readonly step: number
  /** The complete epochs. */
  readonly history: readonly EpochMetrics[]
  readonly timing: TimingOnRecord
  /** How its step is written, as soon as that is decided. */
  readonly target?: TargetName | undefined
  /** What is wrong with its files. */
  readonly damage?: string
}

/** A model and its runs. */
export interface ModelRecord {
  readonly name: string
  /** Undefined where its file does not say. */
  readonly architecture?: Architecture | undefined
  readonly recipe: Recipe
  readonly config: PlanConfig
  /** How first weights are drawn, where a plan says it. */
  readonly init?: PlanModel['init'] | undefined
  readonly data: RunInfo['data']
  /** By seed. */
  readonly runs: readonly RunRecord[]
}

export interface Records {
  readonly title: string
  readonly models: readonly ModelRecord[]
}

/**
 * Reads folders of experiments, of several runs and of single runs. A run whose files are damaged is part of what is
 * there as long as it is one of several.
 * @throws UserError for a folder that holds none of them, whose one run is damaged, or whose networks are no classifiers
 */
export async function readFolders(folders: readonly string[]): Promise<Records> {
  const twice = folders.find((folder, i) => folders.slice(0, i).some((other) => resolve(other) === resolve(folder)))
  if (twice !== undefined) throw new UserError(`${twice} is given twice: give each folder once`)
  const records: Records[] = []
  for (const folder of folders) {
    const found = await readFolder(folder)
    for (const { runs } of found.models) if (!runs.every(hasErrors)) throw new UserError(noErrors(folder))
    records.push(found)
  }
  const models = records.flatMap(({ models }, i) => models.map((model) => ({ model, folder: folders[i]! })))
  const count = (name: string) => models.filter(({ model }) => model.name === name).length
  return {
    title: records.map(({ title }) => title).join(', '),
    models: models.map(({ model, folder }) =>
      count(model.name) === 1 ? model : { ...model, name: `${model.name} (${folder})` },
    ),
  }
}

/** Whether the epochs of a run have the error of a classifier. Other networks are measured otherwise. */
const hasErrors = ({ history }: RunRecord): boolean =>
  history.every(({ error, testError }) => error !== undefined && testError !== undefined)

const noErrors = (folder: string): string =>
  `${folder} holds runs of a network that is no classifier: a report is of test errors; ` +
  `what such a run came to is in its ${runFiles.metrics} and ${runFiles.curves}`

async function readFolder(folder: string): Promise<Records> {
  const experiment = await readExperiment(folder)
  if (experiment) {
    const { plan, data } = experiment
    const models = plan.models.map(
      async ({ name, architecture, recipe, config, init, seeds }): Promise<ModelRecord> => {
        const runs = seeds.map((seed) => readRun(jobFolder(folder, jobOf(name, seed)), seed, config))
        return { name, architecture, recipe, config, init, data, runs: await Promise.all(runs) }
      },
    )
    return { title: plan.name, models: await Promise.all(models) }
  }
  const name = basename(resolve(folder))
  const seeds = await readSeeds(folder)
  if (seeds) return { title: name, models: [await readSeedRuns(folder, name, seeds)] }
  if (hasRun(folder)) return { title: name, models: [await readSingleRun(folder, name)] }
  throw new UserError(
    existsSync(folder)
      ? `${folder} holds nothing to report on: expected what rdm-repro or rdm-fit wrote, with a ${planFile}, ` +
          `${seedsFiles.seeds} or ${runFiles.config} in it`
      : `there is no folder ${folder}`,
  )
}

async function readSeedRuns(folder: string, name: string, seeds: readonly number[]): Promise<ModelRecord> {
  const folders = seeds.map((seed) => seedFolder(folder, seed))
  const begun = folders.filter(hasRun)
  const infos = await Promise.all(begun.map((run) => readRunInfo(run).catch(() => undefined)))
  const first = infos.findIndex((info) => info !== undefined)
  if (first === -1)
    throw new UserError(`${folder} holds no run that has begun and can be read: nothing to report on yet`)
  const { recipe, config, data } = infos[first]!
  const runs = seeds.map((seed) => readRun(seedFolder(folder, seed), seed, config))
  const architecture = await readArchitecture(begun[first]!)
  return { name, architecture, recipe, config, data, runs: await Promise.all(runs) }
}

async function readSingleRun(folder: string, name: string): Promise<ModelRecord> {
  const { recipe, config, data } = await readRunInfo(folder)
  const run = await readRun(folder, config.seed, config)
  if (run.damage !== undefined) throw new UserError(run.damage)
  return { name, architecture: await readArchitecture(folder), recipe, config, data, runs: [run] }
}

async function readRun(folder: string, seed: number, config: Pick<FitConfig, 'epochs' | 'steps'>): Promise<RunRecord> {
  const nothing = { seed, step: 0, history: [], timing: { epochs: [], unreadable: 0 } }
  try {
    if (!hasRun(folder)) return { ...nothing, state: runStateOf(folder, { epoch: 0, step: 0 }, config) }
    const { plan } = await readRunInfo(folder)
    const { step, history } = await readEpochs(folder)
    const state = runStateOf(folder, { epoch: history.length, step }, config)
    return { seed, state, step, history, timing: await readTiming(folder), target: plan?.target }
  } catch (error) {
    const bad = error instanceof UserError || (error instanceof Error && 'syscall' in error)
    if (!bad) throw error
    return { ...nothing, state: 'damaged', damage: messageOf(error) }
  }
}

/** By the newest checkpoint, or by metrics.jsonl where the checkpoints were cleared away. */
async function readEpochs(folder: string): Promise<{ step: number; history: readonly EpochMetrics[] }> {
  const progress = await readProgress(folder)
  const history = progress?.history ?? (await readMetrics(join(folder, runFiles.metrics)))
  history.forEach((metrics, i) => {
    if (!isPossible(metrics, i, history[i - 1]?.step ?? 0))
      throw new UserError(`${folder} is damaged: what it has of epoch ${i + 1} is not possible`)
  })
  return { step: progress?.step ?? history.at(-1)?.step ?? 0, history }
}

/** Losses are of float32; what a file has besides is not bounded by its schema. */
function isPossible(metrics: EpochMetrics, index: number, earlierStep: number): boolean {
  const { epoch, step, error, testError, loss, testLoss } = metrics
  const fractions = [error, testError].every((value) => value === undefined || (value >= 0 && value <= 1))
  const losses = [loss, testLoss].every((value) => Math.abs(value) < 1e39)
  return epoch === index && step > earlierStep && fractions && losses
}

/**
 * What the run's model file says of its network; undefined where there is no file or it says nothing.
 * @throws UserError when the file is damaged
 */
async function readArchitecture(folder: string): Promise<Architecture | undefined> {
  const path = join(folder, runFiles.initial)
  if (!existsSync(path)) return undefined
  const bytes = await readPlainFile(path)
  return naming(path, () =>
    readProperty(decodeModel(bytes).metadataProps, keys.architecture, (value) => architectureSchema.parse(value)),
  )
}

// One job of a plan: a model trained with a seed, in a run folder of its own. Whoever runs it, wherever, by the same way.

import { residualNetwork } from '../../../graphs/residual.js'
import { readTrainableModel } from '../../core/model/read.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { exportModel } from '../../core/model/write.js'
import type { Dataset } from '../../driver/data/dataset.js'
import { checkData } from '../../driver/fit/checks.js'
import type { FitOverrides } from '../../driver/fit/config.js'
import { hasRun } from '../../driver/run/runFolder.js'
import { type RunStanding, type SeedRun, trainSeed } from '../../driver/seeds/seedRun.js'
import type { PlanModel } from './plan.js'

/** Settings that say how fast and where a job runs, and nothing of what it comes to. */
export type MachineSettings = Pick<
  FitOverrides,
  'threads' | 'runtime' | 'provider' | 'device' | 'target' | 'stepsPerRun' | 'checkpointSeconds'
>

/** What a job needs: the model that `buildModel` gives, and `jobConfig` of it as the configuration. */
export type JobOptions = SeedRun
export type JobOutcome = RunStanding

/** The model's file, read back: the same plan gives the same one everywhere. Its weights are replaced by each seed's own. */
export function buildModel({ architecture, init, recipe }: PlanModel): TrainableModel {
  const network = residualNetwork(architecture, init)
  return readTrainableModel(exportModel(network, { recipe, seed: 1, architecture }))
}

/** @throws UserError when the model does not fit the data */
export function buildFor(model: PlanModel, data: Dataset): TrainableModel {
  const built = buildModel(model)
  checkData(built, data)
  return built
}

/** The plan's settings of a model and the machine's. */
export const jobConfig = ({ config }: PlanModel, machine: MachineSettings): FitOverrides => ({ ...machine, ...config })

/**
 * Runs a job: starts the run in the folder, or goes on with the one that is there, or finds it done.
 * @throws UserError where it cannot: a model that does not fit the data, a folder that another process is using or that
 *   holds another run, a loss that is not finite, a full disk. The last good checkpoint is then still there.
 */
export async function runJob(options: JobOptions): Promise<JobOutcome> {
  checkData(options.model, options.data)
  return trainSeed(options, hasRun(options.folder))
}

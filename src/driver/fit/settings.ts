// The configuration of a training run: the model's recipe, what the user overrides, and the driver's own settings.
import { z } from 'zod'
import { describeIssues, UserError } from '../../core/errors.js'
import { type Recipe, recipeSchema, testAugments } from '../../core/model/recipe.js'
import { needsLength, scheduleSchema } from '../../core/training/schedule.js'
import { providers, runtimes } from '../runtime/protocol.js'
import { targetNames } from '../targets/names.js'
import { precisions } from '../targets/target.js'

const { epochs, batchSize, learningRate, augment } = recipeSchema.shape

/** Checks all settings of a run; a zod schema. config.json holds them. */
export const fitConfigSchema = z.strictObject({
  epochs,
  batchSize,
  learningRate,
  /** Of the step's other hyperparameters, by their names. */
  schedules: z.record(z.string(), scheduleSchema).default({}),
  augment,
  testAugment: z.enum(testAugments).default('none'),
  /** Leaves out the smaller batch at the end of an epoch. */
  dropLast: z.boolean().default(false),
  /** Batches whose gradients make one update. */
  accumulate: z.int().min(1).max(1_000_000).default(1),
  /** Input of the step → column of the data set, where they are not called alike. */
  inputs: z.record(z.string(), z.string()).default({}),
  /** Decides the order of the examples, their augmentation, the gates and what is dropped. */
  seed: z.int().min(0),
  /** Ends the run after so many steps in all, where the epochs do not end it sooner; null: the epochs alone do. */
  steps: z.int().min(1).nullable(),
  threads: z.int().min(1).max(1024),
  /** What runs the step. Runs from before there was a choice are of onnxruntime-node. */
  runtime: z.enum(runtimes).default('node'),
  provider: z.enum(providers),
  /** The GPU, counted from 0, of the cuda provider. */
  device: z.int().min(0).default(0),
  /** How the step is written for the runtime. Runs from before there was a choice are portable. */
  target: z.enum(targetNames).default('portable'),
  /** Of convolutions and matrix products. */
  precision: z.enum(precisions).default('fp32'),
  /** Steps that a target takes in one run, where it takes many; null: what suits the provider. */
  stepsPerRun: z.int().min(1).max(1_000_000).nullable().default(null),
  /** Seconds from one checkpoint within an epoch to the next. */
  checkpointSeconds: z.number().min(0),
})

/** All settings of a run, as {@link fitConfigSchema} checks them. */
export type FitConfig = Readonly<z.infer<typeof fitConfigSchema>>

/** What a user may set; whatever is left out comes from the model's recipe or the defaults. */
export type FitOverrides = { readonly [K in keyof FitConfig]?: FitConfig[K] | undefined }

const defaults = {
  // Any fixed number makes runs repeatable; for several runs of a model, give each its own.
  seed: 1,
  steps: null,
  accumulate: 1,
  inputs: {},
  runtime: 'node',
  // The only provider that is there after a plain install.
  provider: 'cpu',
  device: 0,
  // The fastest step that is right on this machine.
  target: 'auto',
  // Half precision gives other numbers, if not worse ones.
  precision: 'fp32',
  stepsPerRun: null,
  // What a crash may cost at most. Writing some 20 MB once a minute is less than a thousandth of the time.
  checkpointSeconds: 60,
} as const

/** How the command line calls a setting, for messages. */
const optionOf: Record<keyof FitConfig, string> = {
  epochs: '--epochs',
  batchSize: '--batch',
  learningRate: '--lr',
  schedules: '--set',
  augment: '--no-augment',
  testAugment: '--test-augment',
  dropLast: '--drop-last',
  accumulate: '--accumulate',
  inputs: '--input',
  seed: '--seed',
  steps: '--steps',
  threads: '--threads',
  runtime: '--runtime',
  provider: '--ep',
  device: '--device',
  target: '--target',
  precision: '--precision',
  stepsPerRun: '--steps-per-run',
  checkpointSeconds: '--checkpoint-seconds',
}

const given = (overrides: FitOverrides) =>
  Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined))

/** @throws UserError when a value does not fit or a key is unknown. */
export function validSettings(candidate: Record<string, unknown>): FitConfig {
  const result = fitConfigSchema.safeParse(candidate)
  if (!result.success) throw new UserError(`the training configuration does not fit: ${describeIssues(result.error)}`)
  return result.data
}

/**
 * The settings of a new run on a machine with so many threads to give.
 * @throws UserError when a value does not fit or a key is unknown.
 */
export function newSettings(recipe: Recipe, overrides: FitOverrides, threads: number): FitConfig {
  const { epochs, batchSize, learningRate, augment, schedules, dropLast, testAugment } = recipe
  const own = { epochs, batchSize, learningRate, augment, schedules, dropLast, testAugment, threads }
  return validSettings({ ...own, ...defaults, ...given(overrides) })
}

/** Settings without which the run would have taken other steps. The rest only say how far, how fast and where. */
const decisive = [
  'batchSize',
  'learningRate',
  'schedules',
  'augment',
  'dropLast',
  'accumulate',
  'inputs',
  'seed',
  'precision',
] as const satisfies readonly (keyof FitConfig)[]

/**
 * The configuration of a run that goes on: its own, with more epochs or steps or other threads where they are given.
 * @throws UserError when an override would make it another run.
 */
export function resumedSettings(earlier: FitConfig, overrides: FitOverrides, folder: string): FitConfig {
  const config = validSettings({ ...earlier, ...given(overrides) })
  const byLength = [earlier.learningRate, ...Object.values(earlier.schedules)].some(needsLength)
  for (const key of byLength ? [...decisive, 'epochs' as const] : decisive) {
    const [was, is] = [JSON.stringify(earlier[key]), JSON.stringify(config[key])]
    if (was !== is) {
      throw new UserError(
        `the run in ${folder} has ${key} ${was}, not ${is}: leave out ${optionOf[key]} to go on with it, ` +
          'or start a new run in another folder',
      )
    }
  }
  return config
}

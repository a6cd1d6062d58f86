// The configuration of a training run: the model's recipe, what the user overrides, and the driver's own settings.
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { type Recipe, recipeSchema } from '../../core/model/recipe.js'
import { type TargetName, targetNames } from '../planning/plan.js'
import { type Provider, providers, runtimes } from '../runtime/protocol.js'
import { precisions } from '../targets/ort-cuda/index.js'

const { epochs, batchSize, learningRate, augment } = recipeSchema.shape

export const fitConfigSchema = z.strictObject({
  epochs,
  batchSize,
  learningRate,
  augment,
  /** Decides the order of the images, their augmentation and the gates. */
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
  /** Steps that target ort-cuda takes in one run; null: what suits the provider. */
  stepsPerRun: z.int().min(1).max(1_000_000).nullable().default(null),
  /** Seconds from one checkpoint within an epoch to the next. */
  checkpointSeconds: z.number().min(0),
})

export type FitConfig = Readonly<z.infer<typeof fitConfigSchema>>

/** What a user may set; whatever is left out comes from the model's recipe or the defaults. */
export type FitOverrides = { readonly [K in keyof FitConfig]?: FitConfig[K] | undefined }

const defaults = {
  // Any fixed number makes runs repeatable; for several runs of a model, give each its own.
  seed: 1,
  steps: null,
  // All cores: one run at a time is the usual case. Two runs side by side do more work in all with half each.
  get threads() {
    return availableParallelism()
  },
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
  augment: '--no-augment',
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

/** Whether steps are taken many a run, in a loop inside the graph: what target ort-cuda does. */
export const inLoop = ({ target, provider }: { readonly target: TargetName; readonly provider: Provider }): boolean =>
  target === 'ort-cuda' || (target === 'auto' && provider === 'cuda')

/**
 * How many steps a run takes at most. On a GPU enough that what passes over the bus before and after is little beside them;
 * a run that is stopped and a progress bar wait for all of them.
 */
export const stepsPerRunOf = ({ stepsPerRun, provider }: FitConfig): number =>
  stepsPerRun ?? (provider === 'cuda' ? 100 : 10)

/** @throws UserError when the runtime does not have the provider */
export function checkRuntime({ runtime, provider }: Pick<FitConfig, 'runtime' | 'provider'>): void {
  if (runtime !== 'node' && provider !== 'cpu')
    throw new UserError(`--ep ${provider} is for --runtime node, not ${runtime}: leave out one of them`)
}

/** Targets whose operators another runtime does not have. */
const needs: Partial<Record<TargetName, FitConfig['runtime']>> = {
  'ort-cpu': 'node',
  'ort-cuda': 'node',
  'ort-training': 'web-training',
}

/** Settings that only one runtime, target or provider knows. */
function checkAgreement(config: FitConfig): void {
  const { runtime, target } = config
  checkRuntime(config)
  const needed = needs[target]
  if (needed !== undefined && needed !== runtime)
    throw new UserError(
      `--target ${target} is for --runtime ${needed}, not ${runtime}: leave out --target, or give --runtime ${needed}`,
    )
  if (config.provider === 'cpu' && config.device !== 0)
    throw new UserError(`--device ${config.device} is a GPU: add --ep cuda, or leave it out`)
  if (inLoop(config)) return
  const advice = 'add --ep cuda or --target ort-cuda, or leave it out'
  if (config.precision !== 'fp32')
    throw new UserError(`--precision ${config.precision} is for target ort-cuda: ${advice}`)
  if (config.stepsPerRun !== null)
    throw new UserError(`--steps-per-run ${config.stepsPerRun} is for target ort-cuda: ${advice}`)
}

function validated(candidate: Record<string, unknown>): FitConfig {
  const result = fitConfigSchema.safeParse(candidate)
  if (result.success) {
    checkAgreement(result.data)
    return result.data
  }
  const reasons = result.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
  throw new UserError(`the training configuration does not fit: ${reasons.join('; ')}`)
}

/**
 * The configuration of a new run.
 * @throws UserError when a value does not fit or a key is unknown.
 */
export function newConfig(recipe: Recipe, overrides: FitOverrides = {}): FitConfig {
  const { epochs, batchSize, learningRate, augment } = recipe
  const { threads, ...rest } = defaults
  return validated({ epochs, batchSize, learningRate, augment, threads, ...rest, ...given(overrides) })
}

/** Settings without which the run would have taken other steps. The rest only say how far, how fast and where. */
const decisive = [
  'batchSize',
  'learningRate',
  'augment',
  'seed',
  'precision',
] as const satisfies readonly (keyof FitConfig)[]

/**
 * The configuration of a run that goes on: its own, with more epochs or steps or other threads where they are given.
 * @throws UserError when an override would make it another run.
 */
export function resumedConfig(earlier: FitConfig, overrides: FitOverrides, folder: string): FitConfig {
  const config = validated({ ...earlier, ...given(overrides) })
  for (const key of decisive) {
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

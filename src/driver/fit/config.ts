// The settings of a run in Node: what runtimes, providers and targets agree on.
import { availableParallelism } from 'node:os'
import { UserError } from '../../core/errors.js'
import type { Recipe } from '../../core/model/recipe.js'
import { meantBy, ownTargetNames, targetOf } from '../targets/index.js'
import { type FitConfig, type FitOverrides, fitConfigSchema, newSettings, resumedSettings } from './settings.js'

export { type FitConfig, type FitOverrides, fitConfigSchema }

/**
 * How many steps a run takes at most, where it takes any number. On a GPU enough that what passes over the bus before and after is
 * little beside them; a run that is stopped and a progress bar wait for all of them.
 */
export const stepsPerRunOf = ({ stepsPerRun, provider }: Pick<FitConfig, 'stepsPerRun' | 'provider'>): number =>
  stepsPerRun ?? (provider === 'cuda' ? 100 : 10)

/** @throws UserError when the runtime does not have the provider */
export function checkRuntime({ runtime, provider }: Pick<FitConfig, 'runtime' | 'provider'>): void {
  if (runtime !== 'node' && provider !== 'cpu')
    throw new UserError(`--ep ${provider} is for --runtime node, not ${runtime}: leave out one of them`)
}

const listed = (names: readonly string[]): string => names.join(' or ')

/** Which targets know a setting, and what to add to have one of them. */
function adviceFor(knows: (target: ReturnType<typeof targetOf>) => boolean): string {
  const able = ownTargetNames.map(targetOf).filter(knows)
  const names = able.map(({ name }) => name)
  const gpus = new Set(able.flatMap(({ providers }) => providers.filter((provider) => provider !== 'cpu')))
  const options = [...[...gpus].map((provider) => `--ep ${provider}`), ...names.map((name) => `--target ${name}`)]
  return `is for target ${listed(names)}: add ${listed(options)}, or leave it out`
}

/** Settings that only some runtimes, targets or providers know. */
function checkAgreement(config: FitConfig): void {
  const { runtime, target: name } = config
  checkRuntime(config)
  const target = meantBy(config)
  // The portable step runs in every runtime.
  if (name !== 'auto' && name !== 'portable' && target.runtime !== runtime)
    throw new UserError(
      `--target ${name} is for --runtime ${target.runtime}, not ${runtime}: leave out --target, or give --runtime ${target.runtime}`,
    )
  if (config.provider !== 'cuda' && config.device !== 0)
    throw new UserError(
      config.provider === 'cpu'
        ? `--device ${config.device} is a GPU: add --ep cuda, or leave it out`
        : `--device ${config.device} is for --ep cuda: --ep ${config.provider} takes the GPU that the system gives; leave it out`,
    )
  if (!target.precisions.includes(config.precision))
    throw new UserError(
      `--precision ${config.precision} ${adviceFor(({ precisions }) => precisions.includes(config.precision))}`,
    )
  if (config.stepsPerRun !== null && !target.inLoop)
    throw new UserError(`--steps-per-run ${config.stepsPerRun} ${adviceFor(({ inLoop }) => inLoop)}`)
}

function agreeing(config: FitConfig): FitConfig {
  checkAgreement(config)
  return config
}

/**
 * The configuration of a new run. It takes all cores unless it is told otherwise: one run at a time is the usual case. Two runs
 * side by side do more work in all with half each.
 * @throws UserError when a value does not fit or a key is unknown.
 */
export const newConfig = (recipe: Recipe, overrides: FitOverrides = {}): FitConfig =>
  agreeing(newSettings(recipe, overrides, availableParallelism()))

/**
 * The configuration of a run that goes on: its own, with more epochs or steps or other threads where they are given.
 * @throws UserError when an override would make it another run.
 */
export const resumedConfig = (earlier: FitConfig, overrides: FitOverrides, folder: string): FitConfig =>
  agreeing(resumedSettings(earlier, overrides, folder))

// What people say of a training step, as options of a command or fields of a page: loss, optimizer, groups of parameters, an average
// of the weights. And the step that they say.

import { UserError } from '../errors.js'
import { crossEntropy } from '../losses/crossEntropy.js'
import type { Loss } from '../losses/loss.js'
import { lossText } from '../losses/text.js'
import { optimizerOf } from '../optimizers/text.js'
import type { ParameterGroup } from '../training/groups.js'
import type { Schedule } from '../training/schedule.js'
import type { StepOptions } from '../training/step.js'
import type { Recipe } from './recipe.js'

export interface StepChoices {
  readonly loss?: string
  readonly labelSmoothing?: number
  readonly optimizer?: string
  readonly momentum?: number
  readonly weightDecay?: number
  readonly nesterov?: true
  readonly set?: readonly (readonly [string, number])[]
  readonly clipNorm?: number
  readonly ema?: number
  readonly emaEvery?: number
  readonly lookahead?: true
  readonly group?: readonly ParameterGroup[]
  readonly lr?: Schedule
  readonly recompute: boolean
}

/**
 * The loss that is said in words; undefined where none is.
 * @throws UserError for a loss that there is not
 */
export function readLoss({ loss, labelSmoothing }: Pick<StepChoices, 'loss' | 'labelSmoothing'>): Loss | undefined {
  if (labelSmoothing !== undefined) {
    if (loss !== undefined && loss !== 'cross-entropy')
      throw new UserError(`--label-smoothing is for cross-entropy, not for --loss ${loss}: leave one of them out`)
    return crossEntropy({ labelSmoothing })
  }
  if (loss === undefined) return undefined
  const read = lossText.safeParse(loss)
  if (read.success) return read.data
  throw new UserError(`--loss: ${read.error.issues.map(({ message }) => message).join('; ')}`)
}

export interface ChosenStep {
  readonly step: StepOptions
  /** The recipe with what was chosen otherwise. */
  readonly recipe: Recipe
}

/**
 * @param loss what the choices say, where it is read already
 * @param own what the network's step has unless the options say otherwise
 * @throws UserError for options that do not go together
 */
export function chooseStep(
  flags: StepChoices,
  recipe: Recipe,
  loss: Loss | undefined = readLoss(flags),
  own: StepOptions = {},
): ChosenStep {
  const { optimizer: name = 'sgd', momentum, weightDecay, nesterov, set = [], clipNorm, group, recompute } = flags
  const { ema, emaEvery, lookahead, lr } = flags
  if (ema === undefined && (emaEvery !== undefined || lookahead))
    throw new UserError(
      `${lookahead ? '--lookahead' : '--ema-every'} is for an average of the weights: add --ema, or leave it out`,
    )
  const isSgd = name === 'sgd'
  // The recipe's are those of SGD.
  const usual = isSgd ? { momentum: recipe.momentum ?? 0, weight_decay: recipe.weightDecay ?? 0 } : {}
  const given = {
    ...(momentum === undefined ? {} : { momentum }),
    ...(weightDecay === undefined ? {} : { weight_decay: weightDecay }),
    ...Object.fromEntries(set),
  }
  const turned = nesterov ?? (isSgd ? recipe.nesterov : undefined)
  const optimizer = optimizerOf(name, { ...usual, ...given }, turned)
  const { momentum: _, weightDecay: __, nesterov: ___, ...rest } = recipe
  const said = Object.entries(optimizer.hyperparameters).map(([key, value]) => `${key}=${value}`)
  // The recipe's was made for SGD.
  const { learningRate: rate } = optimizer
  return {
    step: {
      loss: loss ?? own.loss,
      optimizer,
      groups: [...(own.groups ?? []), ...(group ?? [])],
      clipNorm,
      average: ema === undefined ? own.average : { decay: ema, every: emaEvery ?? 1, lookahead: lookahead ?? false },
      recompute,
    },
    recipe: {
      ...rest,
      ...(isSgd
        ? {
            momentum: optimizer.hyperparameters.momentum ?? 0,
            weightDecay: optimizer.hyperparameters.weight_decay ?? 0,
            nesterov: turned ?? false,
          }
        : { optimizer: [name, ...said].join(' ') }),
      ...(flags.loss === undefined ? {} : { loss: flags.loss }),
      ...(lr !== undefined ? { learningRate: lr } : rate === undefined ? {} : { learningRate: [[0, rate]] }),
    },
  }
}

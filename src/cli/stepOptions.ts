// The options that say what a training step is: loss, optimizer, groups of parameters, an average of the weights.

import { type Command, Option } from 'commander'
import { UserError } from '../core/errors.js'
import { graphLoss } from '../core/losses/combined.js'
import { crossEntropy } from '../core/losses/crossEntropy.js'
import type { Loss } from '../core/losses/loss.js'
import { losses, lossText } from '../core/losses/text.js'
import type { Recipe } from '../core/model/recipe.js'
import { decodeModel } from '../core/onnx/tensors.js'
import { readModel } from '../core/onnx/trainingInfo.js'
import { optimizerOf, optimizers } from '../core/optimizers/text.js'
import type { ParameterGroup } from '../core/training/groups.js'
import { groupText } from '../core/training/groupText.js'
import { type Schedule, scheduleText } from '../core/training/schedule.js'
import type { StepOptions } from '../core/training/step.js'
import { collectedBy, decimalNumber, namedNumber, parsedBy, wholeNumber } from './command.js'
import { readInput } from './input.js'

export interface StepFlags {
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

export const addStepOptions = (program: Command): Command =>
  program
    .option(
      '--loss <loss>',
      `${Object.keys(losses).join(', ')}, output:NAME, the file of one (.onnx), or a sum such as ` +
        "'a=mse + b=huber:delta=2*0.5' (default: cross-entropy)",
    )
    .option('--label-smoothing <part>', 'of cross-entropy (default: 0)', parsedBy(decimalNumber(0, 1)))
    .addOption(
      new Option('--optimizer <name>', 'sgd unless given; with --artifacts adamw or sgd').choices(
        Object.keys(optimizers),
      ),
    )
    .option('--momentum <factor>', 'of sgd and muon (default: the recipe’s)', parsedBy(decimalNumber(0, 0.999999)))
    .option('--weight-decay <factor>', '(default: the recipe’s)', parsedBy(decimalNumber(0, 1)))
    .option('--nesterov', 'Nesterov momentum')
    .option(
      '--set <name=value>',
      'another hyperparameter of the optimizer, such as beta2=0.95; repeatable',
      collectedBy(namedNumber),
    )
    .option('--clip-norm <norm>', 'hold the norm of all gradients together to it', parsedBy(decimalNumber(1e-12, 1e12)))
    .option(
      '--ema <decay>',
      'predict with an average of the weights, which keeps so much of itself',
      parsedBy(decimalNumber(0, 1)),
    )
    .option(
      '--ema-every <steps>',
      'steps from one update of the average to the next (default: 1)',
      parsedBy(wholeNumber(1, 1e6)),
    )
    .option('--lookahead', 'with --ema: training goes on from the average')
    .option(
      '--group <pattern:settings>',
      "'*.bias:lr=2,decay=0', 'stem.*:frozen': what some parameters have otherwise; repeatable",
      collectedBy(groupText),
    )
    .option(
      '--lr <schedule>',
      'epoch:rate pairs, one rate, or cosine:max=0.1,warmup=5 and the like (default: the recipe’s); with --artifacts a fixed rate',
      parsedBy(scheduleText),
    )
    .option('--no-recompute', 'keep all activations for the backward pass: twice the memory, a little faster')

/** The loss that the options say; undefined where they say none. */
export async function lossFrom({ loss, labelSmoothing }: StepFlags): Promise<Loss | undefined> {
  if (labelSmoothing !== undefined) {
    if (loss !== undefined && loss !== 'cross-entropy')
      throw new UserError(`--label-smoothing is for cross-entropy, not for --loss ${loss}: leave one of them out`)
    return crossEntropy({ labelSmoothing })
  }
  if (loss === undefined) return undefined
  if (loss.endsWith('.onnx'))
    return graphLoss(readModel(decodeModel(await readInput(loss)), { parameters: new Set() }).inference)
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
 * @param own what the network's step has unless the options say otherwise
 * @throws UserError for options that do not go together
 */
export async function stepFrom(flags: StepFlags, recipe: Recipe, own: StepOptions = {}): Promise<ChosenStep> {
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
  const loss = await lossFrom(flags)
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

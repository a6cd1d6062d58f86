// The options that say what a training step is: loss, optimizer, groups of parameters, an average of the weights.

import { type Command, Option } from 'commander'
import { graphLoss } from '../core/losses/combined.js'
import type { Loss } from '../core/losses/loss.js'
import { losses } from '../core/losses/text.js'
import type { Recipe } from '../core/model/recipe.js'
import { type ChosenStep, chooseStep, readLoss, type StepChoices } from '../core/model/stepChoices.js'
import { decodeModel } from '../core/onnx/tensors.js'
import { readModel } from '../core/onnx/trainingInfo.js'
import { optimizers } from '../core/optimizers/text.js'
import { groupText } from '../core/training/groupText.js'
import { scheduleText } from '../core/training/schedule.js'
import type { StepOptions } from '../core/training/step.js'
import { collectedBy, decimalNumber, namedNumber, parsedBy, wholeNumber } from './command.js'
import { readInput } from './input.js'

export type StepFlags = StepChoices

export const addStepOptions = (program: Command): Command =>
  program
    .option(
      '--loss <loss>',
      `${Object.keys(losses).join(', ')}, output:NAME, the file of one (.onnx), or a sum such as ` +
        "'a=mse + b=huber:delta=2*0.5' (default: cross-entropy)",
    )
    .option('--label-smoothing <part>', 'of cross-entropy (default: 0)', parsedBy(decimalNumber(0, 1)))
    .addOption(
      new Option('--optimizer <name>', 'default: sgd; with --artifacts adamw or sgd, by default adamw').choices(
        Object.keys(optimizers),
      ),
    )
    .option(
      '--momentum <factor>',
      'of sgd (default: the recipe’s) and of muon (default: 0.95)',
      parsedBy(decimalNumber(0, 0.999999)),
    )
    .option(
      '--weight-decay <factor>',
      'default: of sgd the recipe’s, of adamw 0.01, of adam and muon 0',
      parsedBy(decimalNumber(0, 1)),
    )
    .option('--nesterov', 'Nesterov momentum for sgd (default: the recipe’s); muon always has it')
    .option(
      '--set <name=value>',
      'another hyperparameter of the optimizer, such as beta2=0.95; repeatable',
      collectedBy(namedNumber),
    )
    .option(
      '--clip-norm <norm>',
      'scale all gradients down where their global L2 norm is above this',
      parsedBy(decimalNumber(1e-12, 1e12)),
    )
    .option(
      '--ema <decay>',
      'predict with an exponential moving average of the weights, which keeps this part of itself at each update',
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
      'epoch:rate pairs, one rate, or cosine:max=0.1,warmup=5 and the like (default: of sgd the recipe’s, of adam and adamw ' +
        '0.001, of muon 0.02); with --artifacts a fixed rate',
      parsedBy(scheduleText),
    )
    .option('--no-recompute', 'keep all activations for the backward pass: twice the memory, a little faster')

/** The loss that the options say; undefined where they say none. */
export async function lossFrom(flags: Pick<StepFlags, 'loss' | 'labelSmoothing'>): Promise<Loss | undefined> {
  const { loss, labelSmoothing } = flags
  if (labelSmoothing !== undefined || !loss?.endsWith('.onnx')) return readLoss(flags)
  return graphLoss(readModel(decodeModel(await readInput(loss)), { parameters: new Set() }).inference)
}

/**
 * @param own what the network's step has unless the options say otherwise
 * @throws UserError for options that do not go together
 */
export const stepFrom = async (flags: StepFlags, recipe: Recipe, own?: StepOptions): Promise<ChosenStep> =>
  chooseStep(flags, recipe, await lossFrom(flags), own)

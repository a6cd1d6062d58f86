// What is chosen for the file: the options of rdm-export for it, as values for the page's own export and as words for the command line.

import type { FileOptions, ResidualOptions } from '../../../graphs/exported.js'
import type { RecipeName } from '../../../graphs/recipes.js'
import type { Init } from '../../core/layers/index.js'
import type { Part } from '../../core/model/write.js'
import { OPSET } from '../../core/onnx/opsets.js'
import type { PortableLevel } from '../../core/targets/portable/basic.js'
import { parseSchedule } from '../../core/training/schedule.js'
import { type Design, flagsOf, optionsOf } from '../design/design.js'

export interface Choices {
  readonly part: Part
  readonly opset: number
  readonly level: PortableLevel
  readonly inline: boolean
  readonly seed: number
  readonly gates: boolean
  /** Absent: what belongs to the network, here and below. */
  readonly recipe?: RecipeName | undefined
  readonly init?: Init | undefined
  readonly optimizer: string
  readonly momentum?: number | undefined
  readonly weightDecay?: number | undefined
  readonly nesterov: boolean
  /** The schedule of the learning rate, as it is written. */
  readonly lr?: string | undefined
  readonly loss: string
  readonly labelSmoothing?: number | undefined
  readonly clipNorm?: number | undefined
  readonly ema?: number | undefined
}

export const firstChoices: Choices = {
  part: 'all',
  opset: OPSET,
  level: 'standard',
  inline: false,
  seed: 1,
  gates: false,
  optimizer: 'sgd',
  nesterov: false,
  loss: 'cross-entropy',
}

/** Those that mean something where the others are what they are. */
const effective = (choices: Choices): Choices => {
  const { part, optimizer, loss } = choices
  return {
    ...choices,
    gates: choices.gates && (part === 'all' || part === 'infer'),
    momentum: optimizer === 'sgd' || optimizer === 'muon' ? choices.momentum : undefined,
    nesterov: choices.nesterov && optimizer === 'sgd',
    labelSmoothing: loss === 'cross-entropy' ? choices.labelSmoothing : undefined,
  }
}

/** What the core writes. */
export function optionsFor(design: Design, choices: Choices): { network: ResidualOptions; file: FileOptions } {
  const { part, opset, level, inline, seed, gates, recipe, init, optimizer, lr, loss, ...rest } = effective(choices)
  const { momentum, weightDecay, nesterov, labelSmoothing, clipNorm, ema } = rest
  const given = { momentum, weightDecay, labelSmoothing, clipNorm, ema }
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  return {
    network: {
      ...optionsOf(design),
      ...(gates ? { gates } : {}),
      ...(recipe ? { recipe } : {}),
      ...(init ? { init } : {}),
    },
    file: {
      ...{ part, seed, inline, opset, portableLevel: level, recompute: true },
      ...(optimizer === firstChoices.optimizer ? {} : { optimizer }),
      ...(nesterov ? { nesterov } : {}),
      ...(lr === undefined ? {} : { lr: parseSchedule(lr) }),
      ...(loss === firstChoices.loss ? {} : { loss }),
      ...Object.fromEntries(said),
    },
  }
}

/** The words that rdm-export takes for the same file. */
export function wordsFor(design: Design, choices: Choices): readonly string[] {
  const { part, opset, level, inline, seed, gates, recipe, init, optimizer, lr, loss, ...rest } = effective(choices)
  const { momentum, weightDecay, nesterov, labelSmoothing, clipNorm, ema } = rest
  const value = (flag: string, given: string | number | undefined, usual?: string | number) =>
    given === undefined || given === usual ? [] : [flag, String(given)]
  return [
    ...flagsOf(design),
    ...value('--part', part, firstChoices.part),
    ...value('--opset', opset, OPSET),
    ...value('--portable-level', level, firstChoices.level),
    ...(inline ? ['--inline'] : []),
    ...value('--seed', seed, firstChoices.seed),
    ...(gates ? ['--gates'] : []),
    ...value('--recipe', recipe),
    ...value('--init', init),
    ...value('--optimizer', optimizer, firstChoices.optimizer),
    ...value('--momentum', momentum),
    ...value('--weight-decay', weightDecay),
    ...(nesterov ? ['--nesterov'] : []),
    ...value('--lr', lr),
    ...value('--loss', loss, firstChoices.loss),
    ...value('--label-smoothing', labelSmoothing),
    ...value('--clip-norm', clipNorm),
    ...value('--ema', ema),
  ]
}

/** A line for a shell. None of the words holds a sign that it would read. */
export const commandFor = (design: Design, choices: Choices, file: string): string =>
  ['npx rdm-export', ...wordsFor(design, choices), '>', file].join(' ')

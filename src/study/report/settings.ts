// How the models were trained: what is the same for all of them, and what is not.

import { paperData } from '../../../graphs/table1.js'
import type { Recipe } from '../../core/model/recipe.js'
import { formatSchedule, type Schedule } from '../../core/training/schedule.js'
import type { ModelRecord } from './read.js'

export interface Setting {
  readonly name: string
  /** One for each model, in words; undefined where it is not known or has none. */
  readonly values: readonly (string | undefined)[]
}

const yesOrNo = (value: boolean | undefined) => (value === undefined ? undefined : value ? 'yes' : 'no')

/** The paper's, none, or what else is done. */
export const augmentText = (augment: Recipe['augment']): string =>
  typeof augment === 'boolean' ? (augment ? 'yes' : 'no') : augment.map(({ kind }) => kind).join(', ') || 'no'

const settings: readonly (readonly [name: string, of: (model: ModelRecord) => string | number | undefined])[] = [
  ['data', ({ data }) => dataText(data)],
  ['seeds', ({ runs }) => seedsText(runs.map(({ seed }) => seed))],
  ['blocks a stage', ({ architecture }) => architecture?.blocks.join(', ')],
  ['widths', ({ architecture }) => architecture?.widths.join(', ')],
  ['survival of the last block', ({ architecture }) => architecture?.stochasticDepth],
  ['first weights', ({ init }) => init],
  ['epochs', ({ config }) => config.epochs],
  ['steps at most', ({ config }) => config.steps ?? undefined],
  ['batch size', ({ config }) => config.batchSize],
  ['learning rate', ({ config }) => scheduleText(config.learningRate)],
  ['momentum', ({ recipe }) => recipe.momentum],
  ['Nesterov momentum', ({ recipe }) => yesOrNo(recipe.nesterov)],
  ['weight decay', ({ recipe }) => recipe.weightDecay],
  ['augmentation', ({ config }) => augmentText(config.augment)],
  ['precision', ({ config }) => config.precision],
  ['target', ({ runs }) => [...new Set(runs.flatMap(({ target }) => target ?? []))].join(', ') || undefined],
]

/** Those that some model has. */
export const settingsOf = (models: readonly ModelRecord[]): readonly Setting[] =>
  settings
    .map(([name, of]) => ({ name, values: models.map((model) => of(model)?.toString()) }))
    .filter(({ values }) => values.some((value) => value !== undefined))

/** The folder's name alone: where it lay is nobody else's business. */
function dataText({ path, sha256 }: ModelRecord['data']): string {
  if (sha256 === paperData) return 'CIFAR-10'
  const folder = path?.split(/[\\/]/).findLast((part) => part !== '')
  return `${folder === undefined ? '' : `${folder}, `}SHA-256 ${sha256.slice(0, 12)}…`
}

/** Epochs are counted from 1, as in the charts. */
export const scheduleText = (schedule: Schedule): string =>
  'kind' in schedule ? formatSchedule(schedule) : pairsText(schedule)

const pairsText = (schedule: Exclude<Schedule, { kind: unknown }>): string =>
  schedule.map(([epoch, rate]) => (epoch === 0 ? `${rate}` : `${rate} from epoch ${epoch + 1}`)).join(', ')

/** 1, 2, 3, 7 → 1..3, 7 */
export function seedsText(seeds: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const seed of seeds) {
    const last = ranges.at(-1)
    if (last && seed === last[1] + 1) last[1] = seed
    else ranges.push([seed, seed])
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}..${last}`)).join(', ')
}

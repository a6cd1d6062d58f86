// Plain statements: what has not finished, and what was done otherwise than in the paper.

import { type PaperRow, paperData } from '../../../graphs/table1.js'
import type { ModelRecord, RunRecord } from './read.js'
import { augmentText, scheduleText } from './settings.js'

/** Why figures are not what the paper's are, and why there are fewer of them. */
export function remarksOf(model: ModelRecord, row: PaperRow | undefined): readonly string[] {
  const { runs, config } = model
  const unfinished = runs.some(({ state }) => state !== 'done') ? [standingOf(runs, config.epochs)] : []
  return [...unfinished, ...(row ? differencesFrom(row, model) : [])]
}

const others = {
  running: 'running',
  stopped: 'stopped',
  waiting: 'not begun',
  damaged: 'damaged',
} as const satisfies Record<Exclude<RunRecord['state'], 'done'>, string>

const runsText = (count: number) => `${count} ${count === 1 ? 'run' : 'runs'}`

/**
 * How many runs have finished, and what the others do.
 * @param epochs that each is to have; unless given, the others are only counted
 */
export function standingOf(runs: readonly RunRecord[], epochs?: number): string {
  const done = runs.filter(({ state }) => state === 'done').length
  if (done === runs.length) return done === 1 ? 'the run has finished' : `all ${done} runs have finished`
  const rest = Object.entries(others).flatMap(([state, text]) => {
    const found = runs.filter((run) => run.state === state)
    if (found.length === 0) return []
    if (epochs === undefined) return [`${found.length} ${text}`]
    const seeds = found.map(({ seed, history, damage }) => {
      if (damage !== undefined) return `${seed} (${damage})`
      return state === 'waiting' ? `${seed}` : `${seed} (${history.length} of ${epochs} epochs)`
    })
    return [`${text}: ${found.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`]
  })
  const finished =
    runs.length === 1
      ? 'the run has not finished'
      : `${done} of ${runs.length} runs ${done === 1 ? 'has' : 'have'} finished`
  return `${finished}; ${rest.join('; ')}`
}

/** What speaks against comparing the two figures. */
function differencesFrom({ result, recipe: paper }: PaperRow, model: ModelRecord): string[] {
  const { config, recipe, init, data, runs } = model
  const done = runs.filter(({ state }) => state === 'done').length
  const where = (ours: string, theirs: string) => `${ours} where the paper has ${theirs}`
  const settings = [
    ['batch size', config.batchSize, paper.batchSize],
    ['learning rate', scheduleText(config.learningRate), scheduleText(paper.learningRate)],
    ['momentum', recipe.momentum, paper.momentum],
    ['weight decay', recipe.weightDecay, paper.weightDecay],
    ['Nesterov momentum', recipe.nesterov, paper.nesterov],
    ['augmentation', onOrOff(augmentText(config.augment)), onOrOff(augmentText(paper.augment))],
    ['first weights', init ?? 'he', 'he'],
    ['precision', config.precision, 'fp32'],
  ] as const
  return [
    ...(data.sha256 === paperData ? [] : ["trained on other data than the paper's CIFAR-10: not to be compared"]),
    ...(result.runs !== undefined && done > 0 && done < result.runs ? [where(runsText(done), `${result.runs}`)] : []),
    ...(config.epochs === paper.epochs ? [] : [where(`${config.epochs} epochs`, `${paper.epochs}`)]),
    ...(config.steps === null ? [] : [`ended after ${config.steps} steps`]),
    ...settings
      .filter(([, ours, theirs]) => ours !== theirs)
      .map(([name, ours, theirs]) => where(`${name} ${said(ours)}`, said(theirs))),
  ]
}

const onOrOff = (text: string): string => (text === 'yes' ? 'on' : text === 'no' ? 'off' : text)

const said = (value: string | number | boolean | undefined): string =>
  typeof value === 'boolean' ? (value ? 'on' : 'off') : `${value ?? 'none'}`

// Parameter groups: what some weights have otherwise than the rest, by their names.

import { UserError } from '../errors.js'

/** What the parameters of a pattern have otherwise than the rest. */
export interface ParameterGroup {
  /** The whole name of a parameter; `*` stands for any characters: `stage1.*`, `*.bias`. */
  readonly pattern: string
  /** What the learning rate is multiplied by; 1 unless given. */
  readonly learningRate?: number
  /** What the weight decay is multiplied by; 1 unless given. */
  readonly weightDecay?: number
  /** A hyperparameter of the step that multiplies the learning rate as well: 1 unless something else is fed. */
  readonly factor?: string
  /** Does not train. */
  readonly frozen?: boolean
}

export interface GroupSettings {
  readonly learningRate: number
  readonly weightDecay: number
  readonly factor?: string
  readonly frozen: boolean
}

const expressionOf = (pattern: string): RegExp => new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 's')

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/**
 * The names that a pattern means.
 * @param what they are the names of, for the message
 * @throws UserError where there are none
 */
export function matching(pattern: string, names: readonly string[], what = 'weight'): readonly string[] {
  const expression = expressionOf(pattern)
  const found = names.filter((name) => expression.test(name))
  if (found.length === 0)
    throw new UserError(
      `no ${what} is named like '${pattern}'; there are ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
    )
  return found
}

/**
 * What each name has: that of the groups which it matches, a later one before an earlier.
 * @throws UserError for a pattern that matches no name
 */
export function settingsByName(
  names: readonly string[],
  groups: readonly ParameterGroup[],
): ReadonlyMap<string, GroupSettings> {
  const settings = new Map<string, GroupSettings>(
    names.map((name) => [name, { learningRate: 1, weightDecay: 1, frozen: false }]),
  )
  for (const { pattern, ...own } of groups)
    for (const name of matching(pattern, names)) settings.set(name, { ...settings.get(name)!, ...own })
  return settings
}

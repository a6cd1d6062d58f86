// The hyperparameters of each step: the learning rate by its schedule, the others as the step says or as the user sets them.

import { UserError } from '../../core/errors.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { type Position, type Schedule, valueAt } from '../../core/training/schedule.js'
import type { StepSignature } from '../../core/training/signature.js'
import type { FitConfig, FitOverrides } from './config.js'

/** Hyperparameter → how it goes through the run. */
export type Hyperparameters = Readonly<Record<string, Schedule>>

/** @throws UserError for a learning rate that a user gives to a step that takes none, and that is not what its file says */
export function checkRate(
  { signature, recipe }: Pick<TrainableModel, 'signature' | 'recipe'>,
  { learningRate }: Pick<FitOverrides, 'learningRate'>,
): void {
  if (learningRate === undefined || Object.values(signature.hyperparameters).includes(null)) return
  if (JSON.stringify(learningRate) !== JSON.stringify(recipe.learningRate))
    throw new UserError('the training step takes no learning rate, its file fixes it: leave out --lr')
}

/** @throws UserError for a name that the step does not have, or one that nobody gives a value */
export function hyperparametersOf(
  { hyperparameters }: Pick<StepSignature, 'hyperparameters'>,
  { learningRate, schedules }: Pick<FitConfig, 'learningRate' | 'schedules'>,
): Hyperparameters {
  const names = Object.keys(hyperparameters)
  const unknown = Object.keys(schedules).find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw new UserError(`the training step has no hyperparameter '${unknown}'; it has ${names.join(', ') || 'none'}`)
  const rate = names.find((name) => hyperparameters[name] === null)
  const entries = names.map((name): [string, Schedule] => {
    if (Object.hasOwn(schedules, name)) return [name, schedules[name]!]
    if (name === rate) return [name, learningRate]
    const usual = hyperparameters[name]
    if (usual === null || usual === undefined)
      throw new UserError(`the training step needs a value for its hyperparameter '${name}': give --set ${name}=VALUE`)
    return [name, [[0, usual]]]
  })
  return Object.fromEntries(entries)
}

/** The values of the step at a position. */
export const valuesAt = (hyperparameters: Hyperparameters, position: Position): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(hyperparameters).map(([name, schedule]) => [name, valueAt(schedule, position)]))

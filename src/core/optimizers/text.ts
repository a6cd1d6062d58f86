// Optimizers by name, as command lines say them: the registry.

import { UserError } from '../errors.js'
import { adam, adamw } from './adam.js'
import { muon } from './muon.js'
import type { Optimizer } from './optimizer.js'
import { sgd } from './sgd.js'

type Options = Readonly<Record<string, unknown>>

/** Each makes an optimizer of the values of its hyperparameters, by their names in camel case, and of `nesterov`. */
export const optimizers: Readonly<Record<string, (options: Options) => Optimizer>> = { sgd, adam, adamw, muon }

const camelCase = (name: string): string => name.replace(/_[a-z]/g, (pair) => pair[1]!.toUpperCase())

/**
 * An optimizer by its name.
 * @param values of hyperparameters, by their names: `weight_decay`
 * @throws UserError for an optimizer, or a hyperparameter, that there is not, and for Nesterov momentum where it has none
 */
export function optimizerOf(
  name: string,
  values: Readonly<Record<string, number>> = {},
  nesterov?: boolean,
): Optimizer {
  const make = Object.hasOwn(optimizers, name) ? optimizers[name] : undefined
  if (!make) throw new UserError(`there is no optimizer '${name}'; there are ${Object.keys(optimizers).join(', ')}`)
  // Where there is Nesterov momentum, the steps with it and without it have two names.
  if (nesterov && make({ nesterov: true }).name === make({ nesterov: false }).name)
    throw new UserError(`the optimizer ${name} has no Nesterov momentum: leave --nesterov out, or take sgd`)
  const options = Object.entries(values).map(([key, value]) => [camelCase(key), value] as const)
  const made = make({ ...Object.fromEntries(options), ...(nesterov === undefined ? {} : { nesterov }) })
  // With its value at 0 a term is left out of the step.
  const unknown = Object.entries(values).find(
    ([key, value]) => value !== 0 && !Object.hasOwn(made.hyperparameters, key),
  )
  if (unknown)
    throw new UserError(
      `the optimizer ${name} has no hyperparameter '${unknown[0]}'; it has ${Object.keys(make({}).hyperparameters).join(', ')}`,
    )
  return made
}

// A residual network as a file, from what people choose of it: what `rdm-export` writes.

import type { Graph } from '../src/core/graph/graph.js'
import type { Init } from '../src/core/layers/index.js'
import type { Loss } from '../src/core/losses/loss.js'
import type { Recipe } from '../src/core/model/recipe.js'
import { chooseStep, type StepChoices } from '../src/core/model/stepChoices.js'
import { exportModel, type Part } from '../src/core/model/write.js'
import type { PortableLevel } from '../src/core/targets/portable/basic.js'
import type { StepOptions } from '../src/core/training/step.js'
import { architectureFrom, type NetworkOptions } from './describe.js'
import { initOf, type RecipeName, recipes } from './recipes.js'
import { type Architecture, residualNetwork } from './residual.js'

export interface ResidualOptions extends NetworkOptions {
  /** How to train it: that which belongs to the network unless given. */
  readonly recipe?: RecipeName
  /** How weights are drawn: the recipe's unless given. */
  readonly init?: Init
  readonly gates?: boolean
}

export interface Residual {
  readonly architecture: Architecture
  readonly network: Graph
  readonly recipe: Recipe
}

/** @throws UserError for what is no network */
export function residualFrom(options: ResidualOptions): Residual {
  const { architecture, recipe } = architectureFrom(options)
  const name = options.recipe ?? recipe
  const network = residualNetwork(architecture, options.init ?? initOf[name], options.gates)
  return { architecture, network, recipe: recipes[name] }
}

export interface FileOptions extends StepChoices {
  readonly seed: number
  readonly part: Part
  readonly inline?: boolean
  readonly portableLevel?: PortableLevel
  readonly opset?: number
}

/** A network, and what its file says of it. */
export interface Source {
  readonly network: Graph
  readonly recipe: Recipe
  readonly architecture: unknown
  /** What the network's step has unless the options say otherwise. */
  readonly step?: StepOptions | undefined
}

/**
 * The bytes of the file.
 * @param loss of the options, where it is read already
 * @throws UserError for options that do not go together
 */
export function writeFile(source: Source, options: FileOptions, loss?: Loss): Uint8Array {
  const { step, recipe } = chooseStep(options, source.recipe, loss, source.step)
  const { seed, part, inline = false, portableLevel: level, opset } = options
  const { architecture } = source
  return exportModel(source.network, { ...step, ...{ recipe, seed, inline, level, architecture, opset, part } })
}

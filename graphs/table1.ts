// Table 1 of the paper (Park 2023, "Multi-Residual Networks with ReLU Dropping"): test errors on CIFAR-10 after the last
// epoch. Its own two networks were run five times each; the other rows are quoted from the papers that they come from.

import { isDeepStrictEqual } from 'node:util'
import type { Recipe } from '../src/core/model/recipe.js'
import { recipes } from './recipes.js'
import type { Architecture } from './residual.js'
import { findNetwork } from './zoo.js'

export interface PaperResult {
  /** As the paper calls the network. */
  readonly title: string
  /** Test error in per cent: the median where the paper ran it itself. */
  readonly error: number
  /** Of the runs, in per cent, where the paper gives them. */
  readonly mean?: number
  readonly std?: number
  /** How many runs; absent where the paper quotes another and does not say. */
  readonly runs?: number
}

/** By the name in the zoo, in the table's order. */
export const table1: ReadonlyMap<string, PaperResult> = new Map([
  ['preresnet110', { title: 'Pre-ResNet-110', error: 6.37 }],
  ['preresnet164', { title: 'Pre-ResNet-164', error: 5.46 }],
  ['multiresnet8x23', { title: 'Multi-ResNet-8', error: 7.37 }],
  ['multiresnet14x10', { title: 'Multi-ResNet-14', error: 6.42 }],
  ['multiresnet30x4', { title: 'Multi-ResNet-30', error: 5.89 }],
  ['resnet110-sd', { title: 'Stochastic depth 110', error: 5.25 }],
  ['rdm56', { title: 'RDM-ResNet-56', error: 5.98, mean: 5.98, std: 0.2, runs: 5 }],
  ['rdm83', { title: 'RDM-ResNet-83', error: 5.41, mean: 5.34, std: 0.12, runs: 5 }],
])

/**
 * What the table's networks are trained on: SHA-256 of the images and labels of CIFAR-10, as run folders note it of their data.
 */
export const paperData = '92c70d0d688121d2bd9a77686d3ecb4f495142c8b4bcb66c9b7d0300406b2b5a'

/** A row of the table, and how the paper trains its network. */
export interface PaperRow {
  readonly result: PaperResult
  readonly recipe: Recipe
}

/** The row of the network with this architecture, whatever it is called; undefined where the paper has none. */
export function paperRowOf(architecture: Architecture): PaperRow | undefined {
  for (const [name, result] of table1) {
    const known = findNetwork(name)
    if (known && isDeepStrictEqual({ ...known.architecture, name: '' }, { ...architecture, name: '' }))
      return { result, recipe: recipes[known.recipe ?? 'paper'] }
  }
  return undefined
}

export const paperResultOf = (architecture: Architecture): PaperResult | undefined => paperRowOf(architecture)?.result

/** Median (mean ± standard deviation) of a row, in per cent, as far as the paper gives them. */
export function paperText({ error, mean, std }: PaperResult): string {
  if (mean === undefined) return error.toFixed(2)
  return `${error.toFixed(2)} (${mean.toFixed(2)}${std === undefined ? '' : ` ± ${std.toFixed(2)}`})`
}

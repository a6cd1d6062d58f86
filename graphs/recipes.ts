// How the papers train. A recipe goes into the model file; rdm-fit follows it unless told otherwise.

import type { Init } from '../src/core/layers/index.js'
import { paperRecipe as paper, type Recipe } from '../src/core/model/recipe.js'

/** Huang et al. 2016, "Deep Networks with Stochastic Depth", section 4. */
const stochasticDepth = {
  ...paper,
  epochs: 500,
  learningRate: [
    [0, 0.1],
    [250, 0.01],
    [375, 0.001],
  ],
  nesterov: true,
} satisfies Recipe

/** The recipes of the papers, by name. */
export const recipes = { paper, 'stochastic-depth': stochasticDepth }
/** The name of one of {@link recipes}. */
export type RecipeName = keyof typeof recipes
export const recipeNames = Object.keys(recipes) as RecipeName[]

/** How the reference implementation of each recipe draws first weights. */
export const initOf: Readonly<Record<RecipeName, Init>> = { paper: 'he', 'stochastic-depth': 'he-fan-in' }

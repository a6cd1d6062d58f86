// How the papers train. A recipe goes into the model file; rdm-fit follows it unless told otherwise.

import { paperRecipe as paper, type Recipe } from '../src/core/model/recipe.js'

/** Huang et al. 2016, "Deep Networks with Stochastic Depth", section 4. */
const stochasticDepth: Recipe = {
  ...paper,
  epochs: 500,
  learningRate: [
    [0, 0.1],
    [250, 0.01],
    [375, 0.001],
  ],
  nesterov: true,
}

export const recipes = { paper, 'stochastic-depth': stochasticDepth }
export type RecipeName = keyof typeof recipes
export const recipeNames = Object.keys(recipes) as RecipeName[]

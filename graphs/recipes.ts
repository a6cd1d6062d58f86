// How the papers train. A recipe goes into the model file; rdm-fit follows it unless told otherwise.

import type { Recipe } from '../src/model/metadata.js'

/** "Multi-Residual Networks with ReLU Dropping", section 4: He et al.'s recipe with a warm-up epoch at 0.01. */
const paper: Recipe = {
  epochs: 165,
  batchSize: 128,
  learningRate: [
    [0, 0.01],
    [1, 0.1],
    [80, 0.01],
    [120, 0.001],
  ],
  momentum: 0.9,
  weightDecay: 1e-4,
  nesterov: false,
  augment: true,
}

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

// Huang et al. 2016, "Deep Networks with Stochastic Depth": post-activation blocks, parameter-free shortcuts, survival
// falling to 0.5. Table 1: 5.25 %.

import { base, type Entry } from './entry.js'

export const stochasticDepthNetworks: readonly Entry[] = [
  {
    architecture: {
      ...base,
      name: 'resnet110-sd',
      block: 'basic',
      blocks: [18, 18, 18],
      functions: ['11'],
      activation: 'post',
      shortcut: 'padding',
      stochasticDepth: 0.5,
    },
    recipe: 'stochastic-depth',
  },
]

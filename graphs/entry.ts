// What a network of the zoo is: its architecture and the recipe that it is trained by.

import { pixelStatistics } from './pixels.js'
import type { RecipeName } from './recipes.js'
import type { Architecture } from './residual.js'

/** A network of the zoo, and the recipe that trains it. */
export interface Entry {
  readonly architecture: Architecture
  /** The paper's unless given. */
  readonly recipe?: RecipeName
}

/** What the papers' networks for CIFAR-10 have in common. */
export const base = {
  widths: [16, 32, 64],
  classes: 10,
  imageSize: 32,
  activation: 'pre',
  shortcut: 'projection',
  pixels: pixelStatistics.cifar10,
} satisfies Partial<Architecture>

// The zoo: every network that has a name.

import type { Entry } from './entry.js'
import { multiresnets } from './multiresnet.js'
import { preresnets } from './preresnet.js'
import { rdmNetworks } from './rdm.js'
import { stochasticDepthNetworks } from './stochasticDepth.js'

/** The residual networks that have a name: those of the paper's Table 1, and what they are compared with. */
export const zoo: readonly Entry[] = [...preresnets, ...multiresnets, ...stochasticDepthNetworks, ...rdmNetworks]

/** The network of a name; undefined where there is none. */
export const findNetwork = (name: string): Entry | undefined =>
  zoo.find(({ architecture }) => architecture.name === name)
/** The names of {@link zoo}, in its order. */
export const networkNames = (): string[] => zoo.map(({ architecture }) => architecture.name)

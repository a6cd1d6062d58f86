// The zoo: every network that has a name.

import type { Entry } from './entry.js'
import { multiresnets } from './multiresnet.js'
import { preresnets } from './preresnet.js'
import { rdmNetworks } from './rdm.js'
import { stochasticDepthNetworks } from './stochasticDepth.js'

export const zoo: readonly Entry[] = [...preresnets, ...multiresnets, ...stochasticDepthNetworks, ...rdmNetworks]

export const findNetwork = (name: string): Entry | undefined =>
  zoo.find(({ architecture }) => architecture.name === name)
export const networkNames = (): string[] => zoo.map(({ architecture }) => architecture.name)

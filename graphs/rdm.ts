// Park 2023, "Multi-Residual Networks with ReLU Dropping": two functions a block, the second without its first ReLUs.
// Table 1: RDM-ResNet-56 5.98 % (5.98 ± 0.20), RDM-ResNet-83 5.41 % (5.34 ± 0.12); the `-sd` networks are what its
// conclusion proposes and did not try, trained by its recipe so that they compare with the others.

import { base, type Entry } from './entry.js'

const rdm56 = { ...base, name: 'rdm56', block: 'basic', blocks: [9, 9, 9], functions: ['11', '01'] } as const
const rdm83 = { ...base, name: 'rdm83', block: 'bottleneck', blocks: [9, 9, 9], functions: ['111', '001'] } as const

export const rdmNetworks: readonly Entry[] = [rdm56, rdm83].flatMap((network) => {
  const architecture = { ...network, blocks: [...network.blocks], functions: [...network.functions] }
  return [{ architecture }, { architecture: { ...architecture, name: `${network.name}-sd`, stochasticDepth: 0.5 } }]
})

// Abdi & Nahavandi 2016, "Multi-Residual Networks": few blocks of many equal functions. Table 1: 7.37 % (8 layers,
// r = 23), 6.42 % (14, r = 10), 5.89 % (30, r = 4).

import { base, type Entry } from './entry.js'

const full = (r: number): string[] => new Array<string>(r).fill('11')

export const multiresnets: readonly Entry[] = [
  { architecture: { ...base, name: 'multiresnet8x23', block: 'basic', blocks: [1, 1, 1], functions: full(23) } },
  { architecture: { ...base, name: 'multiresnet14x10', block: 'basic', blocks: [2, 2, 2], functions: full(10) } },
  // 30 layers are 14 blocks, which three stages cannot share evenly; the paper does not say how it did.
  { architecture: { ...base, name: 'multiresnet30x4', block: 'basic', blocks: [5, 4, 5], functions: full(4) } },
]

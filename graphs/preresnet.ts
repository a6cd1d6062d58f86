// He et al. 2016, "Identity Mappings in Deep Residual Networks": Table 1's baselines, 6.37 % (110) and 5.46 % (164).

import { base, type Entry } from './entry.js'

export const preresnets: readonly Entry[] = [
  { architecture: { ...base, name: 'preresnet110', block: 'basic', blocks: [18, 18, 18], functions: ['11'] } },
  { architecture: { ...base, name: 'preresnet164', block: 'bottleneck', blocks: [18, 18, 18], functions: ['111'] } },
]

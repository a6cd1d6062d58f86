// What Table 1 says of a network.

import { type Architecture, convolutionsOf, depthOf, residualNetwork, totalBlocks } from '../../../graphs/residual.js'
import { parameterCount } from '../../core/model/cost.js'

export interface NetworkFacts {
  readonly block: Architecture['block']
  readonly depth: number
  /** A mask for each residual function of a block. */
  readonly functions: readonly string[]
  /** Undefined for a description that is too large to be built. */
  readonly parameters?: number | undefined
}

/** Many times those of any network of the literature; a file may ask for a million. */
const MOST_CONVOLUTIONS = 10_000

export function networkFacts(architecture: Architecture): NetworkFacts {
  const { block, functions } = architecture
  const convolutions = totalBlocks(architecture) * functions.length * convolutionsOf(architecture)
  return {
    ...{ block, depth: depthOf(architecture), functions },
    parameters: convolutions <= MOST_CONVOLUTIONS ? parameterCount(residualNetwork(architecture)) : undefined,
  }
}
